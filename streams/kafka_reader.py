"""The thread that reads a topic into buffers, through outages, gaps and stalls."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, OffsetOutOfRangeError

from streams import topic_watch
from streams.buffers import Buffers
from streams.errors import GapError, ReplacedError, SourceError
from streams.kafka_client import BOOTSTRAP_TIMEOUT_MS, KafkaCluster, Topic, UnreachableError
from streams.kafka_errors import explained
from streams.outage import Outage
from streams.record import Record, Run

logger = logging.getLogger(__name__)

# Records that are appended show up within milliseconds whatever these are; they only bound how long `close` waits and how
# soon a paused partition goes on.
_IDLE_POLL_MS = 200
_PAUSED_WAIT_S = 0.02
_ASK_TIMEOUT_MS = 5000

CONSUMER_OPTIONS: dict[str, Any] = {
    "enable_auto_commit": False,  # the default commits what was not learned
    "auto_offset_reset": "none",  # the default skips to the end in silence
    "isolation_level": "read_committed",  # aborted transactions are no examples
    "check_crcs": True,
    "max_poll_records": 500,
    # One fetch a broker is under way at a time: while it waits at the end of one partition, a resumed one waits with it.
    "fetch_max_wait_ms": 100,
    "fetch_max_bytes": 8 * 1024 * 1024,  # memory; a single larger record still comes whole
    "max_partition_fetch_bytes": 1024 * 1024,
}


class KafkaReader:
    """Fills `buffers` from `topic` until they are closed; `run` is the body of the reading thread.

    `all_partitions` says that partitions which are added to the topic are read too, from their beginning.
    """

    def __init__(
        self,
        *,
        cluster: KafkaCluster,
        topic: Topic,
        all_partitions: bool,
        buffers: Buffers,
        on_gap: Literal["stop", "skip"],
        stall_timeout_s: float,
    ) -> None:
        self._cluster, self._topic, self._all_partitions = cluster, topic, all_partitions
        self._buffers, self._on_gap, self._stall_timeout_s = buffers, on_gap, stall_timeout_s
        self._partitions: list[TopicPartition] = []
        self._consumer = self._make_consumer()
        self._moved_at = time.monotonic()
        self._watch = topic_watch.TopicWatch(cluster=cluster, topic=topic)
        self._any_full = False
        self.outage = Outage(topic.name)
        self.rebuilds = 0
        """How often the consumer had to be built anew because it stood still."""

    def start_positions(self, partitions: Sequence[int], start: Literal["earliest", "latest"]) -> dict[int, int]:
        ends = [TopicPartition(self._topic.name, partition) for partition in partitions]
        ask = self._consumer.beginning_offsets if start == "earliest" else self._consumer.end_offsets
        try:
            return {tp.partition: offset for tp, offset in ask(ends, timeout_ms=_ASK_TIMEOUT_MS).items()}
        except KafkaError as error:
            raise self._explained(error) from error

    def assign(self, positions: Mapping[int, int]) -> None:
        """Read these partitions too, from these positions on."""
        for partition, position in sorted(positions.items()):
            self._buffers.add(partition, position=position)
            self._partitions.append(TopicPartition(self._topic.name, partition))
        self._consumer.assign(self._partitions)
        for partition, position in positions.items():
            self._consumer.seek(TopicPartition(self._topic.name, partition), position)

    def run(self) -> None:
        try:
            while not self._buffers.closed:
                self._turn()
        except SourceError as error:
            self._buffers.fail(error)
        except KafkaError as error:
            self._buffers.fail(self._explained(error))
        except Exception as error:  # the loop must hear of a bug here, not wait for records for ever
            self._buffers.fail(SourceError(f"{self._topic.name}: reading failed: {error!r}"))
            raise
        finally:
            self.close()

    def close(self) -> None:
        self._consumer.close(autocommit=False, timeout_ms=_ASK_TIMEOUT_MS)

    def _turn(self) -> None:
        timeout_ms = self._pace()
        try:
            fetched = self._consumer.poll(timeout_ms=timeout_ms)
        except OffsetOutOfRangeError as error:
            try:
                for tp in error.args[0]:
                    self._resolve_out_of_range(tp)
            except (KafkaConnectionError, KafkaTimeoutError) as lost:
                self.outage.noted(self._explained(lost))  # and the next poll tells of the gap again
            return
        self._watch.check_same(self._consumer._cluster.topic_id(self._topic.name))
        if fetched:
            self._deliver(fetched)
        else:
            self._pass_holes()
            if self._any_full:
                # The client fetches on a thread of its own meanwhile; here the wait ends as soon as a record is taken.
                self._buffers.demand.wait(_PAUSED_WAIT_S)
        self._note_ends()
        now = time.monotonic()  # no time in which nothing is polled counts as a stall
        if self._watch.is_due:
            self._look_up()
        if now - self._moved_at > self._stall_timeout_s:
            self._check_stall()

    def _pace(self) -> int:
        """Pause full partitions, resume the others; returns how long to poll."""
        self._buffers.demand.clear()
        full = [tp for tp in self._partitions if self._buffers.full(tp.partition)]
        self._consumer.pause(*full)
        self._consumer.resume(*(tp for tp in self._partitions if tp not in full))
        # kafka-python 3.0 takes up again what it had parked of a paused partition only if this is None; a batch that was read
        # to its end, which counts as false, would hold up the parked ones for ever.
        if not self._consumer._fetcher._next_partition_records:
            self._consumer._fetcher._next_partition_records = None
        if len(full) == len(self._partitions):
            self._moved_at = time.monotonic()  # standing still on purpose
        self._any_full = bool(full)
        return 0 if full else _IDLE_POLL_MS

    def _deliver(self, fetched: Mapping[TopicPartition, Sequence[Any]]) -> None:
        for tp, messages in fetched.items():
            records = [
                Record(m.topic, m.partition, m.offset, m.value, m.key, tuple(m.headers), max(0, m.timestamp or 0) / 1000)
                for m in messages
            ]
            self._buffers.put(tp.partition, records, read_to=records[-1].offset + 1)
        self._moved()

    def _pass_holes(self) -> None:
        """Nothing came, so where the consumer stands beyond the last record there are only markers and aborted records."""
        for tp in self._partitions:
            position = self._consumer.position(tp, timeout_ms=0)
            if position is not None and position > self._buffers.read_to(tp.partition):
                self._buffers.put(tp.partition, [], read_to=position)
                self._moved()

    def _note_ends(self) -> None:
        for tp in self._partitions:
            end = self._consumer.highwater(tp)
            if end is not None:
                self._buffers.set_end(tp.partition, end)

    def _resolve_out_of_range(self, tp: TopicPartition) -> None:
        position = self._buffers.read_to(tp.partition)
        first = self._consumer.beginning_offsets([tp], timeout_ms=_ASK_TIMEOUT_MS)[tp]
        end = self._consumer.end_offsets([tp], timeout_ms=_ASK_TIMEOUT_MS)[tp]
        if position > end:
            raise ReplacedError(
                f"{tp.topic}[{tp.partition}]: position {position} lies beyond the end {end}; the topic was made anew or its "
                "log truncated. Restore the topic, or start a new folder"
            )
        if position >= first:
            return  # retention or a change of leader was under way; the next poll tells
        if self._on_gap == "stop":
            raise GapError(tp.topic, tp.partition, position=position, first=first)
        logger.warning("%s[%d]: records %d to %d are gone, skipped", tp.topic, tp.partition, position, first - 1)
        self._buffers.skip(Run(tp.partition, position, first))
        self._consumer.seek(tp, first)
        self._moved()

    def _look_up(self) -> None:
        try:
            partitions = self._watch.look_up()
            if self._all_partitions:
                self._read_new(partitions)
        except UnreachableError as error:
            self.outage.noted(error)
        else:
            self.outage.over()

    def _read_new(self, partitions: Sequence[int]) -> None:
        known = {tp.partition for tp in self._partitions}
        if new := [partition for partition in partitions if partition not in known]:
            first = self.start_positions(new, "earliest")
            logger.info("%s: new partitions %s, read from their beginning", self._topic.name, new)
            self.assign(first)

    def _check_stall(self) -> None:
        """Nothing moved for a while: that is right if there is nothing to read; otherwise the consumer is stuck or cut off."""
        self._moved_at = time.monotonic()
        try:
            ends = self._consumer.end_offsets(self._partitions, timeout_ms=_ASK_TIMEOUT_MS)
        except KafkaError:
            ends = None
        if ends is not None and all(
            self._buffers.read_to(tp.partition) >= end or self._buffers.full(tp.partition) for tp, end in ends.items()
        ):
            return
        try:
            consumer = self._make_consumer()
        except UnreachableError as error:
            self.outage.noted(error)
            return
        self.rebuilds += 1
        logger.warning(
            "%s: no record came for %s s though there are some; the consumer was built anew",
            self._topic.name,
            self._stall_timeout_s,
        )
        self._consumer.close(autocommit=False, timeout_ms=0)
        self._consumer = consumer
        self._consumer.assign(self._partitions)
        for tp in self._partitions:
            self._consumer.seek(tp, self._buffers.read_to(tp.partition))

    def _make_consumer(self) -> KafkaConsumer:
        return self._cluster.consumer(
            timeout_ms=topic_watch.LOOK_UP_TIMEOUT_MS if self._partitions else BOOTSTRAP_TIMEOUT_MS, **CONSUMER_OPTIONS
        )

    def _moved(self) -> None:
        self._moved_at = time.monotonic()
        self.outage.over()

    def _explained(self, error: KafkaError) -> SourceError:
        return explained(error, topic=self._topic.name, positions=self._buffers.positions())
