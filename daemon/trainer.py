"""The loop: gather a micro-batch, write down what will be learned, learn it, keep it.

    startup    take the newest checkpoint, read on from its positions, redo what the ledger had planned since
    loop       gather -> plan -> learn -> keep, until asked to stop or the log is at its end
    shutdown   finish the step, checkpoint, publish, leave

Everything that decides the weights passes through `learn`, live and redone alike, so a redone step is the same step.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from daemon.errors import LedgerFull
from daemon.failpoints import failpoint
from daemon.gathering import Gatherer, MicroBatch
from daemon.keeper import Keeper
from daemon.monitoring.telemetry import Telemetry
from daemon.pipeline import Pipeline
from daemon.plan import Plan, runs_of
from daemon.progress import Progress
from daemon.recovery import Terms, recover
from daemon.state import JSON
from daemon.storage.ledger import Ledger
from streams.record import Run
from streams.source import Source

logger = logging.getLogger(__name__)

# How long learning pauses before it asks again whether the ledger can grow.
FULL_PAUSE_S = 1.0


class Trainer:
    """One model, one writer, one loop. Everything it needs is handed to it; nothing is looked up."""

    def __init__(
        self,
        *,
        source: Source,
        pipeline: Pipeline,
        ledger: Ledger,
        keeper: Keeper,
        telemetry: Telemetry,
        gatherer: Callable[[Source], Gatherer],
        terms: Terms,
        progress: Progress,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source, self._pipeline, self._ledger = source, pipeline, ledger
        self._keeper, self._telemetry, self._make_gatherer = keeper, telemetry, gatherer
        self._terms, self._progress, self._sleep = terms, progress, sleep
        self._stopping = False

    def stop(self) -> None:
        """Ask the loop to end after the step that it is in; only sets flags, so a signal handler may call it."""
        self._stopping = True
        self._telemetry.health.stopping()

    @property
    def published_version(self) -> int | None:
        """The snapshot that answers now; None before the first."""
        return self._keeper.publisher.version

    @property
    def missing_checkpoint(self) -> str:
        """Why the newest checkpoint could not be written; empty where it stands."""
        return self._keeper.missing_checkpoint

    def run(self) -> str:
        """Learn until asked to stop or the log is at its end; returns the `state_sha256` of what was learned."""
        gatherer = self.startup()
        self.loop(gatherer)
        return self.shutdown()

    def startup(self) -> Gatherer:
        self._keeper.publisher.serve_on(self._pipeline)
        recover(
            terms=self._terms,
            checkpoint=self._keeper.newest_checkpoint(),
            source=self._source,
            pipeline=self._pipeline,
            ledger=self._ledger,
            goes_on=self._goes_on,
        )
        self._keeper.publisher.goes_on_from(self._pipeline)
        return self._make_gatherer(self._source)

    def loop(self, gatherer: Gatherer) -> bool:
        """Learn until asked to stop or the log is at its end; whether it was learned to its end."""
        while not gatherer.at_end():
            if self._stopping:
                return False
            began = time.monotonic()
            batch = gatherer.next()
            self._keeper.waited(time.monotonic() - began)
            if batch and not self.learn_planned(batch):
                return False
            self._keeper.keep_what_is_due(self._pipeline)
            self._tell()
        return True

    def _tell(self) -> None:
        lag = self._source.lag()
        self._telemetry.turn(lag=lag, positions=self._pipeline.positions, newest_s=self._pipeline.newest_s)
        self._tell_of_source()
        self._progress.turn(self._pipeline, lag=lag, snapshot_version=self._keeper.publisher.version)

    def _tell_of_source(self) -> None:
        self._telemetry.source(
            reachable=self._source.reachable,
            rebuilds=self._source.rebuilds,
            commit_failures=self._source.commit_failures,
        )

    def _goes_on(self) -> bool:
        """Recovery is under way, and waits for brokers that are away as the loop does: alive, and saying so."""
        self._telemetry.health.moved()
        self._tell_of_source()
        return not self._stopping

    def shutdown(self) -> str:
        self._keeper.keep_everything(self._pipeline)
        return self._pipeline.state_sha256()

    def learn_planned(self, batch: MicroBatch) -> bool:
        """Write down what will be learned, then learn it. False where a stop was asked for while the ledger could not grow."""
        if not all(self._pass(gap) for gap in batch.gaps):
            return False
        if not batch.records:
            return True
        runs = runs_of(batch.records, self._pipeline.positions)
        plan = Plan(step=self._pipeline.step + 1, rows=self._pipeline.rows, runs=runs)
        failpoint("plan.before")
        if not self._write_down("plan", plan.body()):
            return False
        failpoint("plan.written")
        alarms = self._pipeline.learn(plan, batch.records)
        self._keeper.note_alarms(alarms)
        self._pipeline.carried_out(self._ledger.position, self._ledger.head)
        failpoint("step.done")
        return True

    def _pass(self, gap: Run) -> bool:
        """Write down a gap that the operator lets us pass (one that a redone plan starts behind is written down already)."""
        start = max(gap.start, self._pipeline.positions.get(gap.partition, gap.start))
        if start >= gap.end:
            return True
        if not self._write_down("skipped", {"partition": gap.partition, "start": start, "end": gap.end}):
            return False
        self._pipeline.skip(Run(gap.partition, start, gap.end))
        self._pipeline.carried_out(self._ledger.position, self._ledger.head)
        return True

    def _write_down(self, kind: str, body: dict[str, JSON]) -> bool:
        """Append to the ledger; while it cannot grow, learning pauses and answers go on. False when asked to stop meanwhile."""
        while True:
            try:
                self._ledger.append(kind, body)
            except LedgerFull as full:
                if not self._telemetry.paused:
                    logger.warning("learning pauses: %s", full)
                self._telemetry.ledger_paused(True)
                if self._stopping:
                    return False
                self._sleep(FULL_PAUSE_S)
            else:
                if self._telemetry.paused:
                    logger.info("learning goes on: the ledger can grow again")
                    self._telemetry.ledger_paused(False)
                return True
