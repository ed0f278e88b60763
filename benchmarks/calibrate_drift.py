"""Writes daemon/monitoring/drift/calibration.py: how strict each detector must be for a budget of false alarms.

    python -m benchmarks.calibrate_drift [DETECTOR …]

Every detector is shown independent rows of a stable error: 0 or 1 at six rates, and errors of a regressor of five shapes, on
the scale that a running daemon puts them on (`daemon/monitoring/drift/relative.py`). Alarms are counted over a ladder of
strictness, a line is fitted to their logarithm, and solved for each budget; budgets below half an alarm per 100,000 rows, which
are too rare to count, lie on the same line. The strictest solution over all rates or shapes goes into the table, so that the
budget holds for each of them. About an hour and a half on one core; the seed is 0. Detectors that are not named keep their rows
of the table.
"""

from __future__ import annotations

import importlib
import logging
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.features.table import TableFeatures
from daemon.monitoring.drift import calibration
from daemon.monitoring.drift.base import Detector
from daemon.monitoring.drift.budget import KINDS, Kind
from daemon.monitoring.drift.inputs import InputShift
from daemon.monitoring.drift.relative import Relative
from daemon.monitoring.drift.watch import DIRECTIONS

logger = logging.getLogger(__name__)

BUDGETS: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
NUM_ROWS: Final = 1_000_000
# Those of the detectors that take ten times as long a row.
NUM_ROWS_SLOW: Final = 200_000
SLOW: Final = frozenset({"hddm_a", "hddm_w", "inputs"})
NUM_ROWS_FIRST_LOOK: Final = 10_000
STEP: Final = 0.75
INPUT_STEP: Final = 0.5
LARGEST: Final = 60.0

# Rates of alarms per 100,000 rows that the line is fitted to: rarer ones are too few to count, and so many that they follow
# on each other tell nothing of rare ones.
FITTED: Final = (0.5, 150.0)
# The input detector is blind for 700 rows after an alarm, so that above this its alarms are too few for their strictness.
INPUT_FITTED: Final = (1.0, 40.0)

Floats = NDArray[np.float64]
Noise = Callable[[np.random.Generator, int], Floats]


def bernoulli(rate: float) -> Noise:
    """0 or 1."""
    return lambda generator, n: (generator.random(n) < rate).astype(np.float64)


def now_and_then(rate: float, draw: Noise) -> Noise:
    """No error at most rows."""
    return lambda generator, n: (generator.random(n) < rate) * draw(generator, n)


def exponential(generator: np.random.Generator, n: int) -> Floats:
    return generator.exponential(size=n)


NOISES: Final[Mapping[str, Mapping[str, Noise]]] = {
    "binary": {f"rate {rate:g}": bernoulli(rate) for rate in (0.01, 0.05, 0.1, 0.2, 0.35, 0.5)},
    "relative": {
        "normal": lambda generator, n: np.abs(generator.normal(size=n)),
        "exponential": exponential,
        "uniform": lambda generator, n: generator.random(n),
        "log-normal": lambda generator, n: generator.lognormal(size=n),
        "one row in ten": now_and_then(0.1, exponential),
    },
}


def of_a_table(*columns: Noise) -> Noise:
    """What the detector is shown of rows with these columns: their ranks, as a running table tells them."""

    def draw(generator: np.random.Generator, n: int) -> Floats:
        value_ND = np.column_stack([column(generator, n) for column in columns])
        table, summaries = TableFeatures(label_history=False, earlier_rows=False), []
        table.begin(Batch([""] * n, [dict(zip(map(str, range(len(columns))), row, strict=True)) for row in value_ND.tolist()]))
        for row in range(n):
            table.encode(row)
            summaries.append(table.summary())
            table.learn(0.0, 1.0)
        return np.array(summaries)

    return draw


def normal(generator: np.random.Generator, n: int) -> Floats:
    return generator.normal(size=n)


INPUTS: Final[Mapping[str, Noise]] = {
    "2 normal": lambda generator, n: generator.normal(size=(n, 2)),
    "50 normal": lambda generator, n: generator.normal(size=(n, 50)),
    "50 of rank 3": lambda generator, n: generator.normal(size=(n, 3)) @ np.random.default_rng(0).normal(size=(3, 50)),
    "4 heavy-tailed": lambda generator, n: generator.standard_t(2, size=(n, 4)),
    "16 rarely set": lambda generator, n: (generator.random((n, 16)) < 0.1).astype(np.float64),
    "3 seldom set": lambda generator, n: (generator.random((n, 3)) < 0.02).astype(np.float64),
    "rank of a seldom flag": of_a_table(bernoulli(0.02)),
    "ranks of flags": of_a_table(*map(bernoulli, (0.01, 0.02, 0.05, 0.1, 0.2, 0.5))),
    "ranks of numbers, amounts and a flag": of_a_table(
        normal, normal, exponential, now_and_then(0.1, exponential), now_and_then(0.2, exponential), bernoulli(0.02)
    ),
}


class Alarms(NamedTuple):
    """False alarms by what the user asked for."""

    worse: int
    both: int


def count_alarms(detector: Detector | InputShift, values: Iterable[Any]) -> Alarms:
    """Alarms over stable values."""
    worse = both = 0
    for value in values:
        detector.update(value)
        if detector.drift_detected:
            both += 1
            worse += detector.worse
    return Alarms(worse, both)


def solve(strictness: Sequence[float], per_100k: Sequence[float], *, fitted: tuple[float, float] = FITTED) -> list[float]:
    """The strictness for each of `BUDGETS`, from the rates of alarms at several; [] where too few can be fitted.

    Each rate weighs as much as it had alarms.

    >>> [round(s, 2) for s in solve([2.0, 3.0, 4.0], [100.0, 10.0, 1.0])]
    [5.0, 4.52, 4.0, 3.52, 3.0]
    """
    points = [(s, rate) for s, rate in zip(strictness, per_100k, strict=True) if fitted[0] <= rate <= fitted[1]]
    if len(points) < 2:
        return []
    s, rate = np.array(points).T
    slope, intercept = np.polyfit(s, np.log(rate), 1, w=np.sqrt(rate))
    return [float((math.log(budget) - intercept) / slope) for budget in BUDGETS] if slope < 0 else []


def climb(
    make: Callable[[float], Detector | InputShift], values: Sequence[Any], *, step: float = STEP
) -> tuple[list[float], list[Alarms]]:
    """Alarms over `values` at a ladder of strictness, up to the one that all but silences the detector."""
    ladder: list[float] = []
    alarms: list[Alarms] = []
    least = FITTED[0] * len(values) / 100_000
    most = FITTED[1] * NUM_ROWS_FIRST_LOOK / 100_000
    for rung in count(1):
        strictness = rung * step
        look = count_alarms(make(strictness), values[:NUM_ROWS_FIRST_LOOK])
        if max(look) <= 2 * most:
            ladder.append(strictness)
            alarms.append(count_alarms(make(strictness), values))
            if alarms[-1].both < least:
                break
        if strictness > LARGEST:
            break
    return ladder, alarms


def _made(kind: Kind, values: str, both: bool, strictness: float) -> Detector:
    detector = kind.make(strictness, both)
    return Relative(detector, both=both) if values == "relative" else detector


def calibrate(name: str, values: str, *, num_rows: int, seed: int) -> dict[str, tuple[float, ...]]:
    """The strictness of one detector for each budget, by direction; a direction that cannot be calibrated is left out.

    A noise that leaves too few rungs to fit is one that a detector falls silent at sooner than at the others.
    """
    kind = KINDS[name]
    solved: dict[str, list[list[float]]] = {direction: [] for direction in DIRECTIONS}
    for number, (noise_name, noise) in enumerate(NOISES[values].items()):
        row_values = noise(np.random.default_rng([seed, number]), num_rows).tolist()
        for direction in solved:
            if direction == "worse" or kind.one_sided:
                ladder, alarms = climb(partial(_made, kind, values, direction == "both"), row_values)
            rates = [getattr(found, direction) * 100_000 / num_rows for found in alarms]
            solved[direction].append(solve(ladder, rates))
            logger.info(
                "%s %s %s: %s -> %s", name, direction, noise_name, dict(zip(ladder, rates, strict=True)), solved[direction][-1]
            )
    return {
        direction: tuple(round(max(column), 2) for column in zip(*filter(None, solutions), strict=True))
        for direction, solutions in solved.items()
        if any(solutions)
    }


def calibrate_inputs(*, num_rows: int, seed: int) -> tuple[float, ...]:
    """The threshold of the input detector for each budget."""
    solutions = []
    for number, (noise_name, noise) in enumerate(INPUTS.items()):
        rows = list(noise(np.random.default_rng([seed, number]), num_rows).astype(np.float32))
        ladder, alarms = climb(lambda threshold: InputShift(threshold=threshold, seed=seed), rows, step=INPUT_STEP)
        rates = [found.both * 100_000 / num_rows for found in alarms]
        solutions.append(solve(ladder, rates, fitted=INPUT_FITTED))
        logger.info("inputs %s: %s -> %s", noise_name, dict(zip(ladder, rates, strict=True)), solutions[-1])
    return tuple(round(max(column), 2) for column in zip(*solutions, strict=True))


def write(found: Mapping[tuple[str, str, str], tuple[float, ...]]) -> None:
    """Put rows into the module with the table, which is kept in the order of `KINDS`."""
    importlib.reload(calibration)  # another process may have added to it
    table = {**(calibration.STRICTNESS if calibration.BUDGETS == BUDGETS else {}), **found}
    order = [*KINDS, "inputs"]
    rows = [f"    {key!r}: {table[key]!r},\n" for key in sorted(table, key=lambda key: (order.index(key[0]), key[1:]))]
    Path(calibration.__file__).write_text(
        '"""How strict a detector must be for a budget; written by `python -m benchmarks.calibrate_drift`."""\n\n'
        "from __future__ import annotations\n\n"
        "from collections.abc import Mapping\nfrom typing import Final\n\n"
        f"# False alarms per 100,000 rows.\nBUDGETS: Final = {BUDGETS!r}\n\n"
        "# For each of them, by detector, direction and values (budget.py).\n"
        f"STRICTNESS: Final[Mapping[tuple[str, str, str], tuple[float, ...]]] = {{\n{''.join(rows)}}}\n".replace("'", '"'),
        encoding="utf-8",
    )


def main(names: Sequence[str]) -> None:
    for name in names or [*KINDS, "inputs"]:
        num_rows = NUM_ROWS_SLOW if name in SLOW else NUM_ROWS
        if name == "inputs":
            write({("inputs", "both", "vectors"): calibrate_inputs(num_rows=num_rows, seed=0)})
            continue
        for values in NOISES:
            if values == "binary" or KINDS[name].relative:
                directions = calibrate(name, values, num_rows=num_rows, seed=0)
                write({(name, direction, values): strictness for direction, strictness in directions.items()})


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(sys.argv[1:])
