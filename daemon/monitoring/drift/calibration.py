"""How strict a detector must be for a budget; written by `python -m benchmarks.calibrate_drift`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# False alarms per 100,000 rows.
BUDGETS: Final = (0.1, 0.3, 1.0, 3.0, 10.0)

# For each of them, by detector, direction and values (budget.py).
STRICTNESS: Final[Mapping[tuple[str, str, str], tuple[float, ...]]] = {
    ("glr", "both", "binary"): (19.51, 17.82, 15.96, 14.27, 12.43),
    ("glr", "both", "relative"): (23.36, 21.1, 18.62, 16.36, 13.88),
    ("glr", "worse", "binary"): (18.67, 17.08, 15.34, 13.75, 12.01),
    ("glr", "worse", "relative"): (23.12, 20.84, 18.33, 16.04, 13.53),
    ("adwin", "both", "binary"): (6.32, 5.51, 4.62, 3.84, 3.08),
    ("adwin", "both", "relative"): (5.85, 5.1, 4.27, 3.52, 2.7),
    ("adwin", "worse", "binary"): (6.02, 5.23, 4.36, 3.56, 2.69),
    ("adwin", "worse", "relative"): (5.24, 4.53, 3.77, 3.08, 2.32),
    ("seed", "both", "binary"): (7.88, 6.9, 5.82, 4.83, 3.76),
    ("seed", "both", "relative"): (6.79, 5.94, 5.0, 4.15, 3.22),
    ("seed", "worse", "binary"): (6.72, 5.83, 4.86, 3.97, 3.1),
    ("seed", "worse", "relative"): (6.33, 5.47, 4.52, 3.66, 2.71),
    ("stepd", "both", "binary"): (24.06, 20.77, 17.15, 13.86, 10.25),
    ("stepd", "worse", "binary"): (24.06, 20.77, 17.15, 13.86, 10.25),
    ("hddm_w", "both", "binary"): (19.83, 17.8, 15.56, 13.53, 11.3),
    ("hddm_w", "worse", "binary"): (19.98, 17.81, 15.44, 13.27, 10.9),
    ("hddm_a", "both", "binary"): (15.53, 12.85, 9.91, 7.23, 5.4),
    ("hddm_a", "worse", "binary"): (17.69, 15.2, 12.47, 9.98, 7.24),
    ("page_hinkley", "both", "binary"): (35.95, 30.49, 24.51, 19.05, 13.07),
    ("page_hinkley", "both", "relative"): (17.1, 14.44, 11.53, 8.86, 5.95),
    ("page_hinkley", "worse", "binary"): (29.52, 25.13, 20.32, 15.93, 11.12),
    ("page_hinkley", "worse", "relative"): (14.76, 12.51, 10.04, 7.79, 5.32),
    ("inputs", "both", "vectors"): (8.89, 7.8, 6.84, 5.96, 4.99),
}
