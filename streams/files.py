"""Records from files: one partition a file, one record a row."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from streams.buffers import Buffers
from streams.decoding.times import parse_time
from streams.errors import ReplacedError, SourceError
from streams.record import Record, Run
from streams.rows import LineReader, RowReader
from streams.source import Source

logger = logging.getLogger(__name__)

Start = Literal["earliest", "latest"]

# Files are read some hundred rows at a time, so that files read side by side arrive interleaved.
_CHUNK_ROWS = 256
# Growth of a followed file is found by asking; a tenth of a second is small beside the seconds that freshness is about.
_POLL_INTERVAL_S = 0.1


class RowSource(Source):
    """Reads files through row readers on one thread; partition p is the p-th reader.

    `time_field` names the JSON field that holds a row's time, by which files are merged; with "" (or where a row has no such
    time) the timestamp is 0.0, so that files are merged one after the other.
    """

    def __init__(
        self, *, topic: str, readers: Sequence[RowReader], start: Start, buffer_records: int, time_field: str = ""
    ) -> None:
        self.topic = topic
        self._readers = list(readers)
        self._start = start
        self._buffers = Buffers(topic=topic, capacity=buffer_records)
        self._timestamp = _TimeReader(time_field)
        self._thread = threading.Thread(target=self._read_all, name=f"read {topic}", daemon=True)
        self._counting = threading.Lock()

    def open(self, positions: Mapping[int, int], *, identity: Mapping[str, object] | None = None) -> None:
        self._check_partitions(positions)
        if identity is not None:
            self._check_identity(identity)
        ends = self.ends()
        start = "earliest" if positions else self._start  # a file without a position beside others that have one is new
        for partition, reader in enumerate(self._readers):
            first = ends[partition] if start == "latest" else 0
            position = positions.get(partition, first)
            reader.open(position)
            self._buffers.add(partition, position=position)
            self._buffers.set_end(partition, ends[partition])
        self._thread.start()

    def identity(self) -> dict[str, object]:
        return {"files": [{"name": reader.path.name, "first_row_sha256": reader.first_row_hash()} for reader in self._readers]}

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
        with self._counting:
            return {partition: reader.count() for partition, reader in enumerate(self._readers)}

    def lag(self) -> dict[int, int]:
        return self._buffers.lag()

    def commit(self, positions: Mapping[int, int], *, then: Callable[[], None] = lambda: None) -> None:
        """Nothing to tell: no tool asks a file how far it was read."""
        then()

    def skipped(self) -> Sequence[Run]:
        """Always empty: a file loses no rows but by being replaced, which is an error."""
        return self._buffers.skipped()

    def close(self) -> None:
        self._buffers.close()
        if self._thread.is_alive():
            self._thread.join()
        for partition, reader in enumerate(self._readers):
            if reader.is_cut_short():
                logger.warning(
                    "%s: the last row, offset %s, has no newline and was not read, since more of it may have been on its way; "
                    "end it with a newline, or set source.follow = false",
                    reader.path,
                    self._buffers.read_to(partition),
                )
            reader.close()

    def _check_partitions(self, positions: Mapping[int, int]) -> None:
        unknown = sorted(partition for partition in positions if not 0 <= partition < len(self._readers))
        if unknown:
            raise ReplacedError(
                f"{self.topic}: positions are saved for partition {unknown[0]}, but only {len(self._readers)} files are given; "
                "give the same files in the same order (new ones at the end), or start a new folder"
            )

    def _check_identity(self, identity: Mapping[str, object]) -> None:
        saved = identity.get("files")
        if not isinstance(saved, list):
            raise ReplacedError(f"{self.topic}: the saved positions belong to a topic, not to files; start a new folder")
        for number, (then, reader) in enumerate(zip(saved, self._readers, strict=False)):
            if then["name"] != reader.path.name:
                raise ReplacedError(
                    f"{self.topic}[{number}]: positions were saved for file {then['name']}, but {reader.path.name} is given; "
                    "give the same files in the same order (new ones at the end), or start a new folder"
                )
            # A file that had no full row yet could not be told from others.
            if then["first_row_sha256"] not in ("", reader.first_row_hash()):
                raise ReplacedError(
                    f"{self.topic}[{number}]: {reader.path} does not begin with the row that it began with when the "
                    "positions were saved; restore the file, or start a new folder"
                )

    def _read_all(self) -> None:
        any_grows = any(reader.grows for reader in self._readers)
        try:
            while not self._buffers.closed:
                self._buffers.demand.clear()
                num_read = sum(self._read_some(partition) for partition in range(len(self._readers)))
                if num_read == 0 and not self._buffers.closed:
                    self._buffers.demand.wait(_POLL_INTERVAL_S if any_grows else None)
        except SourceError as error:
            self._buffers.fail(error)
        except Exception as error:  # the loop must hear of a bug here, not wait for rows for ever
            self._buffers.fail(SourceError(f"{self.topic}: reading failed: {error!r}"))
            raise

    def _read_some(self, partition: int) -> int:
        """Read one chunk of a file into its buffer, unless that is full; returns by how much the offset moved."""
        if self._buffers.full(partition):
            return 0
        reader = self._readers[partition]
        before = self._buffers.read_to(partition)
        rows, read_to = reader.read(_CHUNK_ROWS)
        if read_to == before:
            return 0
        records = [
            Record(self.topic, partition, offset, value, headers=reader.headers(offset), timestamp_s=self._timestamp(value))
            for offset, value in rows
        ]
        self._buffers.put(partition, records, read_to=read_to)
        if reader.grows:
            with self._counting:
                self._buffers.set_end(partition, reader.count())
        return read_to - before


class FileSource(RowSource):
    """JSON-lines files, plain or gzipped. With `follow`, plain files are read on as they grow.

    Offsets are line numbers counted from 0. Blank lines are holes. While a file is followed only lines that end in a newline
    count; otherwise a last line without one counts too.
    """

    def __init__(
        self,
        *,
        topic: str,
        paths: Sequence[Path],
        follow: bool,
        buffer_records: int,
        start: Start = "earliest",
        time_field: str = "",
    ) -> None:
        readers = [LineReader(path, follow=follow) for path in paths]
        super().__init__(topic=topic, readers=readers, start=start, buffer_records=buffer_records, time_field=time_field)


class _TimeReader:
    """The time of a row in seconds since the epoch, 0.0 where it has none."""

    def __init__(self, field: str) -> None:
        self._decoder = None
        if field:
            row = msgspec.defstruct("Row", [("time", float | str | None, None)], rename={"time": field})
            self._decoder = msgspec.json.Decoder(row)

    def __call__(self, value: bytes) -> float:
        if self._decoder is None:
            return 0.0
        try:
            time = self._decoder.decode(value).time  # type: ignore[attr-defined]  # made by defstruct
            return 0.0 if time is None else parse_time(time)
        except (ValueError, RecursionError):  # what is wrong with it, decoding tells
            return 0.0
