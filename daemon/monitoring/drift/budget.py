"""Detectors of the error, set by how many false alarms the user can bear."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from daemon.errors import ConfigError
from daemon.monitoring.drift.adwin import Adwin
from daemon.monitoring.drift.base import Detector
from daemon.monitoring.drift.calibration import BUDGETS, STRICTNESS
from daemon.monitoring.drift.glr import LikelihoodRatio
from daemon.monitoring.drift.inputs import InputShift
from daemon.monitoring.drift.relative import Relative
from daemon.monitoring.drift.river import RiverDetector
from daemon.monitoring.drift.seed import Seed
from daemon.monitoring.drift.stepd import Stepd
from daemon.monitoring.drift.watch import Direction, Watch

Values: TypeAlias = Literal["binary", "relative"]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a detector is built from a strictness: the larger it is, the fewer alarms."""

    make: Callable[[float, bool], Detector]
    """From a strictness and whether alarms in both directions are wanted."""

    relative: bool = False
    """Whether it takes shares between 0 and 1."""

    one_sided: bool = False
    """Whether it looks for a fall only when asked to."""


def _hddm(kind: str, strictness: float, both: bool) -> Detector:
    alarm = math.exp(-strictness)
    # River warns before it alarms, at a level that must not be the stricter of the two; nothing here reads the warning.
    return RiverDetector(kind=kind, drift_confidence=alarm, warning_confidence=math.sqrt(alarm), two_sided_test=both)


# The bounds of ADWIN and SEED are so loose that a usual budget asks for a delta above 1.
_LOOSEST: Final = 2.0

KINDS: Final[Mapping[str, Kind]] = {
    "glr": Kind(lambda strictness, _: LikelihoodRatio(threshold=strictness), relative=True),
    "adwin": Kind(lambda strictness, _: Adwin(delta=math.exp(_LOOSEST - strictness)), relative=True),
    "seed": Kind(lambda strictness, _: Seed(delta=math.exp(_LOOSEST - strictness)), relative=True),
    "stepd": Kind(lambda strictness, both: Stepd(alpha=math.exp(-strictness), both=both), one_sided=True),
    "hddm_w": Kind(lambda strictness, both: _hddm("hddm_w", strictness, both), one_sided=True),
    "hddm_a": Kind(lambda strictness, both: _hddm("hddm_a", strictness, both), one_sided=True),
    "page_hinkley": Kind(
        lambda strictness, both: RiverDetector(kind="page_hinkley", threshold=5 * strictness, mode="both" if both else "up"),
        relative=True,
        one_sided=True,
    ),
}
"""Every detector that can be set by a budget, the default first.

River's DDM, EDDM and KSWIN are not among them: no strictness both keeps a budget and finds drifts. Measured on 100,000 stable
rows at each of six rates of error, on three seeds of each stream of benchmarks/drift_streams.py (30 drifts), and for KSWIN,
which takes 875 µs a row, on 10,000 stable rows and on a rate that doubles. DDM raises up to 8 false alarms and misses 11 of 30
drifts at its threshold of 3, misses 21 at 4, and all at 5, where it still raises one at a rate of .01, as at 8. EDDM raises up
to 40 and misses 28 at its beta of .9, up to 3 and misses all at .7. KSWIN finds no doubling at an alpha of .005, .0005 or
.00005.
"""


def for_budget(
    name: str,
    *,
    alarms_per_100k: float,
    direction: Direction = "worse",
    pause_rows: int = 0,
    values: Values = "binary",
) -> Watch:
    """A detector that raises about `alarms_per_100k` false alarms in 100,000 rows of a stable error, or fewer.

    `values` is what it will be shown: "binary", an error or none, or "relative", errors of any size (relative.py). The
    budget was measured on independent rows (calibration.py), at the stable error of several that is the worst for the
    detector. Rows of a real stream hang together: expect more alarms there.

    >>> watch = for_budget("glr", alarms_per_100k=1.0, pause_rows=200)
    >>> watch.update(1.0)
    >>> watch.drift_detected
    False

    Raises `ConfigError` for an unknown detector, and for a budget, direction or kind of values that it was not measured for.
    """
    if name not in KINDS:
        raise ConfigError(f"detector {name!r} is unknown; there are {', '.join(KINDS)}")
    strictness = _strictness((name, direction, values), alarms_per_100k)
    both = direction == "both"
    detector = KINDS[name].make(strictness, both)
    if values == "relative":
        detector = Relative(detector, both=both)
    return Watch(detector, direction=direction, pause_rows=pause_rows)


def inputs_for_budget(*, alarms_per_100k: float, seed: int, pause_rows: int = 0) -> InputShift:
    """An input detector that raises about `alarms_per_100k` false alarms in 100,000 independent rows, or fewer.

    Rows of a real stream hang together, so that it alarms more often there.

    >>> inputs_for_budget(alarms_per_100k=1.0, seed=0).drift_detected
    False
    """
    threshold = _strictness(("inputs", "both", "vectors"), alarms_per_100k)
    return InputShift(threshold=threshold, seed=seed, pause_rows=pause_rows)


def _strictness(key: tuple[str, str, str], alarms_per_100k: float) -> float:
    """Between the budgets that were measured, in a straight line over their logarithms."""
    name, direction, values = key
    if key not in STRICTNESS:
        known = ", ".join(f"{d} {v}" for n, d, v in STRICTNESS if n == name)
        raise ConfigError(f"detector {name!r} was not calibrated for {direction!r} and {values!r}, only for: {known}")
    if not BUDGETS[0] <= alarms_per_100k <= BUDGETS[-1]:
        raise ConfigError(
            f"a budget of {alarms_per_100k} false alarms per 100,000 rows was not measured; "
            f"choose from {BUDGETS[0]:g} to {BUDGETS[-1]:g}"
        )
    logs = [math.log(budget) for budget in BUDGETS]
    return float(np.interp(math.log(alarms_per_100k), logs, STRICTNESS[key]))
