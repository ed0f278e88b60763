"""Whether any broker answers: told once when none does, and once when one does again."""

from __future__ import annotations

import gc
import logging
import time

from streams.errors import SourceError

logger = logging.getLogger(__name__)

# kafka-python leaves the socket of a refused connection, about one a second, to the garbage collector, held by a cycle of
# exceptions. A process that waits allocates little, so that the oldest generation might not be collected for hours.
_COLLECT_INTERVAL_S = 30.0


class Outage:
    """What the reader of `topic` knows of its brokers.

    >>> outage = Outage("orders")
    >>> outage.noted(SourceError("no broker answers"))
    >>> outage.lasts
    True
    >>> outage.over()
    >>> outage.lasts
    False
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._collected_at = time.monotonic()
        self.lasts = False
        """Whether no broker answers, as of the last look-up."""

    def noted(self, error: SourceError) -> None:
        """No broker answered just now."""
        if not self.lasts:
            logger.warning("%s; reading goes on by itself when it answers", error)
        self.lasts = True
        if time.monotonic() - self._collected_at > _COLLECT_INTERVAL_S:
            gc.collect()
            self._collected_at = time.monotonic()

    def over(self) -> None:
        """A broker answered."""
        if self.lasts:
            logger.info("%s: the brokers answer again, reading goes on", self._topic)
            self.lasts = False
