"""How strict a detector must be for a budget; written by `python -m benchmarks.calibrate_drift`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# False alarms per 100,000 rows.
BUDGETS: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

# For each of them, by detector, direction and values (budget.py).
STRICTNESS: Final[Mapping[tuple[str, str, str], tuple[float, ...]]] = {
    ("glr", "both", "binary"): (23.04, 21.25, 19.29, 17.54, 15.8, 14.21, 12.47),
    ("glr", "both", "relative"): (27.76, 25.51, 23.04, 20.8, 18.33, 16.08, 13.62),
    ("glr", "worse", "binary"): (22.07, 20.44, 18.64, 17.01, 15.21, 13.6, 11.95),
    ("glr", "worse", "relative"): (28.48, 26.09, 23.46, 21.06, 18.43, 16.04, 13.41),
    ("adwin", "both", "binary"): (7.47, 6.76, 5.99, 5.29, 4.52, 3.82, 3.05),
    ("adwin", "both", "relative"): (7.05, 6.35, 5.57, 4.86, 4.09, 3.38, 2.6),
    ("adwin", "worse", "binary"): (7.32, 6.58, 5.76, 5.02, 4.21, 3.48, 2.7),
    ("adwin", "worse", "relative"): (6.71, 6.0, 5.23, 4.52, 3.75, 3.04, 2.27),
    ("seed", "both", "binary"): (8.85, 8.01, 7.1, 6.26, 5.34, 4.5, 3.59),
    ("seed", "both", "relative"): (7.3, 6.58, 5.78, 5.06, 4.26, 3.54, 2.74),
    ("seed", "worse", "binary"): (8.19, 7.37, 6.48, 5.67, 4.78, 3.97, 3.08),
    ("seed", "worse", "relative"): (6.51, 5.84, 5.12, 4.45, 3.73, 3.06, 2.34),
    ("stepd", "both", "binary"): (34.25, 30.54, 26.48, 22.78, 18.72, 15.01, 10.95),
    ("stepd", "worse", "binary"): (34.25, 30.54, 26.48, 22.78, 18.72, 15.01, 10.95),
    ("hddm_w", "both", "binary"): (24.08, 22.05, 19.83, 17.8, 15.56, 13.53, 11.3),
    ("hddm_w", "worse", "binary"): (24.53, 22.36, 19.98, 17.81, 15.44, 13.27, 10.9),
    ("hddm_a", "both", "binary"): (21.15, 18.47, 15.53, 12.85, 9.91, 7.23, 5.4),
    ("hddm_a", "worse", "binary"): (22.91, 20.42, 17.69, 15.2, 12.47, 9.98, 7.24),
    ("page_hinkley", "both", "binary"): (47.39, 41.93, 35.95, 30.49, 24.51, 19.05, 13.07),
    ("page_hinkley", "both", "relative"): (22.68, 20.02, 17.1, 14.44, 11.53, 8.86, 5.95),
    ("page_hinkley", "worse", "binary"): (38.72, 34.33, 29.52, 25.13, 20.32, 15.93, 11.12),
    ("page_hinkley", "worse", "relative"): (19.48, 17.23, 14.76, 12.51, 10.04, 7.79, 5.32),
    ("inputs", "both", "vectors"): (11.17, 10.08, 8.89, 7.8, 6.84, 5.96, 4.99),
}
