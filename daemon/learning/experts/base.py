"""The contracts of the pool: extractors turn a row into features, experts predict from them and learn.

For every row the mixture calls, in this order:

    extractor.encode(row)                 label-free features of the row become the current ones
    p_K = expert.predict()                from the current features
    [grow(), where the label is new]
    expert.learn(target, weight)
    extractor.learn(target, weight)       running statistics and label history take the row in

Experts that share nothing may take several rows apart (`models/table_mixture.py`): what the extractor reads of later rows
meanwhile changes nothing that they are shown of their own.

`begin(batch)` comes once a micro-batch, for work that depends on no label of it (hashing, the encoder, products with what
was stored before); it must leave what is learned untouched. Prediction without learning is `begin`, `encode`, `predict`.

Classification experts predict over K = C + 1 classes: the last is the *spare*, "a label not seen yet". It is trained only
as a negative, is never answered, and a new label inherits its weights: `grow()` makes the spare class C a real one and
adds a fresh spare that starts as its copy. Before the first label K is 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.state import State


class Extractor(ABC):
    """Turns the rows of a micro-batch into features, one row at a time. Experts hold the extractor that they read."""

    def foresee(self, batch: Batch) -> None:  # noqa: B027 - most have no work that is done better at once
        """Take the rows of several micro-batches to come, in their order; do the work that is done better for all at once."""

    @abstractmethod
    def begin(self, batch: Batch) -> None:
        """Take a micro-batch; do the batched, label-free work."""

    @abstractmethod
    def encode(self, row: int) -> None:
        """Make row `row` of the micro-batch the current one."""

    def summary(self) -> NDArray[np.float32]:
        """(D,) the current row in a few numbers, by which a change of the inputs is seen; D never changes, and is 0 where
        there is nothing to say. NaN is a missing value."""
        return np.empty(0, np.float32)

    @abstractmethod
    def learn(self, target: float, weight: float) -> None:
        """Take the current row into running statistics (nothing where weight is 0). `target` is a class index or number.

        Statistics say how rows are, not what is to be learned of them: a row counts once, whatever its weight above 0.
        """

    @abstractmethod
    def state_dict(self) -> State: ...

    @abstractmethod
    def load_state_dict(self, state: State) -> None: ...

    @abstractmethod
    def weights(self) -> State:
        """The part of the state that predicting needs (running statistics, label history)."""

    @abstractmethod
    def load_weights(self, state: State) -> None: ...


class Stateless(Extractor):
    """An extractor of which nothing is learned: the features of a row depend on that row alone."""

    def learn(self, target: float, weight: float) -> None: ...

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None: ...

    def weights(self) -> State:
        return {}

    def load_weights(self, state: State) -> None: ...


class Expert(ABC):
    """One member of the pool. Deterministic: no global generator, no fast-math, no threads of its own."""

    name: str
    """Unique in the pool, lower_snake; shown in telemetry."""
    is_trivial = False
    """Whether it looks at nothing but earlier targets and fits nothing to them: it repeats or counts them."""
    is_simple = False
    """Whether it is one of the plain learners that a stream may be made for, and that nobody should do worse than."""

    @property
    def unit(self) -> object:
        """What holds its state: itself, or the bank that it is a member of."""
        return self

    def begin(self, batch: Batch) -> None:  # noqa: B027 - most experts have no batched work
        """Batched, label-free work, after every extractor's `begin`."""

    @abstractmethod
    def predict(self) -> NDArray[np.float64]:
        """p_K over the C known classes and the spare, positive and summing to 1; regression: shape (1,)."""

    def predict_balanced(self) -> NDArray[np.float64] | None:
        """The same without a prior over the classes; None where the expert has nothing to say without one."""
        return None

    @abstractmethod
    def learn(self, target: float, weight: float) -> None:
        """Learn the current row after `predict`; a weight of 0 changes nothing, 2 doubles the step.

        What doubles is the gradient step where there is one; counts, votes and squares count the row twice. The class says
        where it is otherwise.
        """

    def grow(self) -> None:  # noqa: B027 - regression experts never grow
        """One more label is known."""

    def pieces(self, weight_B: NDArray[np.float64]) -> list[slice]:
        """Where a micro-batch is best cut, as `Model.pieces` has it; only an expert that learns in larger steps cares."""
        return [slice(0, len(weight_B))]

    def react(self) -> None:  # noqa: B027 - most experts follow a drift as they are
        """React to a drift for the worse, from the next step on."""

    def set_rate(self, learning_rate: float) -> None:  # noqa: B027 - most experts have a rate of their own
        """Take a new base learning rate from the next step on."""

    def stats(self) -> dict[str, float]:
        """What telemetry shows of it beside its weight, by the names of `Model.stats`."""
        return {}

    @abstractmethod
    def state_dict(self) -> State: ...

    @abstractmethod
    def load_state_dict(self, state: State) -> None: ...

    def num_bytes(self) -> int:
        """Memory that the state takes, which may be more than what of it is saved."""
        return array_bytes(self.state_dict())

    def state_bytes(self) -> dict[str, int]:
        """The same by part, under names that are unique in the pool."""
        return {self.name: self.num_bytes()}

    @abstractmethod
    def weights(self) -> State:
        """What predicting needs, without accumulators."""

    @abstractmethod
    def load_weights(self, state: State) -> None: ...


def array_bytes(state: State) -> int:
    """Bytes of the arrays in a state.

    >>> array_bytes({"a": np.zeros(2), "b": {"c": np.zeros(1, np.float32)}, "d": "no array"})
    20
    """
    return sum(array_bytes(value) if isinstance(value, dict) else getattr(value, "nbytes", 0) for value in state.values())
