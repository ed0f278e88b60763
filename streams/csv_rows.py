"""CSV with a header, as the JSON objects that a decoder reads."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from streams.decoding.fields import Fields
from streams.decoding.json import CSV_FAULT, CSV_LINE
from streams.errors import ReplacedError, UnfitError, listed
from streams.rows import Headers, RowReader, open_binary

# The csv module refuses longer cells; the usual 128 KiB are too few for a text, and without any limit a quote that is never
# closed would swallow the whole file.
_LONGEST_CELL = 16 * 1024 * 1024


class CsvReader(RowReader):
    """The rows of a CSV file with a header, each as a JSON object; empty lines do not count.

    A column is numeric if its first non-empty cell is a finite number; a later cell that is none is a category, as is every
    cell of the other columns. An empty cell is a missing value. A row with more cells than the header becomes a JSON array,
    which no decoder takes. Headers say the line of each row, and of such a row what is wrong with it.
    """

    grows = False

    def __init__(self, path: Path, *, fields: Fields, slices: Sequence[str] = ()) -> None:
        self.path = path
        self._fields, self._slices = fields, slices
        self._rows: Iterator[tuple[int, list[str]]] = iter(())
        self._headers: dict[int, Headers] = {}
        self._stream: io.TextIOWrapper | None = None
        self._header: list[str] = []
        self._numeric: dict[str, bool] = {}
        self._offset = 0
        self._count = -1

    def open(self, position: int) -> None:
        self.close()
        self._stream = self._open_stream()
        self._rows = self._numbered(self._stream)
        self._header = self._checked_header()
        self._numeric, self._offset = {}, 0
        # Whether a column is numeric is decided by the rows from the first on, so all of them are looked at.
        for _, cells in islice(self._rows, position):
            self._object(cells)
            self._offset += 1
        if self._offset < position:
            raise ReplacedError(
                f"{self.path}: reading is to go on at row {position} (counted from 0), but the file has only {self._offset}; "
                "it was truncated or replaced. Restore the file, or start a new folder"
            )

    def read(self, max_rows: int) -> tuple[list[tuple[int, bytes]], int]:
        rows, self._headers = [], {}
        for line, cells in islice(self._rows, max_rows):
            value, fault = self._encode(cells)
            rows.append((self._offset, value))
            place = (CSV_LINE, b"%d" % line)
            self._headers[self._offset] = (place, (CSV_FAULT, fault.encode())) if fault else (place,)
            self._offset += 1
        return rows, self._offset

    def headers(self, offset: int) -> Headers:
        return self._headers[offset]

    @property
    def columns(self) -> Sequence[str]:
        """Those of the header, once the file was opened."""
        return self._header

    def count(self) -> int:
        if self._count < 0:
            with self._open_stream() as stream:
                self._count = max(0, sum(1 for _ in self._numbered(stream)) - 1)
        return self._count

    def first_row_hash(self) -> str:
        with self._open_stream() as stream:
            return hashlib.sha256(
                msgspec.json.encode([_raw(cells) for _, cells in islice(self._numbered(stream), 2)])
            ).hexdigest()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _open_stream(self) -> io.TextIOWrapper:
        # What is not UTF-8 travels as surrogates, so that it is the row's trouble and not the file's.
        return io.TextIOWrapper(open_binary(self.path), encoding="utf-8-sig", errors="surrogateescape", newline="")

    def _numbered(self, stream: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
        """The rows that are not empty, header first, each with the line that it begins on, counted from 1."""
        csv.field_size_limit(_LONGEST_CELL)
        lines, line = csv.reader(stream), 1
        try:
            for cells in lines:
                if cells:
                    yield line, cells
                line = lines.line_num + 1
        except csv.Error as error:
            what = "has a cell of more than 16 MiB" if "field limit" in str(error) else f"cannot be read ({error})"
            raise UnfitError(f"{self.path}: the row that begins on line {line} {what}; is a quote never closed?") from error
        except (EOFError, OSError, zlib.error) as error:
            raise UnfitError(f"{self.path}: cannot be read on after line {lines.line_num} ({error}); restore it") from error

    def _checked_header(self) -> list[str]:
        _, header = next(self._rows, (0, []))
        if not header:
            raise UnfitError(f"{self.path}: is empty; give a file with a header, or JSON lines")
        if self._fields.label not in header:
            raise UnfitError(
                f'{self.path}: no column is called "{self._fields.label}"; name it with --label or in decoding.label '
                f"(columns there: {listed(header)})"
            )
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise UnfitError(f'{self.path}: two columns are called "{twice[0]}"; rename one')
        return header

    def _encode(self, cells: list[str]) -> tuple[bytes, str]:
        """A row as JSON, and what is wrong with it, "" for nothing that shows here."""
        if len(cells) > len(self._header):
            fault = f"{len(cells)} cells, more than the {len(self._header)} columns of the header"
            return msgspec.json.encode([cell.encode("utf-8", "replace").decode() for cell in cells]), fault
        try:
            return msgspec.json.encode(self._object(cells)), ""
        except UnicodeEncodeError:
            column = next(name for name, cell in zip(self._header, cells, strict=False) if not _is_unicode(cell))
            return _raw(cells), f'column "{column}" is not UTF-8'

    def _object(self, cells: list[str]) -> object:
        fields = self._fields
        row: dict[str, object] = {}
        features: dict[str, float | str] = {}
        for name, cell in zip(self._header, cells, strict=False):
            if name == fields.text:
                row[name] = cell
            elif not cell.strip():
                continue
            elif name in (fields.label, fields.id):
                row[name] = cell
            elif name in (fields.time, fields.weight):
                row[name] = _number_or_text(cell)
            else:
                features[name] = self._feature(name, cell)
                if name in self._slices:
                    row[name] = cell
        # Last, so that a slice column cannot stand in its place.
        return {**row, fields.features: features} if features or fields.text not in row else row

    def _feature(self, name: str, cell: str) -> float | str:
        value = _number_or_text(cell)
        if self._numeric.setdefault(name, isinstance(value, float)):
            return value
        return cell


def _number_or_text(cell: str) -> float | str:
    """
    >>> _number_or_text(" 1e3 "), _number_or_text("1_000"), _number_or_text("nan")
    (1000.0, '1_000', 'nan')
    """
    try:
        number = float(cell)
    except ValueError:
        return cell
    # Python reads underscores in numbers; files of other tools do not mean a number by them.
    return number if math.isfinite(number) and "_" not in cell else cell


def _is_unicode(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def _raw(cells: list[str]) -> bytes:
    return ",".join(cells).encode("utf-8", "surrogateescape")
