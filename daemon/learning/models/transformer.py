"""A Hugging Face encoder that learns from the stream, fine-tuned in full or frozen under a linear head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from daemon.learning.batch import Batch
from daemon.learning.device import to_device
from daemon.learning.models.base import Floats, Model, check_rows
from daemon.learning.models.slow_part import SlowPart
from daemon.learning.replay.base import Rows, num_rows, take
from daemon.state import JSON, State

# Rows of one forward pass of a prediction: enough to fill the device, few enough to fit any.
ROWS_PER_PASS = 32


class Transformer(Model):
    """Answers by a network alone, which `slow` trains. Every row is predicted with the weights of the last step before it; the
    spare is never answered."""

    def __init__(self, *, slow: SlowPart) -> None:
        self._slow, self._network, self._classifies = slow, slow.network, slow.classifies
        self._labels: tuple[str, ...] = ()
        self._rows = 0
        self.weights_name = self._network.weights_name

    @property
    def num_classes(self) -> int:  # type: ignore[override] # a contract's attribute may be read through a property
        return self._slow.num_classes

    def learn(self, batch: Batch, target_B: NDArray[np.float64], weight_B: NDArray[np.float64]) -> Floats:
        if not len(batch):
            return self._fetch([])
        check_rows(target_B.tolist(), weight_B.tolist(), classifies=self._classifies)
        rows = self._network.encode(batch.texts) | {"target": target_B, "weight": weight_B}
        outputs = [self._learn_piece(take(rows, piece)) for piece in self._slow.pieces(weight_B)]
        self._rows += len(batch)
        return self._fetch(outputs)

    @torch.no_grad()
    def predict(self, batch: Batch) -> Floats:
        if not len(batch):
            return self._fetch([])
        rows = self._network.encode(batch.texts)
        pieces = [slice(start, start + ROWS_PER_PASS) for start in range(0, len(batch), ROWS_PER_PASS)]
        known_N = np.full(ROWS_PER_PASS, self.num_classes)
        logits = [self._network.logits(take(rows, piece)) for piece in pieces]
        return self._fetch([self._answers(logits_NK, known_N[: len(logits_NK)]) for logits_NK in logits])

    def pieces(self, weight_B: Floats) -> list[slice]:
        return self._slow.pieces(weight_B)

    def react(self) -> None:
        self._slow.react()

    def set_rate(self, learning_rate: float) -> None:
        self._slow.set_rate(learning_rate)

    def set_labels(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)

    def stats(self) -> dict[str, float]:
        return self._slow.stats()

    def state_dict(self) -> State:
        state = self._slow.state_dict()
        return state | {"generators": state["generators"] | {"rows": self._rows}}

    def load_state_dict(self, state: State) -> None:
        self._slow.load_state_dict(state)
        self._rows = state["generators"]["rows"]

    def weights(self) -> State:
        return self._network.state_dict(num_outputs=self.num_classes if self._classifies else 1)

    def load_weights(self, state: State) -> None:
        self._network.load_state_dict(state, num_spare=int(self._classifies))

    def companions(self) -> Mapping[str, Path | JSON]:
        return self._network.companions(self._labels, num_outputs=self.num_classes if self._classifies else 1)

    def state_bytes(self) -> dict[str, int]:
        return self._slow.state_bytes()

    def _learn_piece(self, rows: Rows) -> Tensor:
        """Answers to rows that all are predicted with the same weights; a step, where the last of them completes one."""
        # A new class starts as a copy of the spare, which no step has changed since: growing before the rows are
        # predicted gives the logits that growing in between would.
        known_N = self._grow(rows)
        learned = take(rows, np.flatnonzero(rows["weight"] > 0))
        if self._slow.is_whole_step(learned) and num_rows(learned) == num_rows(rows):
            # The piece is the step: its forward pass, without dropout, is the prediction too.
            return self._answers(self._slow.step(rows)[: num_rows(rows)], known_N)
        with torch.no_grad():
            logits_NK = self._network.logits(rows)
        self._slow.take(learned)
        return self._answers(logits_NK, known_N)

    def _grow(self, rows: Rows) -> NDArray[np.int64]:
        """(N,) classes known before each row; the network takes in those that come with a row."""
        known_N = np.empty(num_rows(rows), np.int64)
        for row, (target, weight) in enumerate(zip(rows["target"], rows["weight"], strict=True)):
            known_N[row] = self.num_classes
            if self._classifies and weight > 0 and target == self.num_classes:
                self._slow.grow()
        return known_N

    def _answers(self, logits_NK: Tensor, known_N: NDArray[np.int64]) -> Tensor:
        """(N, C) probabilities over the classes known before each row, 0 elsewhere; or (N,) numbers."""
        if not self._classifies:
            return logits_NK[:, 0]
        class_C = torch.arange(logits_NK.shape[1] - 1, device=logits_NK.device)
        known_NC = class_C < to_device(known_N, self._network.device)[:, None]
        masked_NC = logits_NK[:, :-1].masked_fill(~known_NC, -torch.inf)
        # A row before the first label has nothing but minus infinities, and their softmax is NaN.
        return torch.where(known_NC, masked_NC.softmax(dim=1), 0.0)

    def _fetch(self, outputs: list[Tensor]) -> Floats:
        """All answers at once: the one time that the host waits for the device."""
        if not outputs:
            return np.zeros((0, self.num_classes) if self._classifies else 0)
        if self._classifies:
            outputs = [functional.pad(output_NC, (0, self.num_classes - output_NC.shape[1])) for output_NC in outputs]
        fetched: Floats = torch.cat(outputs).cpu().numpy().astype(np.float64)
        return fetched
