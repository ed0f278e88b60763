"""What the gate would have decided over a recorded file: for a backtest, which answers nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from daemon.guard import GateGuard, OpenGuard
from daemon.learning.learner import Learner, Scored
from daemon.learning.models.base import Model
from daemon.monitoring.alarm import Alarm
from daemon.monitoring.evaluation import Evaluation
from daemon.monitoring.gate import Gate
from daemon.state import JSON
from daemon.storage.tensors import all_finite, host_copy
from streams.record import Example


class Rehearsal(OpenGuard):
    """Asks the gate every `every_rows` rows, and scores what it would have served on every row, which takes its time.

    It is asked at the end of the micro-batch in which such a row lies. Time is no part of it, so that the decisions are a
    function of the file and of `training.batch_rows`: a hold ends after its rows alone.
    """

    def __init__(self, *, gate: Gate, make_model: Callable[[], Model], task: str, learner: Learner, every_rows: int) -> None:
        self._guard = GateGuard(gate=gate, make_model=make_model, task=task, clock=lambda: 0.0)
        self._learner, self._every_rows = learner, every_rows
        self._next_row = every_rows
        self.decisions: list[JSON] = []
        """Each with `row` (how many were learned), `publish`, `reason` and `detail`."""

    def observe(self, examples: Sequence[Example], scored: Scored, *, evaluation: Evaluation, alarms: Sequence[Alarm]) -> None:
        self._guard.observe(examples, scored, evaluation=evaluation, alarms=alarms)
        if evaluation.rows >= self._next_row:
            self._next_row = (evaluation.rows // self._every_rows + 1) * self._every_rows
            self._decide(evaluation.rows)

    def _decide(self, row: int) -> None:
        weights = host_copy(self._learner.model.weights())
        decision = self._guard.decide(finite=all_finite(weights))
        if decision.publish:
            self._guard.serve(weights, rows=row)
        self.decisions.append({"row": row, "publish": decision.publish, "reason": decision.reason, "detail": decision.detail})
