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
    ("stepd", "both", "binary"): (14.72, 13.47, 12.11, 10.86, 9.58, 8.54, 7.4),
    ("stepd", "worse", "binary"): (15.23, 13.94, 12.53, 11.24, 9.83, 8.54, 7.13),
    ("hddm_w", "both", "binary"): (22.27, 20.45, 18.46, 16.64, 14.65, 12.83, 10.84),
    ("hddm_w", "worse", "binary"): (22.09, 20.23, 18.19, 16.33, 14.3, 12.44, 10.4),
    ("hddm_a", "both", "binary"): (10.35, 9.6, 8.76, 8.01, 7.17, 6.42, 5.58),
    ("hddm_a", "worse", "binary"): (15.67, 14.07, 12.32, 10.72, 8.96, 7.36, 5.61),
    ("page_hinkley", "both", "binary"): (44.95, 39.81, 34.18, 29.05, 23.42, 18.29, 12.66),
    ("page_hinkley", "both", "relative"): (21.55, 19.14, 16.51, 14.11, 11.47, 9.1, 6.53),
    ("page_hinkley", "worse", "binary"): (43.71, 38.53, 32.86, 27.69, 22.02, 16.84, 11.17),
    ("page_hinkley", "worse", "relative"): (21.28, 18.79, 16.06, 13.57, 10.84, 8.35, 5.61),
    ("inputs", "both", "vectors"): (17.99, 15.81, 13.41, 11.23, 8.83, 6.65, 4.25),
}
