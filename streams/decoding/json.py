"""JSON objects as examples."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any, Literal, NoReturn

import msgspec

from streams.decoding.base import Decoder
from streams.decoding.fields import Fields
from streams.decoding.times import parse_time
from streams.errors import DecodeError
from streams.record import Example, Record

Task = Literal["classification", "regression"]
Scalar = str | int | float | bool | None
Features = dict[str, float | str | bool | None]

# A whole number below this is written in digits, so that a float and the integer that it equals are one label. From there on
# there are only floats: integers have 64 bits.
_IN_DIGITS = 1e21
# Times a class weight, which is as large at most, a row counts for 1e12: every expert and mixer stays finite after it.
_LARGEST_WEIGHT = 1e6
# Squares of such targets, and sums of them, are still numbers.
_LARGEST_TARGET = 1e100

# Headers of a record that was a row of a CSV file: the line that it begins on, and what is wrong with it as such.
CSV_LINE, CSV_FAULT = "csv.line", "csv.fault"


class JsonDecoder(Decoder):
    """Reads a record's value as one JSON object.

    - label: a string as written (an empty or blank one is a missing label), a number in shortest form (1, 1.0 and 1e0 are the
      one JSON number "1"), or "true"/"false".
      For regression a number within ±1e100, which may stand in a string.
    - text: a string. features: an object of finite numbers, strings (categories), booleans (the categories "true" and
      "false") and nulls (missing). At least one of the two must be there.
    - id: a string or number, "topic-partition-offset" where there is none.
    - time: see `parse_time`; the record's timestamp where there is none. weight: 0 to 1e6, else 1.
    - slices: slice name -> field; left out where the record has no such field.

    null means "not there" everywhere; other fields are ignored. `labels`, if not empty, is the fixed set of labels.

    >>> decoder = JsonDecoder(task="classification", fields=Fields(), slices={}, labels=(), max_value_bytes=1_000_000)
    >>> decoder.decode(Record("t", 0, 7, b'{"features": {"x": 2, "y": null, "z": true}, "label": 1.0}'))
    Example(id='t-0-7', text='', features={'x': 2.0, 'z': 'true'}, target='1', weight=1.0, slices={}, time_s=None, offset=7)
    """

    def __init__(
        self,
        *,
        task: Task,
        fields: Fields,
        slices: Mapping[str, str],
        labels: Collection[str],
        max_value_bytes: int,
    ) -> None:
        self._fields, self._labels, self._max_value_bytes = fields, frozenset(labels), max_value_bytes
        self._target = self._label if task == "classification" else self._number
        names = [fields.text, fields.label, fields.id, fields.time, fields.weight, *slices.values()]
        if fields.features in slices.values():
            raise ValueError(f'the field "{fields.features}" holds the features, it cannot be a slice; name another field')
        # Several roles may share one JSON field, so each distinct name becomes one attribute.
        attributes = {name: f"f{number}" for number, name in enumerate(dict.fromkeys(names))}
        self._slices = [(name, attributes[field]) for name, field in slices.items()]
        row = msgspec.defstruct(
            "Row",
            [*((attribute, Scalar, None) for attribute in attributes.values()), ("features", Features | None, None)],
            rename={**{attribute: name for name, attribute in attributes.items()}, "features": fields.features},
            gc=False,
        )
        self._decoder = msgspec.json.Decoder(row)

    def decode(self, record: Record) -> Example:
        try:
            return self._decode(record)
        except DecodeError as error:
            raise _placed(error, record) from None

    def _decode(self, record: Record) -> Example:
        # f0 to f4 are text, label, id, time and weight: the order of `names` above.
        row: Any = self._parse(record.value)
        text, features = row.f0, row.features
        if text is None:
            if features is None:
                raise DecodeError("schema", f'neither "{self._fields.text}" nor "{self._fields.features}" is there')
            text = ""
        elif type(text) is not str:
            raise DecodeError("schema", f'"{self._fields.text}" is {_show(text)}, not a string')
        return Example(
            id=f"{record.topic}-{record.partition}-{record.offset}" if row.f2 is None else _string(row.f2),
            text=text,
            features=_clean(features) if features else {},
            target=self._target(row.f1),
            weight=1.0 if row.f4 is None else self._weight(row.f4),
            slices=self._slices_of(row) if self._slices else {},
            time_s=(record.timestamp_s or None) if row.f3 is None else self._time(row.f3),
            offset=record.offset,
        )

    def _slices_of(self, row: Any) -> dict[str, str]:
        return {name: _string(value) for name, attribute in self._slices if (value := getattr(row, attribute)) is not None}

    def _parse(self, value: bytes | None) -> object:
        if value is None:
            raise DecodeError("tombstone", "the record has no value")
        if len(value) > self._max_value_bytes:
            raise DecodeError("bounds", f"the value has {len(value)} bytes, more than the {self._max_value_bytes} allowed")
        try:
            value.decode()  # the JSON decoder checks only the strings that it keeps
            return self._decoder.decode(value)
        except UnicodeDecodeError as error:
            raise DecodeError("encoding", f"not UTF-8 at byte {error.start}") from None
        except (msgspec.DecodeError, RecursionError) as error:
            self._explain(value, error)

    def _explain(self, value: bytes, error: Exception) -> NoReturn:
        """Find out, with time to spare, what is wrong with a value that could not be parsed."""
        try:
            row = json.loads(value, parse_constant=_refuse_constant)
        except _ConstantError as constant:
            raise DecodeError("bounds", f"{constant} is not a finite number") from None
        except (ValueError, RecursionError):
            raise DecodeError("parse", str(error)) from None
        if not isinstance(error, msgspec.ValidationError):
            raise DecodeError("parse", str(error))
        if not isinstance(row, dict):
            raise DecodeError("parse", f"{_kind(row)}, not an object")
        if "out of range" in str(error):
            raise DecodeError("bounds", f"{error}; the number does not fit 64 bits")
        features = row.get(self._fields.features)
        if features is not None and not isinstance(features, dict):
            raise DecodeError("schema", f'"{self._fields.features}" is {_kind(features)}, not an object')
        for column, cell in (features or {}).items():
            if isinstance(cell, dict | list):
                raise DecodeError("schema", f'feature "{column}" is {_kind(cell)}, not a number, string, boolean or null')
        raise DecodeError("schema", str(error))

    def _label(self, value: Scalar) -> str:
        label = "" if value is None else _string(value)
        if not label or label.isspace():
            raise DecodeError("schema", f'the label "{self._fields.label}" is {"missing" if value is None else "empty"}')
        if self._labels and label not in self._labels:
            raise DecodeError("label", f'"{label}" is none of the {len(self._labels)} labels allowed')
        return label

    def _number(self, value: Scalar) -> float:
        if value is None or (isinstance(value, str) and not value.strip()):
            raise DecodeError("schema", f'the target "{self._fields.label}" is {"missing" if value is None else "empty"}')
        try:
            number = float("true" if isinstance(value, bool) else value)
        except ValueError:
            raise DecodeError("schema", f'the target "{self._fields.label}" is {_show(value)}, not a number') from None
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise DecodeError("bounds", f'the target "{self._fields.label}" is {_show(value)}, not a finite number')
        if abs(number) > _LARGEST_TARGET:
            raise DecodeError("bounds", f'the target "{self._fields.label}" is {_show(value)}, not within ±1e100')
        return number

    def _weight(self, value: Scalar) -> float:
        if isinstance(value, bool | str) or value is None:
            raise DecodeError("schema", f'"{self._fields.weight}" is {_show(value)}, not a number')
        if not 0 <= value <= _LARGEST_WEIGHT:
            raise DecodeError("bounds", f'"{self._fields.weight}" is {_show(value)}, not a number from 0 to 1,000,000')
        return float(value)

    def _time(self, value: Scalar) -> float:
        try:
            if isinstance(value, bool) or value is None:
                raise ValueError
            return parse_time(value)
        except (ValueError, OverflowError):
            raise DecodeError(
                "schema", f'"{self._fields.time}" is {_show(value)}, neither seconds nor milliseconds nor ISO 8601'
            ) from None


def _placed(error: DecodeError, record: Record) -> DecodeError:
    """Of a row of a CSV file: by its line, and in words of that file."""
    headers = dict(record.headers)
    line, fault = headers.get(CSV_LINE), headers.get(CSV_FAULT)
    if line is None:
        return error
    return DecodeError(
        error.stage, f"line {line.decode(errors='replace')}: {fault.decode(errors='replace') if fault else error.reason}"
    )


def _clean(features: Features) -> Mapping[str, float | str]:
    """Without missing values, booleans as categories."""
    for value in features.values():
        if value is None or value is True or value is False:
            return {k: _string(v) if v is True or v is False else v for k, v in features.items() if v is not None}
    return features  # type: ignore[return-value]  # holds neither None nor booleans


def _string(value: Scalar) -> str:
    """A scalar as text; a number in the shortest form that reads back as the same number, whole ones below 1e21 in digits.

    >>> _string(1), _string(1.0), _string(0.10), _string(-0.0), _string(1e16), _string(True)
    ('1', '1', '0.1', '0', '10000000000000000', 'true')
    >>> _string(1e300), _string(0.00001), _string(-2.5e-7)
    ('1e300', '1e-5', '-2.5e-7')
    """
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _IN_DIGITS:
        return str(int(value))
    digits, _, exponent = str(value).partition("e")
    return f"{digits}e{int(exponent)}" if exponent else digits


def _show(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


class _ConstantError(Exception):
    """NaN or an infinity stands in the JSON text."""


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(name)
