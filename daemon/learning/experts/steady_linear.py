"""What a linear function of a table's columns tells of a target, found to the last digit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts.linear_residual import LinearResidual
from daemon.learning.features.references import Reference
from daemon.learning.features.steady import SteadyColumns, SteadyReference
from daemon.learning.features.table import TableFeatures
from daemon.state import State


class SteadyLinear(LinearResidual):
    """f(x) = w·x + b by recursive least squares over numbers, missing marks and categories of a table.

    Numbers and target are measured from places that hold still for long (`SteadyColumns`, `SteadyReference`); where one moves,
    w, b and what is known of them are carried over. Running z-scores move with each row and leave a part in a hundred open of
    what is linear: here w, once found, stays right as long as the column keeps its unit. One that changes it by more than
    ten times is learned anew.

    >>> from daemon.learning.batch import Batch
    >>> table, mean = TableFeatures(), Reference()
    >>> linear = SteadyLinear(name="steady", reference=mean, table=table, forgetting=1.0, error_limit=3.0)
    >>> for x in [0.0, 1.0, 2.0, 3.0, 4.0] * 20:      # y = 10 + 2 x
    ...     table.begin(Batch([""], [{"x": x}]))
    ...     table.encode(0)
    ...     said = linear.predict()
    ...     linear.learn(10.0 + 2.0 * x, 1.0)
    ...     table.learn(0.0, 1.0)
    ...     mean.learn(10.0 + 2.0 * x)
    >>> said.round(2).tolist()
    [17.95]
    """

    def __init__(self, *, name: str, reference: Reference, table: TableFeatures, forgetting: float, error_limit: float) -> None:
        self._steady, self._columns = SteadyReference(reference), SteadyColumns(table)
        super().__init__(
            name=name,
            reference=self._steady,
            inputs=(self._columns, Marks(table)),
            forgetting=forgetting,
            error_limit=error_limit,
        )
        self._moving = reference

    def predict(self) -> NDArray[np.float64]:
        if self._steady.scale > 0.0:
            return super().predict()
        self._predict()
        self.prediction.value = self._moving.value
        return np.array([self.prediction.value])

    def learn(self, target: float, weight: float) -> None:
        super().learn(target, weight)
        if weight > 0.0:
            if move := self._steady.renew():
                self._squares.move_target(move.ratio, move.shift)
            for move in self._columns.renew():
                if move.place < len(self._place_of[0]):
                    self._squares.move_input(int(self._place_of[0][move.place]), move.ratio, move.shift)

    def _fit_state(self) -> State:
        return super()._fit_state() | self._held()

    def _load_fit_state(self, state: State) -> None:
        super()._load_fit_state(state)
        self._load_held(state)

    def _fit_weights(self) -> State:
        return super()._fit_weights() | self._held()

    def _load_fit_weights(self, state: State) -> None:
        super()._load_fit_weights(state)
        self._load_held(state)

    def _held(self) -> State:
        return {"target": self._steady.state_dict(), "columns": self._columns.state_dict()}

    def _load_held(self, state: State) -> None:
        self._steady.load_state_dict(state["target"])
        self._columns.load_state_dict(state["columns"])


class Marks:
    """A table's missing marks and categories, as dense inputs."""

    def __init__(self, table: TableFeatures) -> None:
        self._table = table

    @property
    def values_D(self) -> NDArray[np.float32]:  # noqa: N802 - a shape suffix
        return self._table.current.values_D[self._table.mark_D]

    @property
    def width(self) -> int:
        return len(self._table.mark_D)
