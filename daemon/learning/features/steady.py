"""Numbers of a row measured from places that hold still, so that what is linear in a column stays so from row to row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.features.references import Reference
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.table_kernels import COUNT, MEAN, NUMBER, SQUARES, Z_LIMIT
from daemon.state import State

Floats = NDArray[np.float64]

# A place moves where the deviation has become so many times its width, or the mean lies so many widths away.
TOO_WIDE, TOO_FAR = 2.0, 1.0
# Of a column with fewer values than that the deviation is as good as unknown.
FIRST_ROWS = 4
# What may be said of a column whose place is not too far; beyond it, until the place moves, a value is drawn in.
LARGEST = Z_LIMIT * TOO_WIDE + TOO_FAR


@dataclass(frozen=True)
class Move:
    """What was x of an input is now `ratio` · x + `shift`."""

    place: int
    ratio: float
    shift: float


class SteadyColumns:
    """x = (value − centre) / width of each numeric column, 0 where it is missing; values are clipped as z-scores are.

    Centre and width are the column's mean and deviation, taken when it has four values and whenever these have moved far.
    Running z-scores move with each row, by as much as their mean is uncertain: a weight of them is never right for long, where
    one of these is right until the next `Move`, by which it can be carried over exactly.

    >>> from daemon.learning.batch import Batch
    >>> table = TableFeatures()
    >>> columns = SteadyColumns(table)
    >>> for x in (1.0, 3.0, 1.0, 3.0, 4.0):
    ...     table.begin(Batch([""], [{"x": x}]))
    ...     table.encode(0)
    ...     said = columns.values_D.tolist()
    ...     table.learn(0.0, 1.0)
    ...     moved = columns.renew()
    >>> said      # the first four have a mean of 2, and a deviation of 1
    [2.0]
    """

    def __init__(self, table: TableFeatures) -> None:
        self._table = table
        self._place_NP = np.zeros((0, 2))  # centre and width, which is 0 where there is none yet

    @property
    def width(self) -> int:
        return len(self._table.row.known_N)

    @property
    def values_D(self) -> NDArray[np.float32]:  # noqa: N802 - a shape suffix
        self._fit_width()
        return _measure(self._table.row.known_N, self._table.row.value_N, self._table.columns.stats_NS, self._place_NP)

    def _fit_width(self) -> None:
        missing = self.width - len(self._place_NP)
        if missing > 0:
            self._place_NP = np.pad(self._place_NP, ((0, missing), (0, 0)))

    def renew(self) -> list[Move]:
        """Move the places that are far off by now; what to carry over."""
        self._fit_width()
        ratio_N, shift_N = _renew(self._table.columns.stats_NS, self._place_NP)
        return [Move(n, float(ratio_N[n]), float(shift_N[n])) for n in np.flatnonzero(ratio_N).tolist()]

    def state_dict(self) -> State:
        self._fit_width()
        return {"places": self._place_NP.copy()}

    def load_state_dict(self, state: State) -> None:
        self._place_NP = np.array(state["places"], dtype=np.float64)


class SteadyReference(Reference):
    """The value and the scale of another reference, which hold still until that one has moved far."""

    def __init__(self, moving: Reference) -> None:
        super().__init__()
        self._moving = moving

    def learn(self, target: float) -> None:
        """Nothing: the other one learns it."""

    def renew(self) -> Move | None:
        """Move to the other one where it is far off by now; what to carry over of (target − value) / scale, if anything."""
        value, scale = self._moving.value, self._moving.scale
        near = abs(value - self.value) <= TOO_FAR * self.scale and self.scale / TOO_WIDE <= scale <= TOO_WIDE * self.scale
        if scale == 0.0 or near:
            return None
        move = Move(0, self.scale / scale, (self.value - value) / scale)
        is_first = self.scale == 0.0
        self.value, self.scale = value, scale
        return None if is_first else move

    def state_dict(self) -> State:
        return {"value": self.value, "scale": self.scale}

    def load_state_dict(self, state: State) -> None:
        self.value, self.scale = float(state["value"]), float(state["scale"])


@compiled
def _measure(known_N: NDArray[np.int64], value_N: Floats, stats_NS: Floats, place_NP: Floats) -> NDArray[np.float32]:
    x_N = np.zeros(len(known_N), dtype=np.float32)
    for n in range(len(known_N)):
        if known_N[n] == NUMBER and place_NP[n, 1] > 0.0:
            reach = Z_LIMIT * np.sqrt(stats_NS[n, SQUARES] / stats_NS[n, COUNT])
            value = min(stats_NS[n, MEAN] + reach, max(stats_NS[n, MEAN] - reach, value_N[n]))
            x_N[n] = min(LARGEST, max(-LARGEST, (value - place_NP[n, 0]) / place_NP[n, 1]))
    return x_N


@compiled
def _renew(stats_NS: Floats, place_NP: Floats) -> tuple[Floats, Floats]:
    """What the old x are of the new ones; a ratio of 0 where none is to be carried over."""
    ratio_N, shift_N = np.zeros(len(stats_NS)), np.zeros(len(stats_NS))
    for n in range(len(stats_NS)):
        if stats_NS[n, COUNT] < FIRST_ROWS:
            continue
        mean, deviation = stats_NS[n, MEAN], np.sqrt(stats_NS[n, SQUARES] / stats_NS[n, COUNT])
        centre, width = place_NP[n, 0], place_NP[n, 1]
        if deviation <= 1e-12 * abs(mean) or deviation == 0.0:
            continue
        if abs(mean - centre) <= TOO_FAR * width and width / TOO_WIDE <= deviation <= TOO_WIDE * width:
            continue
        if width > 0.0:
            ratio_N[n], shift_N[n] = deviation / width, (mean - centre) / width
        place_NP[n, 0], place_NP[n, 1] = mean, deviation
    return ratio_N, shift_N
