"""Committed offsets, for lag tools alone: nothing here is ever read back, and nothing waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from streams.errors import SourceError
from streams.kafka_client import KafkaCluster

logger = logging.getLogger(__name__)

_TIMEOUT_MS = 5000


class Committer:
    """Commits positions of one topic on a thread of its own; an empty `group_id` commits nothing.

    Only the newest positions matter: those that come while a commit is under way replace each other. The reading consumer
    has no group, so that trouble with the group (no coordinator, no right to it) never stops reading.
    """

    def __init__(self, *, cluster: KafkaCluster, topic: str, group_id: str) -> None:
        self._cluster, self._topic, self._group_id = cluster, topic, group_id
        self._pending: tuple[dict[int, int], Callable[[], None]] | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._in_trouble = False
        self._thread = threading.Thread(target=self._run, name=f"commit {topic}", daemon=True)
        self.failures = 0
        """Commits that failed so far."""

    def commit(self, positions: Mapping[int, int], *, then: Callable[[], None]) -> None:
        """`then` is called by that thread once the brokers have acknowledged; at once where there is nothing to commit."""
        if not self._group_id or not positions:
            then()
            return
        with self._changed:
            self._pending = dict(positions), then
            if not self._thread.is_alive() and not self._closed:
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """Commit what is pending (one try, 5 s at most) and stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        consumer: KafkaConsumer | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._closed)
                pending, self._pending = self._pending, None
            if pending is None:
                break
            positions, then = pending
            offsets = {TopicPartition(self._topic, p): OffsetAndMetadata(o, "", -1) for p, o in positions.items()}
            try:
                consumer = consumer or self._cluster.consumer(group_id=self._group_id, enable_auto_commit=False)
                consumer.commit(offsets, timeout_ms=_TIMEOUT_MS)
                self._in_trouble = False
            except (KafkaError, SourceError) as error:
                self._note_failure(error)
            else:
                then()
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=_TIMEOUT_MS)

    def _note_failure(self, error: Exception) -> None:
        self.failures += 1
        if not self._in_trouble:
            logger.warning(
                "%s: offsets could not be committed for group %s (%s); lag tools will lag, learning goes on",
                self._topic,
                self._group_id,
                error,
            )
        self._in_trouble = True
