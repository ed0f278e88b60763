"""What JSON becomes, and what is refused with which stage."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.decoding.fields import Fields
from streams.decoding.json import JsonDecoder
from streams.errors import DecodeError
from streams.record import Example, Record


def decoder(**options: Any) -> JsonDecoder:
    defaults: dict[str, Any] = {
        "task": "classification",
        "fields": Fields(),
        "slices": {},
        "labels": (),
        "max_value_bytes": 1000,
    }
    return JsonDecoder(**(defaults | options))


def decode(value: bytes | str | None, **options: Any) -> Example:
    raw = value.encode() if isinstance(value, str) else value
    return decoder(**options).decode(Record("mail", 2, 17, raw, timestamp_s=12.5))


def refusal(value: bytes | str | None, **options: Any) -> tuple[str, str]:
    with pytest.raises(DecodeError) as caught:
        decode(value, **options)
    return caught.value.stage, caught.value.reason


def test_everything_there() -> None:
    value = {
        "text": "héllo",
        "features": {"a": 1, "b": -2.5, "c": "red", "d": True, "e": False, "f": None, "g": ""},
        "label": "spam",
        "id": 7,
        "time": "2001-06-25T11:18:19Z",
        "weight": 0.5,
        "other": [1, {"x": None}],
        "lang": "fr",
        "size": 3.0,
    }
    example = decode(json.dumps(value), slices={"language": "lang", "size": "size", "absent": "nowhere", "class": "label"})
    assert example == Example(
        id="7",
        text="héllo",
        features={"a": 1.0, "b": -2.5, "c": "red", "d": "true", "e": "false", "g": ""},
        target="spam",
        weight=0.5,
        slices={"language": "fr", "size": "3", "class": "spam"},
        time_s=993467899.0,
        offset=17,
    )
    assert list(example.features) == ["a", "b", "c", "d", "e", "g"]


def test_defaults() -> None:
    assert decode('{"text": "", "label": "a", "id": null, "time": null, "weight": null}') == Example(
        id="mail-2-17", text="", features={}, target="a", weight=1.0, slices={}, time_s=12.5, offset=17
    )
    assert decode('{"features": {}, "label": "a"}').features == {}


def test_other_names() -> None:
    fields = Fields(text="body", features="x", label="y", id="key", time="at", weight="w")
    value = '{"body": "b", "x": {"a": 1}, "y": "l", "key": "k", "at": 3, "w": 2, "text": 5, "features": 5}'
    assert decode(value, fields=fields) == Example("k", "b", {"a": 1.0}, "l", 2.0, {}, 3.0, 17)


def test_two_fields_cannot_share_a_name() -> None:
    with pytest.raises(ValueError, match='two fields are both called "text"'):
        Fields(label="text")
    with pytest.raises(ValueError, match="cannot be a slice"):
        decoder(slices={"s": "features"})


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ('"1.0"', "1.0"),
        ("1", "1"),
        ("1.0", "1"),
        ("1e0", "1"),
        ("-0.0", "0"),
        ("0.10", "0.1"),
        ("1.5e3", "1500"),
        ("12345678901234567890", "12345678901234567890"),
        ("1e300", "1e300"),
        ("1e-7", "1e-7"),
        ("1e16", "10000000000000000"),
        ("true", "true"),
        ('" a "', " a "),
        ('"\\ud83d\\ude00"', "😀"),
    ],
)
def test_labels_are_strings(written: str, label: str) -> None:
    assert decode(f'{{"text": "t", "label": {written}}}').target == label


@pytest.mark.parametrize(("written", "target"), [("1", 1.0), ("-2.5e3", -2500.0), ('"3.25"', 3.25), ('" 1e-3 "', 0.001)])
def test_regression_targets_are_numbers(written: str, target: float) -> None:
    assert decode(f'{{"text": "t", "label": {written}}}', task="regression").target == target


@pytest.mark.parametrize(
    ("value", "stage", "reason"),
    [
        (None, "tombstone", "no value"),
        (b"\xff", "encoding", "not UTF-8 at byte 0"),
        (b'{"text": "t", "label": "a", "other": "\xe9"}', "encoding", "not UTF-8 at byte 38"),
        ("", "parse", "truncated"),
        ("no json", "parse", "malformed"),
        ("[1]", "parse", "an array, not an object"),
        ("3", "parse", "a number, not an object"),
        ("null", "parse", "null, not an object"),
        ('{"text": "t", "label": "a"} x', "parse", "trailing characters"),
        ('{"text": "\\ud800", "label": "a"}', "parse", ""),
        ("[" * 600, "parse", ""),
        ('{"text": "t"}', "schema", 'the label "label" is missing'),
        ('{"text": "t", "label": null}', "schema", 'the label "label" is missing'),
        ('{"text": "t", "label": ""}', "schema", 'the label "label" is empty'),
        ('{"text": "t", "label": " \\t"}', "schema", 'the label "label" is empty'),
        ('{"text": "t", "label": ["a"]}', "schema", "array"),
        ('{"label": "a"}', "schema", 'neither "text" nor "features" is there'),
        ('{"text": null, "features": null, "label": "a"}', "schema", "neither"),
        ('{"text": 5, "label": "a"}', "schema", '"text" is 5, not a string'),
        ('{"features": [1, 2], "label": "a"}', "schema", '"features" is an array, not an object'),
        ('{"features": {"x": [1]}, "label": "a"}', "schema", 'feature "x" is an array'),
        ('{"features": {"x": {"y": 1}}, "label": "a"}', "schema", 'feature "x" is an object'),
        ('{"features": {"x": NaN}, "label": "a"}', "bounds", "NaN is not a finite number"),
        ('{"features": {"x": -Infinity}, "label": "a"}', "bounds", "-Infinity is not a finite number"),
        ('{"features": {"x": 1e999}, "label": "a"}', "bounds", "out of range"),
        (f'{{"features": {{"x": 1{"0" * 400}}}, "label": "a"}}', "bounds", "out of range"),
        ('{"text": "t", "label": "a", "weight": -1}', "bounds", '"weight" is -1, not a number from 0 to 1,000,000'),
        ('{"text": "t", "label": "a", "weight": 1000001}', "bounds", "not a number from 0 to 1,000,000"),
        ('{"text": "t", "label": "a", "weight": "1"}', "schema", '"weight" is "1", not a number'),
        ('{"text": "t", "label": "a", "time": "soon"}', "schema", '"time" is "soon", neither seconds'),
        ('{"text": "t", "label": "a", "time": true}', "schema", '"time" is true'),
        ('{"text": "t", "label": "a", "id": {}}', "schema", "object"),
        ('{"text": "' + "x" * 1000 + '", "label": "a"}', "bounds", "the value has 1026 bytes, more than the 1000 allowed"),
    ],
)
def test_refusals_say_stage_and_reason(value: bytes | str | None, stage: str, reason: str) -> None:
    found_stage, found_reason = refusal(value)
    assert found_stage == stage
    assert reason in found_reason


def test_label_outside_the_fixed_set() -> None:
    assert decode('{"text": "t", "label": "ham"}', labels=("ham", "spam")).target == "ham"
    assert refusal('{"text": "t", "label": "eggs"}', labels=("ham", "spam")) == (
        "label",
        '"eggs" is none of the 2 labels allowed',
    )


@pytest.mark.parametrize(
    ("written", "stage"),
    [
        ('"high"', "schema"),
        ("true", "schema"),
        ('"nan"', "bounds"),
        ("1e999", "bounds"),
        ("NaN", "bounds"),
        ("1.01e100", "bounds"),
        ("-1.7e308", "bounds"),
        ('"1e200"', "bounds"),
    ],
)
def test_regression_target_must_be_a_finite_number(written: str, stage: str) -> None:
    assert refusal(f'{{"text": "t", "label": {written}}}', task="regression")[0] == stage


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
objects = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
rows = st.dictionaries(st.sampled_from(["text", "features", "label", "id", "time", "weight"]), objects)
features = st.fixed_dictionaries({"features": st.dictionaries(st.text(), scalars), "label": scalars})


@given(st.binary() | rows.map(lambda row: json.dumps(row).encode()) | features.map(lambda row: json.dumps(row).encode()))
def test_nothing_but_a_decode_error_or_a_clean_example(value: bytes) -> None:
    stages = set()
    for task in ("classification", "regression"):
        try:
            example = decode(value, task=task, max_value_bytes=10**6)
        except DecodeError as error:
            stages.add(error.stage)
        else:
            example.text.encode()
            example.id.encode()
            assert all(isinstance(v, str) or math.isfinite(v) for v in example.features.values())
            assert math.isfinite(example.weight)
            assert math.isfinite(example.time_s)
    assert stages <= {"encoding", "parse", "schema", "bounds"}
