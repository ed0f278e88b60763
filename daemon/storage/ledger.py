"""The append-only ledger: every outside decision that touches the weights, written before it is carried out.

Entries are lines of JSON in segments, numbered and chained by SHA-256, so that the chain of one entry vouches for all before.
A plan of a micro-batch takes about 155 bytes: 2.4 MB per million rows in micro-batches of 64.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from daemon.errors import LedgerError, LedgerFull
from daemon.storage.durable import make_folder, remedy
from daemon.storage.entries import GENESIS, Entry, encode, read_entries, read_header, scan, segments
from daemon.storage.segments import Segment, remove_unfinished

logger = logging.getLogger(__name__)


class Ledger:
    """Appends entries and reads them back.

    A written entry survives a kill of the process; `sync` makes it survive a power cut. `epoch_check` is called before each
    append and raises where another writer took over. `append` belongs to one thread, `sync` may be called from any.

    Reading (`entries`, `verify`) needs no `open` and works beside a writer in another process.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = 4 << 20, epoch_check: Callable[[], None] = lambda: None) -> None:
        self._folder, self._segment_bytes, self._epoch_check = folder, segment_bytes, epoch_check
        self._segment: Segment | None = None
        self._swap = threading.Lock()
        self._lost, self._lost_by = "", OSError()
        self.position = 0
        """Number of the next entry."""
        self.head = GENESIS
        """The chain of the last entry."""

    def open(self) -> None:
        """Find the end, to append there. Reads only the last segment, whatever the length of the ledger.

        A last line that a kill or a power cut tore is dropped with a warning. Raises `LedgerError` for any other damage.
        """
        try:
            make_folder(self._folder)
            remove_unfinished(self._folder)
            paths = segments(self._folder)
            if paths:
                self._recover(paths)
        except OSError as error:
            raise LedgerError(f"{self._folder}: cannot be opened ({error}); {remedy(error)}") from error

    def append(self, kind: str, body: dict[str, Any]) -> int:
        """Write one entry and return its number.

        Raises `LedgerFull` where a new segment finds no space: nothing was written, and the next call tries again.
        """
        self._require_durable()
        self._epoch_check()
        line, chain = encode(self.position, kind, body, previous=self.head)
        if self._segment is None or not self._segment.fits(line):
            self._segment = self._next_segment(len(line))
        self._segment.write(line)
        self.position, self.head = self.position + 1, chain
        return self.position - 1

    def note(self, kind: str, body: dict[str, Any]) -> None:
        """Append what is told, not planned; where the ledger cannot grow, the next plan will say so and wait."""
        try:
            self.append(kind, body)
        except LedgerFull as full:
            logger.warning("%s is missing from the ledger: %s", kind, full)

    def sync(self) -> None:
        """Return when every entry appended before this call would survive a power cut. Appending goes on meanwhile."""
        self._require_durable()
        with self._swap:
            if self._segment is None:
                return
            # Every earlier segment was fsynced before the next one began.
            file = self._segment.duplicate()
        try:
            os.fsync(file)
        except OSError as error:
            # The system reports lost pages once and then forgets them: a later fsync would only seem to succeed.
            self._lost_by = error
            self._lost = f"{self._folder}: entries may be lost ({error}); {remedy(error)}, then start again"
            raise LedgerError(self._lost) from error
        finally:
            os.close(file)

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Entries from number `start` on, each checked against the chain; raises `LedgerError` at the first that is damaged."""
        return read_entries(self._folder, start)

    def verify(self) -> int:
        """Check every entry from the first; returns how many there are. Raises `LedgerError` as `entries` does."""
        return sum(1 for _ in self.entries())

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        if self._segment:
            self._segment.close()
            self._segment = None

    def _next_segment(self, line_bytes: int) -> Segment:
        # Else a power cut could keep the new segment and lose the end of the old one: a hole.
        self.sync()
        size = max(self._segment_bytes, line_bytes)
        segment = Segment.create(self._folder, first=self.position, previous=self.head, size=size)
        with self._swap:
            if self._segment:
                self._segment.close(cut=True)
            self._segment = segment
        return segment

    def _require_durable(self) -> None:
        if self._lost:
            raise LedgerError(self._lost) from self._lost_by

    def _recover(self, paths: list[Path]) -> None:
        self.position, self.head, end = read_header(paths[-1])
        for entry, end in scan(paths[-1], last=True):  # noqa: B007 - the last one is what is wanted
            self.position, self.head = entry.n + 1, entry.chain
        self._segment = Segment(paths[-1], end=end)
        if dropped := self._segment.clear_tail():
            logger.warning(
                "%s: entry %s was torn by a kill or a power cut; it and what follows (%s bytes from offset %s) are dropped",
                paths[-1], self.position, dropped, end,
            )  # fmt: skip
