"""Looks a topic up now and then: whether it is still the one that is read, and which partitions it has now."""

from __future__ import annotations

import time
from collections.abc import Sequence

from streams.errors import ReplacedError
from streams.kafka_client import KafkaCluster, Topic

LOOK_UP_INTERVAL_S = 5.0
# Nothing is read meanwhile, so a broker that comes back is not kept waiting long.
LOOK_UP_TIMEOUT_MS = 2000


class TopicWatch:
    """Of `topic`, as it was when it was opened."""

    def __init__(self, *, cluster: KafkaCluster, topic: Topic) -> None:
        self._cluster, self._topic = cluster, topic
        self._looked_up_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._looked_up_at > LOOK_UP_INTERVAL_S

    def look_up(self) -> Sequence[int]:
        """The partitions. Raises `UnreachableError` where no broker answers, `ReplacedError` as `check_same`."""
        self._looked_up_at = time.monotonic()
        topic = self._cluster.topic(self._topic.name, timeout_ms=LOOK_UP_TIMEOUT_MS)
        self.check_same(topic.id)
        return topic.partitions

    def check_same(self, topic_id: object) -> None:
        """Raise `ReplacedError` where the topic of that name has another id by now; brokers of old give none."""
        if topic_id and self._topic.id and str(topic_id) != self._topic.id:
            raise ReplacedError(
                f"{self._topic.name}: the topic was deleted and made anew while it was read (id {self._topic.id}, now "
                f"{topic_id}); its offsets mean other records now. Start a new folder"
            )
