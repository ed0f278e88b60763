"""Keeps what was learned: checkpoints and snapshots, copied in the loop and written beside it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from daemon.beside import BesideTheLoop, Cadence, Write
from daemon.errors import LedgerFull, SnapshotError, StorageError, WithheldError
from daemon.failpoints import failpoint
from daemon.monitoring.alarm import Alarm
from daemon.monitoring.gate import Decision
from daemon.monitoring.keeping_gauges import KeepingGauges
from daemon.pipeline import Pipeline
from daemon.state import JSON, loading
from daemon.storage.canonical import sha256_of
from daemon.storage.checkpoints import Checkpoint, Checkpoints
from daemon.storage.ledger import Ledger
from daemon.storage.snapshot import SnapshotInfo
from daemon.storage.snapshots import Snapshots
from daemon.storage.tensors import all_finite, host_copy
from streams.errors import DeadLetterError
from streams.source import Source

logger = logging.getLogger(__name__)


class Keeper:
    """Decides when to keep, copies the state in the loop, and has it written beside the loop."""

    def __init__(
        self,
        *,
        checkpoints: Checkpoints,
        snapshots: Snapshots,
        ledger: Ledger,
        source: Source,
        gauges: KeepingGauges,
        fingerprint: Mapping[str, JSON],
        config: Mapping[str, JSON],
        epoch: int,
        blueprint: Mapping[str, JSON],
        checkpoint_interval_s: float,
        snapshot_interval_s: float,
        notes_alarms: bool = True,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Into every checkpoint go `fingerprint` (what the arithmetic depended on), `config` (every setting by its dotted name)
        and `epoch` (the writer's), into every snapshot `blueprint` (how to build the model that takes its weights). With
        `notes_alarms` drift alarms are told in the ledger."""
        self._checkpoints, self._snapshots, self._ledger, self._source = checkpoints, snapshots, ledger, source
        self._gauges, self._fingerprint, self._blueprint = gauges, fingerprint, blueprint
        self._writer: dict[str, JSON] = {"epoch": epoch, "config": dict(config), "config_sha256": sha256_of(config)}
        self._notes_alarms, self._clock, self._wall_clock = notes_alarms, clock, wall_clock
        self._checkpoint_cadence = Cadence(checkpoint_interval_s, due_at=clock() + checkpoint_interval_s)
        self._snapshot_cadence = Cadence(snapshot_interval_s)
        self._beside = BesideTheLoop(clock=clock)
        self._published_rows = 0
        self._held = ""  # the reason for which nothing is published, told once
        self.published_version: int | None = None
        self.missing_checkpoint = ""
        """Why the newest checkpoint could not be written; empty where it stands."""

    def newest_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint that verifies."""
        return self._checkpoints.load_newest()

    def serve_on(self, pipeline: Pipeline) -> None:
        """At the start: take up what was published last, which the answers still come from."""
        self._snapshots.expect(pipeline.learner.companions())
        try:
            version = self._snapshots.latest()
            if version is None:
                return
            snapshot = self._snapshots.open(version)
            weights = snapshot.read_weights()
            with loading(f"snapshot {version}"):
                pipeline.guard.serve(weights, rows=snapshot.manifest["rows"])
        except SnapshotError as error:
            logger.warning("the gate begins anew with the next snapshot: %s", error)
        else:
            self.published_version, self._published_rows = version, snapshot.manifest["rows"]

    def goes_on_from(self, pipeline: Pipeline) -> None:
        """Recovery is over. Where it had to give up steps, more rows may be published than are learned now: what is learned
        from here on is published all the same."""
        self._published_rows = min(self._published_rows, pipeline.rows)

    def waited(self, seconds: float) -> None:
        """The loop waited so long for records: time that writing may take."""
        self._beside.waited_s += seconds

    def keep_what_is_due(self, pipeline: Pipeline) -> None:
        """Called every turn of the loop: hear what became of the write under way, start the next one that is due."""
        self._beside.reap(wait=False)
        if self._beside.is_writing:
            return
        now, waited = self._clock(), self._beside.waited_s
        checkpoint_due = self._checkpoint_cadence.is_due(now=now, waited=waited)
        snapshot_due = pipeline.rows > self._published_rows and self._snapshot_cadence.is_due(now=now, waited=waited)
        # Whichever has been due for longer, so that neither has the other wait forever.
        snapshot_first = self._snapshot_cadence.due_at < self._checkpoint_cadence.due_at
        if snapshot_due and (snapshot_first or not checkpoint_due):
            self._publish(pipeline)
        elif checkpoint_due:
            self._start_checkpoint(pipeline)

    def keep_everything(self, pipeline: Pipeline) -> None:
        """Checkpoint, then publish what is not published yet; returns when both stand."""
        self._beside.reap(wait=True)
        self._start_checkpoint(pipeline)
        self._beside.reap(wait=True)
        if pipeline.rows > self._published_rows:
            self._publish(pipeline)
            self._beside.reap(wait=True)

    def close(self) -> None:
        """Wait for the write under way."""
        self._beside.close()

    def _start_checkpoint(self, pipeline: Pipeline) -> None:
        """Dead letters first: a checkpoint says that what lies before its positions is dealt with."""
        began = self._clock()
        try:
            pipeline.dead_letters.flush()
        except DeadLetterError as error:
            logger.warning("no checkpoint at step %s, learning goes on: %s", pipeline.step, error)
            self._gauges.checkpoint_failed()
            self.missing_checkpoint = str(error)
            self._checkpoint_cadence.done(began=began, ended=self._clock(), waited=self._beside.waited_s)
        else:
            self._beside.start(self._checkpoint(pipeline, began=began))

    def _checkpoint(self, pipeline: Pipeline, *, began: float) -> Write:
        step, positions = pipeline.step, dict(pipeline.positions)
        self._ledger.sync()
        state = host_copy(pipeline.state_dict())
        self._gauges.state_bytes(pipeline.state_bytes(state))
        meta: dict[str, JSON] = {
            "fingerprint": dict(self._fingerprint),
            "ledger": {"position": pipeline.ledger_position, "chain": pipeline.ledger_chain},
            "rows": pipeline.rows,
            **self._writer,
        }

        def then(_: object, seconds: float) -> None:
            # Save before commit: the brokers are never told of more than a crash would keep.
            failpoint("commit.before")
            self._source.commit(positions, then=lambda: failpoint("commit.done"))
            self._gauges.checkpoint(seconds=seconds, at_s=self._wall_clock())
            self.missing_checkpoint = ""

        def failed(error: StorageError) -> None:
            logger.error("no checkpoint at step %s, learning goes on: %s", step, error)
            self._gauges.checkpoint_failed()
            self.missing_checkpoint = str(error)

        return Write(
            work=lambda: self._checkpoints.save(step=step, state=state, meta=meta),
            then=then,
            failed=failed,
            cadence=self._checkpoint_cadence,
            began=began,
        )

    def _publish(self, pipeline: Pipeline) -> None:
        """Answer from what is learned now, if the gate agrees. A crash gives the same weights again, from the ledger: so it is
        fsynced first."""
        began, step, rows, model = self._clock(), pipeline.step, pipeline.rows, pipeline.learner.model
        published_rows, self._published_rows = self._published_rows, rows
        weights = host_copy(model.weights())
        decision = pipeline.guard.decide(finite=all_finite(weights))
        if not decision.publish:
            self._hold(decision, rows=rows)
            self._snapshot_cadence.done(began=began, ended=self._clock(), waited=self._beside.waited_s)
            return
        self._ledger.sync()
        companions = dict(pipeline.learner.companions())
        manifest = self._manifest(pipeline)

        def then(info: SnapshotInfo, seconds: float) -> None:
            told: dict[str, JSON] = {"version": info.version, "digest": info.digest, "step": step, "rows": rows}
            self._note("published", told | {"reason": decision.reason})
            if self._held:
                logger.info("publishing goes on at row %s (%s): %s", rows, decision.reason, decision.detail)
                self._held = ""
            pipeline.guard.serve(weights, rows=rows)
            pipeline.arrivals.published(step=step)
            self.published_version = info.version
            self._gauges.published(version=info.version, seconds=seconds, at_s=self._wall_clock())

        def failed(error: StorageError) -> None:
            if isinstance(error, WithheldError):
                self._hold(Decision(False, "alarm", str(error)), rows=rows)
                return
            if self._held != "failed":
                logger.error("no snapshot at row %s, the answers stay at the one before: %s", rows, error)
            self._held = "failed"
            self._gauges.gate("failed")
            # Or a stream that is quiet from here on would leave its last rows out of the answers.
            self._published_rows = published_rows

        self._beside.start(
            Write(
                work=lambda: self._snapshots.publish(
                    weights=weights,
                    weights_name=model.weights_name,
                    companions=companions,
                    manifest=manifest,
                    stands=pipeline.guard.stands,
                ),
                then=then,
                failed=failed,
                cadence=self._snapshot_cadence,
                began=began,
            )
        )

    def _hold(self, decision: Decision, *, rows: int) -> None:
        """Answers stay at the snapshot before. Counted each time, told once for each reason."""
        self._gauges.gate(decision.reason)
        if decision.reason != self._held:
            # A surge is a moment's caution and passes with the next rows; all else may need somebody.
            level = logging.INFO if decision.reason == "surge" else logging.WARNING
            logger.log(level, "nothing is published at row %s (%s): %s", rows, decision.reason, decision.detail)
            self._note("held", {"rows": rows, "reason": decision.reason, "detail": decision.detail})
            self._held = decision.reason

    def _manifest(self, pipeline: Pipeline) -> dict[str, JSON]:
        return {
            "step": pipeline.step,
            "rows": pipeline.rows,
            "positions": {str(partition): offset for partition, offset in sorted(pipeline.positions.items())},
            "ledger": {"position": pipeline.ledger_position, "chain": pipeline.ledger_chain},
            "scores": pipeline.evaluation.summary(),
            "arrivals": pipeline.arrivals.sample(),
            "published_s": self._wall_clock(),
            "blueprint": {**self._blueprint, **pipeline.learner.task.state_dict()},
        }

    def note_alarms(self, alarms: Sequence[Alarm]) -> None:
        """Note drift alarms in the ledger, where that is wanted. They follow from what was learned, so a redone step raises
        them again."""
        for alarm in alarms if self._notes_alarms else ():
            self._note("drift", {"row": alarm.example, "detector": alarm.detector, "direction": alarm.direction})

    def _note(self, kind: str, body: dict[str, JSON]) -> None:
        """Write to the ledger what is told, not planned; where it cannot grow, the next plan will say so and wait."""
        try:
            self._ledger.append(kind, body)
        except LedgerFull as full:
            logger.warning("%s is missing from the ledger: %s", kind, full)
