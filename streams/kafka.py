"""Records from a Kafka topic."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from kafka import TopicPartition
from kafka.errors import KafkaError

from streams.buffers import Buffers
from streams.errors import ReplacedError, SourceError, UnfitError
from streams.kafka_client import KafkaCluster, KafkaSecurity, Topic
from streams.kafka_commit import Committer
from streams.kafka_reader import CONSUMER_OPTIONS, KafkaReader
from streams.record import Record, Run
from streams.source import Source

logger = logging.getLogger(__name__)

_ASK_TIMEOUT_MS = 10_000


class KafkaSource(Source):
    """Reads partitions of one topic: all of them (also those added later) or those named.

    Positions come from the caller alone; offsets committed at the broker are never read. Partitions without a position start
    by `start` when there are no positions at all, else (they were added to the topic meanwhile) at their beginning.

    An outage of the brokers is no error: reading goes on when they are back. Records that retention took before they were
    read are (`on_gap="stop"`), or are passed over and reported by `skipped` (`"skip"`). A consumer that stands still for
    `stall_timeout_s` though there is something to read is built anew.
    """

    def __init__(
        self,
        *,
        topic: str,
        bootstrap_servers: str,
        buffer_records: int,
        partitions: Sequence[int] = (),
        group_id: str = "",
        start: Literal["earliest", "latest"] = "earliest",
        on_gap: Literal["stop", "skip"] = "stop",
        security: KafkaSecurity | None = None,
        stall_timeout_s: float = 30.0,
    ) -> None:
        self.topic = topic
        self._cluster = KafkaCluster(bootstrap_servers=bootstrap_servers, security=security or KafkaSecurity())
        self._wanted, self._start, self._on_gap = tuple(partitions), start, on_gap
        self._stall_timeout_s = stall_timeout_s
        self._buffers = Buffers(topic=topic, capacity=buffer_records)
        self._committer = Committer(cluster=self._cluster, topic=topic, group_id=group_id)
        self._topic_id = ""
        self._reader: KafkaReader | None = None
        self._thread: threading.Thread | None = None

    def open(self, positions: Mapping[int, int], *, identity: Mapping[str, object] | None = None) -> None:
        found = self._cluster.topic(self.topic)
        self._check_identity(found, identity)
        partitions = self._chosen(found, positions)
        self._topic_id = found.id
        reader = KafkaReader(
            cluster=self._cluster,
            topic=found,
            all_partitions=not self._wanted,
            buffers=self._buffers,
            on_gap=self._on_gap,
            stall_timeout_s=self._stall_timeout_s,
        )
        self._reader = reader
        unnamed = [partition for partition in partitions if partition not in positions]
        try:
            first = reader.start_positions(unnamed, "earliest" if positions else self._start) if unnamed else {}
        except SourceError:
            reader.close()
            raise
        reader.assign({**first, **positions})
        self._thread = threading.Thread(target=reader.run, name=f"read {self.topic}", daemon=True)
        self._thread.start()

    def identity(self) -> dict[str, object]:
        return {"topic_id": self._topic_id}

    def positions(self) -> dict[int, int]:
        return self._buffers.positions()

    def take_arrived(self, max_records: int, *, timeout_s: float) -> list[Record]:
        return self._buffers.take_arrived(max_records, timeout_s=timeout_s)

    def take_merged(self, max_records: int, *, ends: Mapping[int, int], timeout_s: float) -> list[Record]:
        return self._buffers.take_merged(max_records, ends=ends, timeout_s=timeout_s)

    def has_run(self, run: Run, *, timeout_s: float) -> bool:
        return self._buffers.has_run(run, timeout_s=timeout_s)

    def take_run(self, run: Run, *, timeout_s: float) -> list[Record] | None:
        return self._buffers.take_run(run, timeout_s=timeout_s)

    def exhausted(self, ends: Mapping[int, int]) -> bool:
        return self._buffers.exhausted(ends)

    def ends(self) -> dict[int, int]:
        """Under read_committed the end is the last stable offset: what an open transaction holds back does not count."""
        consumer = self._cluster.consumer(**CONSUMER_OPTIONS)
        partitions = [TopicPartition(self.topic, partition) for partition in self.positions()]
        try:
            found = consumer.end_offsets(partitions, timeout_ms=_ASK_TIMEOUT_MS)
        except KafkaError as error:
            raise SourceError(f"{self.topic}: the ends of the partitions cannot be asked for ({error}); try again") from error
        finally:
            consumer.close(autocommit=False)
        return {tp.partition: found[tp] for tp in partitions}

    def lag(self) -> dict[int, int]:
        return self._buffers.lag()

    def commit(self, positions: Mapping[int, int], *, then: Callable[[], None] = lambda: None) -> None:
        self._committer.commit(positions, then=then)

    def skipped(self) -> Sequence[Run]:
        return self._buffers.skipped()

    @property
    def reachable(self) -> bool:
        return not (self._reader and self._reader.outage.lasts)

    @property
    def rebuilds(self) -> int:
        """How often the consumer was built anew because it stood still."""
        return self._reader.rebuilds if self._reader else 0

    @property
    def commit_failures(self) -> int:
        return self._committer.failures

    def close(self) -> None:
        self._buffers.close()
        if self._thread is not None:
            self._thread.join()
        self._committer.close()

    def _check_identity(self, found: Topic, identity: Mapping[str, object] | None) -> None:
        if identity is None:
            return
        saved = identity.get("topic_id")
        if saved is None:
            raise ReplacedError(f"{self.topic}: the saved positions belong to files, not to a topic; start a new folder")
        if saved and found.id and saved != found.id:
            raise ReplacedError(
                f"{self.topic}: the topic was deleted and made anew since the positions were saved (id {saved}, now "
                f"{found.id}); its offsets mean other records now. Start a new folder"
            )

    def _chosen(self, found: Topic, positions: Mapping[int, int]) -> Sequence[int]:
        missing = sorted(set(self._wanted or positions) - set(found.partitions))
        if missing:
            raise UnfitError(
                f"{self.topic}: there is no partition {missing[0]} (there are {len(found.partitions)}); correct "
                "source.partitions or the topic"
            )
        foreign = sorted(set(positions) - set(self._wanted)) if self._wanted else []
        if foreign:
            raise UnfitError(
                f"{self.topic}: positions are saved for partition {foreign[0]}, which source.partitions does not name; name "
                "it, or start a new folder"
            )
        return self._wanted or found.partitions
