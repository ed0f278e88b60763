"""The slow part of learning: a network that takes one step on every so many rows, new ones and replayed ones together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from daemon.errors import StateError
from daemon.learning.device import to_device
from daemon.learning.models.network import Network
from daemon.learning.optimizers import LONGEST_STEP, Optimizer
from daemon.learning.reactions import Reactions
from daemon.learning.replay.base import Replay, Rows, concatenate, num_rows
from daemon.learning.schedules import Schedule
from daemon.state import State


class SlowPart:
    """Takes one step on every `rows_per_step` learned rows and up to `replayed_per_step` replayed ones.

    Steps fall at fixed ordinals of the rows that are learned (weight > 0), wherever micro-batches are cut: rows since the
    last step wait, as what the network reads, in the state ("pending"). The loss of a step is the mean of its rows' losses
    by weight, and the rate is multiplied by the mean weight, up to 10: a weight of 2 doubles a row's part of the step, and rows
    that all weigh 2 make it twice as long. A drawn number depends on seed, purpose and ordinal alone.

    For classification the head has one output more than there are classes: the spare, trained only as a negative. A new
    label inherits its weights and moments.
    """

    def __init__(
        self,
        *,
        network: Network,
        classifies: bool,
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
        self.network = network
        self.classifies = classifies
        self._optimizer, self._schedule, self._replay = optimizer, schedule, replay
        self._rows_per_step, self._replayed_per_step = rows_per_step, replayed_per_step
        self._seed, self._reactions = seed, reactions
        self._pending: Rows = {}
        self._steps = 0
        self._reaction_due = False
        self._loss = torch.zeros(())
        self._grad_norm = torch.zeros(())

    @property
    def num_classes(self) -> int:
        return self.network.head.out_features - 1 if self.classifies else 0

    def pieces(self, weight_B: NDArray[np.float64]) -> list[slice]:
        """Consecutive rows, cut after each row that completes a step and before each that is the first of one: rows of weight 0
        between the two are scored after the one step, and an alarm on them is in time for the other."""
        learned_N = np.flatnonzero(weight_B > 0)
        place_N = (num_rows(self._pending) + np.arange(len(learned_N))) % self._rows_per_step
        first_N, last_N = learned_N[place_N == 0], learned_N[place_N == self._rows_per_step - 1]
        cuts = {0, *first_N.tolist(), *(last_N + 1).tolist(), len(weight_B)}
        return [slice(start, end) for start, end in pairwise(sorted(cuts))]

    def grow(self) -> None:
        """One more label is known: a copy of the spare, and so are its moments."""
        self.network.grow()
        for name in self.network.head_parameters():
            self._optimizer.grow(name)

    def is_whole_step(self, rows: Rows) -> bool:
        """Whether these rows, and none before them, are the new ones of the next step."""
        return not num_rows(self._pending) and num_rows(rows) == self._rows_per_step

    def take(self, rows: Rows) -> bool:
        """Rows to learn, at most as many as the next step lacks, which is taken where they complete it. Whether it was."""
        self._pending = concatenate(self._pending, rows)
        if num_rows(self._pending) < self._rows_per_step:
            return False
        self.step(self._pending)
        return True

    def step(self, new: Rows) -> Tensor:
        """One step on new and replayed rows; returns their logits (N, K) from before it, the new rows first."""
        rows = concatenate(new, self._replay.sample(self._replayed_per_step, self._steps))
        parameters = self.network.parameters()
        for parameter in parameters.values():
            parameter.grad = None
        logits_NK = self.network.logits(rows)
        part_N = rows["weight"] / rows["weight"].max()  # which float32 holds, however small the weights
        weight_N = to_device(part_N.astype(np.float32), self.network.device)
        loss = (self._losses(logits_NK, rows["target"]) * weight_N).sum() / weight_N.sum()
        loss.backward()  # type: ignore[no-untyped-call] # torch does not type it
        self._loss = loss.detach()
        rate = self._schedule.rate(self._schedule.step) * min(LONGEST_STEP, float(rows["weight"].mean()))
        self._grad_norm = self._optimizer.step(parameters, rate=rate)
        self._schedule.advance()
        self._replay.update(new)
        self._pending = {}
        self._steps += 1
        self._react_now()
        return logits_NK.detach()

    def _losses(self, logits_NK: Tensor, targets: NDArray[np.float64]) -> Tensor:
        """(N,) log loss over classes and spare, or squared error."""
        if self.classifies:
            target_N = to_device(targets.astype(np.int64), self.network.device)
            return functional.cross_entropy(logits_NK, target_N, reduction="none")
        return (logits_NK[:, 0] - to_device(targets.astype(np.float32), self.network.device)) ** 2

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

    def stats(self) -> dict[str, float]:
        """As `Model.stats` has them. Waits for the device."""
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
            "weights": self.weights(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "replay": self._replay.state_dict(),
            "generators": {"seed": self._seed, "steps": self._steps, "reaction_due": self._reaction_due},
            "pending": dict(self._pending),
        }

    def load_state_dict(self, state: State) -> None:
        generators = state["generators"]
        if generators["seed"] != self._seed:
            raise StateError(
                f"the saved state was drawn from seed {generators['seed']}, not {self._seed}; resume with that seed"
            )
        self.load_weights(state["weights"])
        self._optimizer.load_state_dict(state["optimizer"], self.network.parameters())
        self._schedule.load_state_dict(state["schedule"])
        self._replay.load_state_dict(state.get("replay", {}))
        self._pending = {name: np.asarray(column) for name, column in state.get("pending", {}).items()}
        self._steps, self._reaction_due = generators["steps"], generators["reaction_due"]

    def weights(self) -> State:
        """The network with its spare output, as copies on the CPU."""
        return self.network.state_dict(num_outputs=self.network.head.out_features)

    def load_weights(self, state: State) -> None:
        self.network.load_state_dict(state, num_spare=0)

    def state_bytes(self) -> dict[str, int]:
        """Memory by part; copies nothing."""
        return {
            "weights": sum(parameter.nbytes for parameter in self.network.parameters().values()),
            "optimizer": self._optimizer.state_bytes(),
            "replay": self._replay.state_bytes(),
            "pending": sum(column.nbytes for column in self._pending.values()),
        }
