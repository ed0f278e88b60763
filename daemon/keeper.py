"""Keeps what was learned: checkpoints, copied in the loop and written beside it, and in between the publisher's snapshots."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

from daemon.beside import BesideTheLoop, Cadence, Write
from daemon.errors import StorageError
from daemon.failpoints import failpoint
from daemon.monitoring.alarm import Alarm
from daemon.monitoring.keeping_gauges import KeepingGauges
from daemon.pipeline import Pipeline
from daemon.publisher import Publisher
from daemon.state import JSON
from daemon.storage.canonical import sha256_of
from daemon.storage.checkpoints import Checkpoint, Checkpoints
from daemon.storage.ledger import Ledger
from daemon.storage.tensors import host_copy
from streams.errors import DeadLetterError
from streams.source import Source

logger = logging.getLogger(__name__)


class Keeper:
    """Decides when to keep, copies the state in the loop, and has it written beside the loop."""

    def __init__(
        self,
        *,
        checkpoints: Checkpoints,
        publisher: Publisher,
        ledger: Ledger,
        source: Source,
        gauges: KeepingGauges,
        fingerprint: Mapping[str, JSON],
        config: Mapping[str, JSON],
        epoch: int,
        checkpoint_interval_s: float,
        notes_alarms: bool = True,
    ) -> None:
        """Into every checkpoint go `fingerprint` (what the arithmetic depended on), `config` (every setting by its dotted name)
        and `epoch` (the writer's). With `notes_alarms` drift alarms are told in the ledger."""
        self._checkpoints, self._ledger, self._source = checkpoints, ledger, source
        self.publisher, self._gauges, self._fingerprint = publisher, gauges, fingerprint
        self._writer: dict[str, JSON] = {"epoch": epoch, "config": dict(config), "config_sha256": sha256_of(config)}
        self._notes_alarms = notes_alarms
        self._cadence = Cadence(checkpoint_interval_s, due_at=time.monotonic() + checkpoint_interval_s)
        self._beside = BesideTheLoop(clock=time.monotonic)
        self.missing_checkpoint = ""
        """Why the newest checkpoint could not be written; empty where it stands."""

    def newest_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint that verifies."""
        return self._checkpoints.load_newest()

    def waited(self, seconds: float) -> None:
        """The loop waited so long for records: time that writing may take."""
        self._beside.waited_s += seconds

    def keep_what_is_due(self, pipeline: Pipeline) -> None:
        """Called every turn of the loop: hear what became of the write under way, start the next one that is due."""
        self._beside.reap(wait=False)
        if self._beside.is_writing:
            return
        now, waited = time.monotonic(), self._beside.waited_s
        checkpoint_due = self._cadence.is_due(now=now, waited=waited)
        snapshot_due = self.publisher.lags(pipeline) and self.publisher.cadence.is_due(now=now, waited=waited)
        # Whichever has been due for longer, so that neither has the other wait forever.
        snapshot_first = self.publisher.cadence.due_at < self._cadence.due_at
        if snapshot_due and (snapshot_first or not checkpoint_due):
            self.publisher.publish(pipeline, self._beside)
        elif checkpoint_due:
            self._start_checkpoint(pipeline)

    def keep_everything(self, pipeline: Pipeline) -> None:
        """Checkpoint, then publish what is not published yet; returns when both stand."""
        self._beside.reap(wait=True)
        self._start_checkpoint(pipeline)
        self._beside.reap(wait=True)
        if self.publisher.lags(pipeline):
            self.publisher.publish(pipeline, self._beside)
            self._beside.reap(wait=True)

    def close(self) -> None:
        """Wait for the write under way."""
        self._beside.close()

    def _start_checkpoint(self, pipeline: Pipeline) -> None:
        """Dead letters first: a checkpoint says that what lies before its positions is dealt with."""
        began = time.monotonic()
        try:
            pipeline.dead_letters.flush()
        except DeadLetterError as error:
            logger.warning("no checkpoint at step %s, learning goes on: %s", pipeline.step, error)
            self._gauges.checkpoint_failed()
            self.missing_checkpoint = str(error)
            self._cadence.done(began=began, ended=time.monotonic(), waited=self._beside.waited_s)
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
            self._gauges.checkpoint(seconds=seconds, at_s=time.time())
            self.missing_checkpoint = ""

        def failed(error: StorageError) -> None:
            logger.error("no checkpoint at step %s, learning goes on: %s", step, error)
            self._gauges.checkpoint_failed()
            self.missing_checkpoint = str(error)

        return Write(
            work=lambda: self._checkpoints.save(step=step, state=state, meta=meta),
            then=then,
            failed=failed,
            cadence=self._cadence,
            began=began,
        )

    def note_alarms(self, alarms: Sequence[Alarm]) -> None:
        """Note drift alarms in the ledger, where that is wanted. They follow from what was learned, so a redone step raises
        them again."""
        for alarm in alarms if self._notes_alarms else ():
            self._ledger.note("drift", {"row": alarm.example, "detector": alarm.detector, "direction": alarm.direction})
