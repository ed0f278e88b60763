"""Task and model as one thing with one state: what the loop trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.models.base import Floats, Model
from daemon.learning.tasks.base import Task
from daemon.state import JSON, State
from streams.record import Example


@dataclass(frozen=True, slots=True)
class Scored:
    """What a micro-batch of B rows was predicted to be before it was learned.

    `labels` are those known after the micro-batch, by class index (empty for regression). `target_B` holds class indices
    or numbers; NaN is a label that no weighted row has taught yet. `output` is (B, C) probabilities, C = len(labels), with
    0 where a class was not known when its row was predicted; or (B,) numbers. `weight_B` is what the rows were learned with.
    `best_expert` and `inputs_BD` are as the model shows them (see `Model`).
    """

    labels: tuple[str, ...]
    target_B: NDArray[np.float64]
    output: NDArray[np.float64]
    weight_B: NDArray[np.float64]
    best_expert: NDArray[np.float64] | None = None
    inputs_BD: NDArray[np.float32] | None = None


class Learner:
    """Scores and learns examples in their order; the model may be cut into micro-batches anyhow."""

    def __init__(self, *, task: Task, model: Model) -> None:
        self.task = task
        self.model = model

    def pieces(self, examples: Sequence[Example]) -> list[Sequence[Example]]:
        """`examples`, cut where the model steps, so that reactions apply from a step that no other cut would move."""
        if not examples:
            return []
        pieces = [examples[piece] for piece in self.model.pieces(self._weights(examples))]
        self.model.foresee(inputs(examples if len(pieces) > 1 else ()))
        return pieces

    def admits(self, examples: Sequence[Example]) -> list[bool]:
        """Whether each example's target may be learned, given that those before it are."""
        return self.task.admits([example.target for example in examples], self._weights(examples))

    def learn(self, examples: Sequence[Example]) -> Scored:
        """Predict each example, then learn it.

        Raises `ValueError`, before anything is learned, where `admits` refuses a target, and for a weight or a feature
        that is NaN or infinite.
        """
        weight_B = self._weights(examples)
        labels = self.task.state_dict()
        try:
            target_B = self.task.encode([example.target for example in examples], weight_B)
            output = self.model.learn(inputs(examples), target_B, weight_B)
        except ValueError:
            self.task.load_state_dict(labels)
            raise
        return Scored(self.task.labels, target_B, output, weight_B, self.model.best_expert, self.model.inputs_BD)

    def _weights(self, examples: Sequence[Example]) -> Floats:
        """(B,) the weights that the rows are learned with."""
        weight_B = np.array([example.weight for example in examples], np.float64)
        return self.task.weigh([example.target for example in examples], weight_B)

    def predict(self, batch: Batch) -> Floats:
        """(B, C) or (B,) without learning."""
        return self.model.predict(batch)

    def predict_balanced(self, batch: Batch) -> Floats:
        """(B, C) as if all classes were equally frequent, without learning."""
        return self.model.predict_balanced(batch)

    def react(self) -> None:
        """React to a drift from the next step on."""
        self.model.react()

    def set_rate(self, learning_rate: float) -> None:
        """Take a new base learning rate from the next step on."""
        self.model.set_rate(learning_rate)

    def companions(self) -> Mapping[str, Path | JSON]:
        """The files beside the weights in a snapshot, with the labels known now."""
        self.model.set_labels(self.task.labels)
        return self.model.companions()

    def state_dict(self) -> State:
        return {"labels": self.task.state_dict(), "model": self.model.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.task.load_state_dict(state["labels"])
        self.model.load_state_dict(state["model"])


def inputs(examples: Sequence[Example]) -> Batch:
    """The inputs alone of some examples."""
    return Batch([example.text for example in examples], [example.features for example in examples])
