"""Recorded files for a backtest: JSON lines, or CSV with a header whose rows become the same JSON objects."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from streams.decoding.fields import Fields
from streams.decoding.json import CSV_FAULT, CSV_LINE
from streams.errors import ReplacedError, UnfitError
from streams.files import RowSource
from streams.rows import Headers, LineReader, RowReader, open_binary

# The csv module refuses longer cells; the usual 128 KiB are too few for a text, and without any limit a quote that is never
# closed would swallow the whole file.
_LONGEST_CELL = 16 * 1024 * 1024
# Enough to meet both texts and features where rows have one or the other.
_INSPECTED_ROWS = 100
# Of names in a message.
_NAMES_SHOWN, _LONGEST_NAME = 10, 40


@dataclass(frozen=True, slots=True)
class RowKinds:
    """What the first rows of a file have."""

    text: bool
    features: bool


class TableSource(RowSource):
    """One recorded file from its first row on, as the records that a `JsonDecoder` with the same `fields` reads.

    In CSV the columns named in `fields` keep their meaning and all others are features; columns named in `slices` are
    features too.
    """

    def __init__(self, *, path: Path, fields: Fields, slices: Sequence[str] = (), buffer_records: int = 4096) -> None:
        reader = _reader(path, fields=fields, slices=slices)
        super().__init__(topic=path.name, readers=[reader], start="earliest", buffer_records=buffer_records)


def inspect(path: Path, *, fields: Fields) -> RowKinds:
    """Whether any of the first 100 rows has a text, and whether any has features.

    Raises `UnfitError` where there is no row, or none of them has a label.
    """
    reader = _reader(path, fields=fields, slices=())
    try:
        reader.open(0)
        values = [value for _, value in reader.read(_INSPECTED_ROWS)[0]]
    finally:
        reader.close()
    if not values:
        raise UnfitError(f"{path}: there are no rows; give a file with at least one")
    rows = [row for value in values if isinstance(row := _parse(value), dict)]
    if not any(row.get(fields.label) is not None for row in rows):
        raise UnfitError(
            f'{path}: none of the first {len(values)} rows has the label "{fields.label}"; name it with --label '
            f"({_what_is_there(reader, rows)})"
        )
    kinds = RowKinds(
        text=any(row.get(fields.text) is not None for row in rows), features=any(row.get(fields.features) for row in rows)
    )
    if not kinds.text and not kinds.features:
        raise UnfitError(
            f'{path}: none of the first {len(values)} rows has a text ("{fields.text}") or features ("{fields.features}", an '
            "object); name the fields in [decoding]"
        )
    return kinds


def _what_is_there(reader: RowReader, rows: Sequence[Mapping[str, object]]) -> str:
    if isinstance(reader, CsvReader):
        return f"columns there: {_listed(reader.columns)}"
    return f"fields there: {_listed(sorted({name for row in rows for name in row})) or 'none, they are not JSON objects'}"


def _listed(names: Sequence[str]) -> str:
    """Names for a message, as many and as much of each as one can read.

    >>> _listed(["a", "b" * 50]), _listed([str(n) for n in range(12)])
    ('a, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb...', '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more')
    """
    shown = ", ".join(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..." for name in names[:_NAMES_SHOWN])
    return shown + (f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else "")


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
                f'{self.path}: no column is called "{self._fields.label}"; name the label with --label '
                f"(columns there: {_listed(header)})"
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


def _reader(path: Path, *, fields: Fields, slices: Sequence[str]) -> RowReader:
    """A JSON object is told from a header by its first character."""
    try:
        with open_binary(path) as file:
            beginning = file.read(4096)
    except (EOFError, OSError, zlib.error) as error:
        raise UnfitError(f"{path}: cannot be read ({error}); restore the file") from error
    if b"\0" in beginning:
        raise UnfitError(f"{path}: is no text in UTF-8 but a binary file; give JSON lines or CSV, plain or .gz")
    is_json = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")
    return LineReader(path, follow=False) if is_json else CsvReader(path, fields=fields, slices=slices)


def _parse(value: bytes) -> object:
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return None


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
