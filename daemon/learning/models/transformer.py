"""A Hugging Face encoder that learns from the stream, fine-tuned in full or frozen under a linear head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from daemon.errors import StateError
from daemon.learning.batch import Batch
from daemon.learning.device import to_device
from daemon.learning.models.base import Floats, Model
from daemon.learning.models.finetuned import Finetuned
from daemon.learning.models.frozen import Frozen
from daemon.learning.models.network import Network
from daemon.learning.optimizers import Optimizer
from daemon.learning.reactions import Reactions
from daemon.learning.replay.base import Replay, Rows, concatenate, num_rows, take
from daemon.learning.schedules import Schedule
from daemon.state import JSON, State

# Rows of one forward pass of a prediction: enough to fill the device, few enough to fit any.
ROWS_PER_PASS = 32


class Transformer(Model):
    """Takes one slow step on every `rows_per_step` learned rows and up to `replayed_per_step` replayed ones.

    Steps fall at fixed ordinals of the rows that are learned (weight > 0), wherever micro-batches are cut: rows since the
    last step wait, as what the network reads, in the state ("pending"). Every row is predicted with the weights of the
    last step before it. The loss of a step is the mean of its rows' losses by weight, so that a weight of 2 doubles a row's
    part; a drawn number depends on seed, purpose and ordinal alone.

    For classification the head has one output more than there are classes: the spare, trained only as a negative and
    never answered. A new label inherits its weights and moments.

    `encoder` is a folder or a hub id; raises `ModelError` where it cannot be loaded.
    """

    def __init__(
        self,
        *,
        encoder: str | Path,
        training: Literal["full", "frozen"],
        task: Literal["classification", "regression"],
        device: torch.device,
        max_tokens: int,
        optimizer: Optimizer,
        schedule: Schedule,
        replay: Replay,
        rows_per_step: int,
        replayed_per_step: int,
        seed: int,
        reactions: Reactions = Reactions(),  # noqa: B008 - it is frozen
    ) -> None:
        if rows_per_step < 1 or replayed_per_step < 0:
            raise ValueError(f"{rows_per_step=} must be at least 1 and {replayed_per_step=} at least 0")
        self._network: Network
        if training == "full":
            self._network = Finetuned(encoder=str(encoder), device=device, max_tokens=max_tokens, seed=seed)
        else:
            self._network = Frozen(encoder=str(encoder), device=device, max_tokens=max_tokens)
        self._classifies = task == "classification"
        self._optimizer = optimizer
        self._schedule = schedule
        self._replay = replay
        self._rows_per_step = rows_per_step
        self._replayed_per_step = replayed_per_step
        self._seed = seed
        self._reactions = reactions
        self._labels: tuple[str, ...] = ()
        self._pending: Rows = {}
        self._rows = 0
        self._steps = 0
        self._reaction_due = False
        self._loss = torch.zeros(())
        self._grad_norm = torch.zeros(())
        self.num_classes = 0
        self.weights_name = self._network.weights_name

    def learn(self, batch: Batch, target_B: NDArray[np.float64], weight_B: NDArray[np.float64]) -> Floats:
        if not len(batch):
            return self._fetch([])
        rows = self._network.encode(batch.texts) | {"target": target_B, "weight": weight_B}
        outputs = [self._learn_piece(take(rows, piece)) for piece in self._pieces(weight_B)]
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
        return list(self._pieces(weight_B))

    def react(self) -> None:
        # Rows that wait for their step were scored before the alarm: it applies from the step after theirs, so that
        # where a micro-batch was cut makes no difference.
        self._reaction_due = True
        if not num_rows(self._pending):
            self._react_now()

    def _react_now(self) -> None:
        if not self._reaction_due:
            return
        if self._reactions.rewarm:
            self._schedule.rewarm()
        if self._reactions.recent_replay:
            self._replay.prefer_recent()
        self._reaction_due = False

    def set_rate(self, learning_rate: float) -> None:
        self._schedule.set_rate(learning_rate)

    def set_labels(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)

    def stats(self) -> dict[str, float]:
        return {
            "loss": float(self._loss),
            "grad_norm": float(self._grad_norm),
            "learning_rate": self._schedule.rate(self._schedule.step),
            "nonfinite_steps": self._optimizer.nonfinite_steps(),
            "replay_rows": len(self._replay),
            "slow_steps": self._steps,
        }

    def state_dict(self) -> State:
        return {
            "weights": self._network.state_dict(num_outputs=self._network.head.out_features),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "replay": self._replay.state_dict(),
            "generators": {
                "seed": self._seed,
                "rows": self._rows,
                "steps": self._steps,
                "reaction_due": self._reaction_due,
            },
            "pending": dict(self._pending),
        }

    def load_state_dict(self, state: State) -> None:
        generators = state["generators"]
        if generators["seed"] != self._seed:
            raise StateError(
                f"the saved state was drawn from seed {generators['seed']}, not {self._seed}; resume with that seed"
            )
        self._network.load_state_dict(state["weights"], num_spare=0)
        self._optimizer.load_state_dict(state["optimizer"], self._network.parameters())
        self._schedule.load_state_dict(state["schedule"])
        self._replay.load_state_dict(state.get("replay", {}))
        self._pending = {name: np.asarray(column) for name, column in state.get("pending", {}).items()}
        self._rows, self._steps = generators["rows"], generators["steps"]
        self._reaction_due = generators["reaction_due"]
        self.num_classes = self._network.head.out_features - 1 if self._classifies else 0

    def weights(self) -> State:
        return self._network.state_dict(num_outputs=self.num_classes if self._classifies else 1)

    def load_weights(self, state: State) -> None:
        self._network.load_state_dict(state, num_spare=int(self._classifies))
        self.num_classes = self._network.head.out_features - 1 if self._classifies else 0

    def companions(self) -> Mapping[str, Path | JSON]:
        return self._network.companions(self._labels, num_outputs=self.num_classes if self._classifies else 1)

    def state_bytes(self) -> dict[str, int]:
        return {
            "weights": sum(parameter.nbytes for parameter in self._network.parameters().values()),
            "optimizer": self._optimizer.state_bytes(),
            "replay": self._replay.state_bytes(),
            "pending": sum(column.nbytes for column in self._pending.values()),
        }

    def _pieces(self, weight_B: NDArray[np.float64]) -> Iterator[slice]:
        """Consecutive rows, cut after each row that completes a step."""
        learned_B = num_rows(self._pending) + np.cumsum(weight_B > 0)
        due_B = (weight_B > 0) & (learned_B % self._rows_per_step == 0)
        ends = [*(np.flatnonzero(due_B) + 1).tolist(), len(weight_B)]
        start = 0
        for end in ends:
            if end > start:
                yield slice(start, end)
            start = end

    def _learn_piece(self, rows: Rows) -> Tensor:
        """Answers to rows that all are predicted with the same weights; a step, where the last of them completes one."""
        # A new class starts as a copy of the spare, which no step has changed since: growing before the rows are
        # predicted gives the logits that growing in between would.
        known_N = self._grow(rows)
        learned = take(rows, np.flatnonzero(rows["weight"] > 0))
        due = num_rows(self._pending) + num_rows(learned) == self._rows_per_step
        if due and num_rows(rows) == self._rows_per_step:
            # The piece is the step: its forward pass, without dropout, is the prediction too.
            return self._answers(self._slow_step(rows)[: num_rows(rows)], known_N)
        with torch.no_grad():
            logits_NK = self._network.logits(rows)
        self._pending = concatenate(self._pending, learned)
        if due:
            self._slow_step(self._pending)
            self._pending = {}
        return self._answers(logits_NK, known_N)

    def _grow(self, rows: Rows) -> NDArray[np.int64]:
        """(N,) classes known before each row; the network takes in those that come with a row."""
        known_N = np.empty(num_rows(rows), np.int64)
        for row, (target, weight) in enumerate(zip(rows["target"], rows["weight"], strict=True)):
            known_N[row] = self.num_classes
            if self._classifies and weight > 0 and target == self.num_classes:
                self._network.grow()
                for name in self._network.head_parameters():
                    self._optimizer.grow(name)
                self.num_classes += 1
        return known_N

    def _slow_step(self, new: Rows) -> Tensor:
        """One step on new and replayed rows; returns their logits from before it, the new rows first."""
        rows = concatenate(new, self._replay.sample(self._replayed_per_step, self._steps))
        parameters = self._network.parameters()
        for parameter in parameters.values():
            parameter.grad = None
        logits_NK = self._network.logits(rows)
        weight_N = to_device(rows["weight"].astype(np.float32), self._network.device)
        loss = (self._losses(logits_NK, rows["target"]) * weight_N).sum() / weight_N.sum()
        loss.backward()  # type: ignore[no-untyped-call] # torch does not type it
        self._loss = loss.detach()
        self._grad_norm = self._optimizer.step(parameters, rate=self._schedule.rate(self._schedule.step))
        self._schedule.advance()
        self._replay.update(new)
        self._steps += 1
        self._react_now()
        return logits_NK.detach()

    def _losses(self, logits_NK: Tensor, targets: NDArray[np.float64]) -> Tensor:
        """(N,) log loss over classes and spare, or squared error."""
        if self._classifies:
            target_N = to_device(targets.astype(np.int64), self._network.device)
            return functional.cross_entropy(logits_NK, target_N, reduction="none")
        return (logits_NK[:, 0] - to_device(targets.astype(np.float32), self._network.device)) ** 2

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
