"""What happens to the records of one planned step: decode, test, learn, watch, react.

This is the part of the loop whose result is promised bit for bit. It reads a clock for telemetry alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from daemon.arrivals import Arrivals
from daemon.cap import SourceCap
from daemon.errors import LedgerError
from daemon.guard import Guard
from daemon.learning.learner import Learner
from daemon.monitoring.alarm import Alarm
from daemon.monitoring.evaluation import Evaluation
from daemon.monitoring.telemetry import Telemetry
from daemon.plan import Plan, advance
from daemon.predictions import PredictionLog
from daemon.state import JSON, State
from daemon.storage.tensors import digest, num_bytes
from streams.deadletter import DeadLetters
from streams.decoding.base import Decoder
from streams.errors import DecodeError
from streams.record import Example, Record, Run


class Pipeline:
    """Carries out planned steps. Its state is what is learned, and why."""

    def __init__(
        self,
        *,
        decoder: Decoder,
        dead_letters: DeadLetters,
        learner: Learner,
        evaluation: Evaluation,
        guard: Guard,
        cap: SourceCap,
        predictions: PredictionLog,
        telemetry: Telemetry,
        live: bool,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.learner, self.evaluation, self.guard, self.dead_letters = learner, evaluation, guard, dead_letters
        self._decoder, self._predictions, self._telemetry = decoder, predictions, telemetry
        self._cap, self._live, self._wall_clock = cap, live, wall_clock
        self.step = 0
        self.positions: dict[int, int] = {}
        self.journaled: dict[str, JSON] = {}
        self.ledger_position, self.ledger_chain = 0, ""
        self.newest_s: dict[int, float] = {}
        self.arrivals = Arrivals()
        """When the records came to be that were learned since the last snapshot; from recorded files, whose times are of long
        ago, when they were read."""

    @property
    def rows(self) -> int:
        """Examples learned so far."""
        return self.evaluation.rows

    def learn(self, plan: Plan, records: Sequence[Record]) -> list[Alarm]:
        """Carry out one step: each example is scored, then learned; reactions to drift apply from the next step on. The
        alarms that it raised."""
        if plan.rows != self.rows or plan.step != self.step + 1:
            raise LedgerError(
                f"step {plan.step} was planned after {plan.rows} rows, but {self.rows} rows and {self.step} steps were "
                "learned; ledger and checkpoint do not belong together: restore both from one backup"
            )
        kept = self._sorted_out(records)
        examples, num_learned, raised = [limited for _, _, limited in kept], 0, list[Alarm]()
        for piece in self.learner.pieces(examples):
            scored = self.learner.learn(piece)
            self._predictions.write(piece, scored, task=self.learner.task)
            alarms = self.evaluation.observe(scored, slices=[example.slices for example in piece])
            self._telemetry.alarms(alarms)
            self.guard.observe(piece, scored, evaluation=self.evaluation, alarms=alarms)
            if any(alarm.worse for alarm in alarms):
                self.learner.react()
            raised += alarms
            num_learned += int((scored.weight_B > 0.0).sum())
        self.step = plan.step
        self.positions = advance(self.positions, plan.runs)
        now_s = self._wall_clock()
        self.arrivals.add([(self._live and record.timestamp_s) or now_s for record, _, _ in kept], step=plan.step)
        self.newest_s |= {record.partition: record.timestamp_s for record in records if record.timestamp_s}
        self._telemetry.step(
            learned=num_learned,
            scored=len(examples) - num_learned,
            capped=sum(limited.weight < whole.weight for _, whole, limited in kept),
            stats=self.learner.model.stats,
            evaluation=self.evaluation,
            labels=self.learner.task.labels,
        )
        return raised

    def change(self, journaled: Mapping[str, JSON]) -> None:
        """Take changed settings from the next step on."""
        self.journaled = dict(journaled)
        rate = journaled["optimizer.learning_rate"]
        assert isinstance(rate, float)
        self.learner.set_rate(rate)

    def carried_out(self, position: int, chain: str) -> None:
        """Everything that the ledger holds before `position` is in the state now; `chain` is its digest up to there."""
        self.ledger_position, self.ledger_chain = position, chain

    def skip(self, run: Run) -> None:
        """Pass over a gap that retention left and the operator accepted."""
        self.positions = advance(self.positions, [run])
        self._telemetry.skipped(run.end - run.start)

    def state_dict(self) -> dict[str, State]:
        return {
            "learner": self.learner.state_dict(),
            "evaluation": self.evaluation.state_dict(),
            "guard": self.guard.state_dict(),
            "progress": {
                "step": self.step,
                "positions": {str(partition): offset for partition, offset in sorted(self.positions.items())},
                "journaled": self.journaled,
                "cap": self._cap.state_dict(),
            },
        }

    def state_bytes(self, state: dict[str, State]) -> dict[str, int]:
        """Memory by part: of the model and of what is served as they tell it, of all else by its size in `state`, which is a
        copy of this pipeline's."""
        return {
            **self.learner.model.state_bytes(),
            **self.guard.state_bytes(),
            "labels": num_bytes(state["learner"]["labels"]),
            **{part: num_bytes(state["evaluation"][part]) for part in ("metrics", "baselines", "detectors")},
            "gate": num_bytes(state["guard"]),
            "progress": num_bytes(state["progress"]),
        }

    def load_state_dict(self, state: dict[str, State]) -> None:
        self.learner.load_state_dict(state["learner"])
        self.evaluation.load_state_dict(state["evaluation"])
        self.guard.load_state_dict(state["guard"])
        self.step = state["progress"]["step"]
        self.positions = {int(partition): offset for partition, offset in state["progress"]["positions"].items()}
        self.journaled = state["progress"]["journaled"]
        self._cap.load_state_dict(state["progress"]["cap"])

    def state_sha256(self) -> str:
        """Hash of what is learned and why, in canonical order: everything but the number of steps that it was cut into, and
        what was published on the way."""
        state = self.state_dict()
        del state["progress"]["step"], state["guard"]
        return digest(state)

    def _sorted_out(self, records: Sequence[Record]) -> list[tuple[Record, Example, Example]]:
        """Of each of `records` that is an example the record, the example, and what the cap leaves of it; what cannot be one,
        or brings a label too many, becomes a dead letter. The cap comes first: a row of which it leaves nothing teaches no
        label."""
        found = [(record, self._decode(record)) for record in records]
        decoded = [(record, example) for record, example in found if isinstance(example, Example)]
        limited = self._cap.limited(decoded)
        outcomes = zip(limited, self.learner.admits(limited), strict=True)
        kept: list[tuple[Record, Example, Example]] = []
        num_passed = 0
        for record, whole in found:  # in their order, so that the share of dead letters does not depend on the cut
            if isinstance(whole, DecodeError):
                error = whole
            else:
                example, ok = next(outcomes)
                if ok:
                    kept.append((record, whole, example))
                    num_passed += 1
                    continue
                error = DecodeError("label", f"{whole.target!r} is not in the set of labels, or one too many")
            self.dead_letters.passed(num_passed)
            num_passed = 0
            self._refuse(record, error)
        self.dead_letters.passed(num_passed)
        return kept

    def _decode(self, record: Record) -> Example | DecodeError:
        try:
            example = self._decoder.decode(record)
            self._cap.require_time(record, example)
        except DecodeError as error:
            return error
        return example

    def _refuse(self, record: Record, error: DecodeError) -> None:
        self.dead_letters.send(record, error)
        if error.stage == "tombstone":
            self._telemetry.records("tombstone")
        else:
            self._telemetry.dead_letter(error.stage)
