"""Recorded files for a backtest: JSON lines, or CSV with a header whose rows become the same JSON objects."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from streams.csv_rows import CsvReader
from streams.decoding.fields import Fields
from streams.errors import UnfitError, listed
from streams.files import RowSource
from streams.rows import LineReader, RowReader, open_binary

# Enough to meet both texts and features where rows have one or the other.
_INSPECTED_ROWS = 10_000
# What a file is by the end of its name (before ".gz"), whatever its first row looks like.
_KINDS = {".jsonl": "json", ".json": "json", ".ndjson": "json", ".csv": "csv"}


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
    """Whether any of the first 10,000 rows has a text, and whether any has features.

    Raises `UnfitError` where there is no row, or none of them has a label.
    """
    reader = _reader(path, fields=fields, slices=())
    values = _first_values(reader)
    if not values:
        raise UnfitError(f"{path}: there are no rows; give a file with at least one")
    rows = _objects(values)
    if not any(row.get(fields.label) is not None for row in rows):
        raise UnfitError(
            f'{path}: none of the first {len(values)} rows has the label "{fields.label}"; name it with --label or in '
            f"decoding.label ({_what_is_there(reader, rows)})"
        )
    text = any(row.get(fields.text) is not None for row in rows)
    # Without a text, rows may have no feature at all: a series is learned from its earlier labels alone.
    features = any(row.get(fields.features) or (not text and row.get(fields.features) == {}) for row in rows)
    if not text and not features:
        raise UnfitError(
            f'{path}: none of the first {len(values)} rows has a text ("{fields.text}") or features ("{fields.features}", an '
            "object); name the fields in [decoding]"
        )
    return RowKinds(text=text, features=features)


def lacks_times(path: Path, *, fields: Fields, slice_field: str, is_lines: bool) -> bool:
    """Whether any of the first 10,000 rows has the slice in `slice_field`, and none of those a time.

    `is_lines` says that the file is read as JSON lines, whatever its name. Raises `UnfitError` where it cannot be read.
    """
    reader = LineReader(path, follow=False) if is_lines else _reader(path, fields=fields, slices=(slice_field,))
    rows = [row for row in _objects(_first_values(reader)) if row.get(slice_field) is not None]
    return bool(rows) and all(row.get(fields.time) is None for row in rows)


def _first_values(reader: RowReader) -> list[bytes]:
    try:
        reader.open(0)
        return [value for _, value in reader.read(_INSPECTED_ROWS)[0]]
    finally:
        reader.close()


def _objects(values: Sequence[bytes]) -> list[dict[str, object]]:
    return [row for value in values if isinstance(row := _parse(value), dict)]


def _what_is_there(reader: RowReader, rows: Sequence[Mapping[str, object]]) -> str:
    if isinstance(reader, CsvReader):
        return f"columns there: {listed(reader.columns)}"
    return f"fields there: {listed(sorted({name for row in rows for name in row})) or 'none, they are not JSON objects'}"


def _reader(path: Path, *, fields: Fields, slices: Sequence[str]) -> RowReader:
    """JSON lines or CSV by the file's name; where that says neither, a JSON object is told from a header by its first
    character."""
    try:
        with open_binary(path) as file:
            beginning = file.read(4096)
    except (EOFError, OSError, zlib.error) as error:
        raise UnfitError(f"{path}: cannot be read ({error}); restore the file") from error
    kind = _KINDS.get(Path(path.name.lower().removesuffix(".gz")).suffix)
    if kind != "json" and b"\0" in beginning:
        raise UnfitError(f"{path}: is no text in UTF-8 but a binary file; give JSON lines or CSV, plain or .gz")
    kind = kind or ("json" if beginning.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[") else "csv")
    return LineReader(path, follow=False) if kind == "json" else CsvReader(path, fields=fields, slices=slices)


def _parse(value: bytes) -> object:
    try:
        return msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return None
