"""Keeps a bad update from the answers: the gate, fed with what is learned and what is served on the very same rows."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final

from daemon.learning.learner import Scored, inputs
from daemon.learning.models.base import Floats, Model
from daemon.monitoring.alarm import Alarm
from daemon.monitoring.evaluation import Evaluation
from daemon.monitoring.gate import Decision, Gate
from daemon.monitoring.losses import losses
from daemon.state import State
from streams.record import Example

logger = logging.getLogger(__name__)

# Scoring the served weights may take these shares of the time, the second while an alarm holds publishing: that is what ends
# the hold. While there is time left every row is scored; where learning runs as fast as it can, whole micro-batches go
# unscored, so that watching does not slow it down.
SHARE: Final = 0.005
SHARE_HELD: Final = 0.06
# Time that may be saved up, in seconds: a micro-batch after a quiet while is always scored.
SAVED_S: Final = 0.1


class Guard(ABC):
    """Sees every row that is scored, decides what is published, and learns of every publish. Touches nothing that learns."""

    @abstractmethod
    def observe(self, examples: Sequence[Example], scored: Scored, *, evaluation: Evaluation, alarms: Sequence[Alarm]) -> None:
        """Rows that the learner was just scored on; `evaluation` and `alarms` as they are after them."""

    @abstractmethod
    def decide(self, *, finite: bool) -> Decision:
        """Whether to publish what is learned now; `finite` says that every weight is."""

    @abstractmethod
    def stands(self) -> bool:
        """Whether the last decision to publish stands, now that more rows were seen. May be called by another thread."""

    @abstractmethod
    def serve(self, weights: State, *, rows: int) -> None:
        """From now on these weights answer. They were learned from the first `rows` rows, and are scored on later ones."""

    @abstractmethod
    def state_bytes(self) -> dict[str, int]:
        """Memory of what is held beside the state: of the served weights, where there is a copy of them."""

    @abstractmethod
    def state_dict(self) -> State:
        """All but the served weights, which the snapshot holds."""

    @abstractmethod
    def load_state_dict(self, state: State) -> None: ...


class OpenGuard(Guard):
    """Lets everything pass that is finite: for a backtest, which answers nobody, and where the gate is switched off."""

    def observe(
        self, examples: Sequence[Example], scored: Scored, *, evaluation: Evaluation, alarms: Sequence[Alarm]
    ) -> None: ...

    def decide(self, *, finite: bool) -> Decision:
        return Decision(finite, "open" if finite else "not_finite", "the gate is off" if finite else "a weight is not finite")

    def stands(self) -> bool:
        return True

    def serve(self, weights: State, *, rows: int) -> None: ...

    def state_bytes(self) -> dict[str, int]:
        return {}

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None: ...


class GateGuard(Guard):
    """Asks the gate, and scores a shadow for it: a second model that holds the served weights."""

    def __init__(
        self, *, gate: Gate, make_model: Callable[[], Model], task: str, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """`make_model` builds a model that takes the served weights; called when there are some."""
        self._gate, self._make_model, self._task, self._clock = gate, make_model, task, clock
        self._shadow: Model | None = None
        self._served_rows, self._announced = 0, True
        self._decided_at = 0  # row of the newest decision to publish
        self._saved_s, self._asked_s = 0.0, clock()

    def observe(self, examples: Sequence[Example], scored: Scored, *, evaluation: Evaluation, alarms: Sequence[Alarm]) -> None:
        # After a restart rows are redone that the served weights have learned already: scored on those they would shine.
        is_new_to_them = evaluation.rows - len(examples) >= self._served_rows
        if is_new_to_them and not self._announced:
            self._gate.published(decided_at=self._decided_at)
            self._announced = True
        self._gate.observe(
            candidate_loss_B=evaluation.loss_B,
            served_loss_B=self._score(examples, scored) if is_new_to_them and self._may_score() else None,
            baseline_loss_B=evaluation.baseline_loss_B,
            slices=[example.slices for example in examples],
        )
        if any(alarm.worse for alarm in alarms):
            self._gate.alarm()

    def _may_score(self) -> bool:
        now = self._clock()
        share = SHARE_HELD if self._gate.holds else SHARE
        self._saved_s = min(SAVED_S, self._saved_s + share * (now - self._asked_s))
        self._asked_s = now
        return self._shadow is not None and self._saved_s >= 0

    def _score(self, examples: Sequence[Example], scored: Scored) -> Floats:
        """Losses (B,) of the served weights."""
        assert self._shadow is not None
        began = self._clock()
        loss_B = losses(self._task, scored.target_B, self._shadow.predict(inputs(examples)))
        self._saved_s -= self._clock() - began
        return loss_B

    def decide(self, *, finite: bool) -> Decision:
        decision = self._gate.decide(finite=finite)
        if decision.publish:
            self._decided_at = self._gate.rows
        return decision

    def stands(self) -> bool:
        return not self._gate.alarm_since(self._decided_at)

    def serve(self, weights: State, *, rows: int) -> None:
        if self._shadow is None:
            self._shadow = self._make_model()
        self._shadow.load_weights(weights)
        self._served_rows, self._announced = rows, False

    def state_bytes(self) -> dict[str, int]:
        return {} if self._shadow is None else {"served": sum(self._shadow.state_bytes().values())}

    def state_dict(self) -> State:
        return {"gate": self._gate.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._gate.load_state_dict(state["gate"])
