"""Has the answers come from what was learned last, where the gate agrees: copied in the loop, written beside it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from daemon.beside import BesideTheLoop, Cadence, Write
from daemon.errors import SnapshotError, StorageError, WithheldError
from daemon.monitoring.gate import Decision
from daemon.monitoring.keeping_gauges import KeepingGauges
from daemon.pipeline import Pipeline
from daemon.state import JSON, loading
from daemon.storage.ledger import Ledger
from daemon.storage.snapshot import SnapshotInfo
from daemon.storage.snapshots import Snapshots
from daemon.storage.tensors import all_finite, host_copy

logger = logging.getLogger(__name__)


class Publisher:
    """Publishes snapshots, and says in the ledger which, and why none where the gate holds them back."""

    def __init__(
        self,
        *,
        snapshots: Snapshots,
        ledger: Ledger,
        gauges: KeepingGauges,
        blueprint: Mapping[str, JSON],
        interval_s: float,
    ) -> None:
        """Into every snapshot goes `blueprint`: how to build the model that takes its weights."""
        self._snapshots, self._ledger, self._gauges, self._blueprint = snapshots, ledger, gauges, blueprint
        self.cadence = Cadence(interval_s)
        self.version: int | None = None
        """Of the snapshot published last."""
        self._rows = 0  # learned when it was
        self._held = ""  # the reason for which nothing is published, told once

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
            self.version, self._rows = version, snapshot.manifest["rows"]

    def goes_on_from(self, pipeline: Pipeline) -> None:
        """Recovery is over. Where it had to give up steps, more rows may be published than are learned now: what is learned
        from here on is published all the same."""
        self._rows = min(self._rows, pipeline.rows)

    def lags(self, pipeline: Pipeline) -> bool:
        """Whether rows were learned since the last snapshot."""
        return pipeline.rows > self._rows

    def publish(self, pipeline: Pipeline, beside: BesideTheLoop) -> None:
        """Answer from what is learned now, if the gate agrees. A crash gives the same weights again, from the ledger: so it is
        fsynced first."""
        began, step, rows, model = time.monotonic(), pipeline.step, pipeline.rows, pipeline.learner.model
        published_rows, self._rows = self._rows, rows
        weights = host_copy(model.weights())
        decision = pipeline.guard.decide(finite=all_finite(weights))
        if not decision.publish:
            self._hold(decision, rows=rows)
            self.cadence.done(began=began, ended=time.monotonic(), waited=beside.waited_s)
            return
        self._ledger.sync()
        companions = dict(pipeline.learner.companions())
        manifest = self._manifest(pipeline)

        def then(info: SnapshotInfo, seconds: float) -> None:
            told: dict[str, JSON] = {"version": info.version, "digest": info.digest, "step": step, "rows": rows}
            self._ledger.note("published", told | {"reason": decision.reason})
            if self._held:
                logger.info("publishing goes on at row %s (%s): %s", rows, decision.reason, decision.detail)
                self._held = ""
            pipeline.guard.serve(weights, rows=rows)
            pipeline.arrivals.published(step=step)
            self.version = info.version
            self._gauges.published(version=info.version, seconds=seconds, at_s=time.time())

        def failed(error: StorageError) -> None:
            if isinstance(error, WithheldError):
                self._hold(Decision(False, "alarm", str(error)), rows=rows)
                return
            if self._held != "failed":
                logger.error("no snapshot at row %s, the answers stay at the one before: %s", rows, error)
            self._held = "failed"
            self._gauges.gate("failed")
            # Or a stream that is quiet from here on would leave its last rows out of the answers.
            self._rows = published_rows

        beside.start(
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
                cadence=self.cadence,
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
            self._ledger.note("held", {"rows": rows, "reason": decision.reason, "detail": decision.detail})
            self._held = decision.reason

    def _manifest(self, pipeline: Pipeline) -> dict[str, JSON]:
        return {
            "step": pipeline.step,
            "rows": pipeline.rows,
            "positions": {str(partition): offset for partition, offset in sorted(pipeline.positions.items())},
            "ledger": {"position": pipeline.ledger_position, "chain": pipeline.ledger_chain},
            "scores": pipeline.evaluation.summary(),
            "arrivals": pipeline.arrivals.sample(),
            "published_s": time.time(),
            "blueprint": {**self._blueprint, **pipeline.learner.task.state_dict()},
        }
