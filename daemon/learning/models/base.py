"""The contract of a model: what learns.

Shape suffixes throughout `learning/`: B rows of a micro-batch, C classes known, D hidden or feature width, E experts,
T tokens. Arrays at this boundary are numpy; tensors on the device stay inside a model.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.state import JSON, State

Floats = NDArray[np.float64]


def check_rows(targets: Sequence[float], weights: Sequence[float], *, classifies: bool) -> None:
    """Raise `ValueError` for a weight or target that no model may learn, before it learns any row of the micro-batch.

    A weight must be finite and at least 0; a target finite, and where `classifies` no less than 0, save that there a row of
    weight 0 may have any: what it is labelled is not known, or of no account.

    >>> check_rows([0.0, float("nan")], [1.0, 0.0], classifies=True)
    >>> check_rows([float("nan")], [1.0], classifies=True)
    Traceback (most recent call last):
    ValueError: target nan is not a class index; drop such rows
    """
    for target, weight in zip(targets, weights, strict=True):
        if not 0.0 <= weight < math.inf:  # NaN is in no range
            raise ValueError(f"weight {weight} is not a finite number of at least 0; drop such rows")
        if classifies and weight > 0.0 and not 0.0 <= target < math.inf:
            raise ValueError(f"target {target} is not a class index; drop such rows")
        if not classifies and not math.isfinite(target):
            raise ValueError(f"target {target} is not a finite number; drop such rows")


class Model(ABC):
    """Learns row by row: row i + 1 is always predicted after row i was learned, however the stream is cut.

    Classification: a target is a class index; a new label has the index `num_classes`, and the model grows by one class
    *after* it predicted that row. Outputs are probabilities over the classes known (rows predicted before a class was
    known have 0 there). Regression: a target is a number and an output is one number (`output_B`).
    """

    num_classes: int
    """Classes known so far; 0 for regression."""

    best_expert: Floats | None = None
    """The outputs, in the last `learn`, of the single expert that had done best before each row. None where the model is no
    pool of experts."""

    inputs_BD: NDArray[np.float32] | None = None
    """The inputs of the last `learn` in a few numbers a row, always as many. None where the model has none."""

    @abstractmethod
    def learn(self, batch: Batch, target_B: NDArray[np.float64], weight_B: NDArray[np.float64]) -> Floats:
        """Predict each row, then learn it. Returns what was predicted: (B, C) with C as known after the batch, or (B,).

        A row of weight 0 is predicted but leaves every bit of the state as if it had not been there, save the row count.
        Raises `ValueError` for a target or weight that is NaN or infinite, before any row is learned (see `check_rows`).
        """

    @abstractmethod
    def predict(self, batch: Batch) -> Floats:
        """(B, C) or (B,) without learning. Changes nothing that is learned, at any time."""

    def predict_balanced(self, batch: Batch) -> Floats:
        """(B, C) as if all classes were equally frequent, which is what a stream sorted by label needs; the same as
        `predict` where the model has no such answer. Computable from `weights`."""
        return self.predict(batch)

    answers_balanced = False
    """Whether `predict_balanced` has an answer of its own."""

    def finish(self) -> None:  # noqa: B027 - only late labels leave rows to learn
        """Learn what is still waiting for its label, at the end of a backtest."""

    def foresee(self, batch: Batch) -> None:  # noqa: B027 - most have no work that is done better at once
        """Take the inputs of the micro-batches that come next, in their order, instead of those taken before: what no learning
        changes, as a frozen encoder's embeddings, is made for all in one call. Nothing need come of it."""

    def pieces(self, weight_B: Floats) -> list[slice]:
        """Where a micro-batch is to be cut so that a reaction to its rows applies from the same row on, however it was cut."""
        return [slice(0, len(weight_B))]

    @abstractmethod
    def react(self) -> None:
        """React to a drift for the worse, from the next row or step on, as `Reactions` has it."""

    @abstractmethod
    def set_rate(self, learning_rate: float) -> None:
        """Take a new base learning rate from the next step on."""

    @abstractmethod
    def stats(self) -> dict[str, float]:
        """What telemetry shows: loss, learning_rate, grad_norm, nonfinite_steps, replay_rows, slow_steps; what applies."""

    @abstractmethod
    def state_dict(self) -> State:
        """All that is needed to go on, bit for bit. Top-level keys include, where they apply: "weights", "optimizer",
        "schedule", "replay", "generators"."""

    @abstractmethod
    def load_state_dict(self, state: State) -> None:
        """Take a state; raises `StateError` where it does not fit."""

    @abstractmethod
    def weights(self) -> State:
        """All that is needed to answer, and no more: no optimizer, accumulators or replay."""

    @abstractmethod
    def load_weights(self, state: State) -> None:
        """Take what `weights` returned, into a model that will only predict."""

    @abstractmethod
    def companions(self) -> Mapping[str, Path | JSON]:
        """Files beside the weights in a snapshot: relative name -> a file to link (tokenizer, frozen encoder) or a JSON
        document to write (config.json). They hardly ever change."""

    def set_labels(self, labels: Sequence[str]) -> None:  # noqa: B027 - few models write labels into their files
        """The labels by class index, for `companions`."""

    weights_name: str = "weights"
    """The snapshot holds `<weights_name>.safetensors`, and `<weights_name>.json` where weights have JSON values."""

    @abstractmethod
    def state_bytes(self) -> dict[str, int]:
        """Memory by part of the state."""
