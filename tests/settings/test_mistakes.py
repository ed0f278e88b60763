"""Every mistake in a setting is told in learnd's own words, by the name that the setting was given."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from daemon.config import examine
from daemon.settings import FilesSettings, KafkaSettings, Section, Settings

FILES = {"source": {"kind": "files", "paths": ["a.jsonl"]}}
KAFKA = {"source": {"kind": "kafka", "topic": "t"}}
# What pydantic says, in its several ways.
PYDANTIC = (
    "Input ", "Extra inputs", "valid dictionary", "instance of", "should", "pattern", "unable to", "Unable to",
    "tag", "permitted", "pydantic", "lax-or-strict", "literal[", "function-after", "Value error",
)  # fmt: skip
WRONG = (
    5, -1, 1.5, True, float("nan"), 10**30, "", "é/!", "\ud800", "1e999", [1], ["a"], [[1]], {}, {"a": -1}, {"a": "x"},
    {"a": [1]}, date(2026, 1, 1),
)  # fmt: skip


def sections() -> Iterator[tuple[str, dict[str, Any], type[Section]]]:
    yield "source", KAFKA["source"], KafkaSettings
    yield "source", FILES["source"], FilesSettings
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield name, {}, field.annotation


FIELDS = [
    pytest.param(name, rest, field, id=f"{section.__name__}.{field}")
    for name, rest, section in sections()
    for field in [*section.model_fields, "no_such_field"]
]


@pytest.mark.parametrize(("section", "rest", "field"), FIELDS)
def test_no_value_of_any_field_is_refused_in_the_words_of_a_library(section: str, rest: dict[str, Any], field: str) -> None:
    refused = 0
    for value in WRONG:
        _, mistakes = examine(None, environ={}, defaults={**FILES, section: {**rest, field: value}})
        refused += bool(mistakes)
        for mistake in mistakes:
            where, _, text = mistake.partition(": ")
            assert where.partition(".")[0] in Settings.model_fields, mistake
            assert text.strip(), mistake
            said = text.partition(" (got ")[0]
            assert [phrase for phrase in PYDANTIC if phrase in said or phrase in where] == [], mistake
        # One value, one mistake of its field.
        assert sum(mistake.startswith(f"{section}.{field}:") for mistake in mistakes) <= 1, mistakes
    assert refused >= 1


@pytest.mark.parametrize("section", [name for name, _, _ in sections()])
@pytest.mark.parametrize("value", ["s3cret", 5, [1], True])
def test_a_section_that_is_none_is_told_without_its_value(tmp_path: Path, section: str, value: object) -> None:
    file = tmp_path / "learnd.toml"
    source = "" if section == "source" else '[source]\nkind = "files"\npaths = ["a"]\n'
    file.write_text(f"{section} = {json.dumps(value)}\n{source}", encoding="utf-8")
    _, mistakes = examine(file, environ={})
    assert mistakes == [f"{section}: must be a section of settings; write [{section}] and its settings below it, one a line"]


@pytest.mark.parametrize(
    ("given", "mistake"),
    [
        (
            "training.device=tpu",
            'training.device: must be "auto", "cpu", "cuda" or a numbered one such as "cuda:1" (got \'tpu\')',
        ),
        ("training.name='a/b'", "training.name: must be one or more of A-Z a-z 0-9 . _ -, as it stands in URLs (got 'a/b')"),
        ("serving.port=true", "serving.port: must be a number, not a switch (got true)"),
        ("optimizer.learning_rate=false", "optimizer.learning_rate: must be a number, not a switch (got false)"),
        ("task.labels=['a', 1]", "task.labels[1]: must be a text in quotes (got 1)"),
        ("task.class_weights={kafka = -1}", "task.class_weights.kafka: must be at least 0 (got -1)"),
        ("task.class_weights={kafka = 1000001}", "task.class_weights.kafka: must be at most 1e+06 (got 1000001)"),
        ("decoding.slices=[]", 'decoding.slices: must be a table, such as {country = "country_code"} (got [])'),
        ("source.start=erliest", 'source.start: must be "earliest" or "latest"; did you mean "earliest"? (got \'erliest\')'),
        ("source.partitions=0", "source.partitions: must be a list, such as [0, 1] (got 0)"),
        ("source.follow=false", 'source.follow: there is no such setting with source.kind = "kafka"; only "files" has it'),
        ("source.kind=kafkaa", 'source.kind: must be "kafka" or "files"; did you mean "kafka"? (got \'kafkaa\')'),
        ("training.seed=2026-01-01", "training.seed: must be a whole number (got 2026-01-01)"),
    ],
)
def test_a_mistake_says_what_is_allowed_and_what_was_given(given: str, mistake: str) -> None:
    assert examine(None, environ={}, defaults=KAFKA, overrides=[given])[1] == [mistake]


@pytest.mark.parametrize("text", ["123456", "true", "2026-01-01", "1e9", "[1]", "{a = 1}", "a # b", "", "\"'", "'12'", '"12"'])
def test_a_text_is_taken_as_it_stands_whatever_it_looks_like(text: str) -> None:
    """From the environment and by flag; of a TOML string the quotes are no part."""
    taken = "12" if "12" in text and text[0] in "'\"" else text
    for given in ({"environ": {"LEARND_SOURCE__PASSWORD": text}}, {"environ": {}, "overrides": [f"source.password={text}"]}):
        settings, mistakes = examine(None, defaults=KAFKA, **given)
        assert mistakes == []
        assert settings is not None
        assert isinstance(settings.source, KafkaSettings)
        assert settings.source.password.get_secret_value() == taken
    settings, mistakes = examine(None, environ={}, defaults=FILES, overrides=["storage.folder=2026", "serving.token_file=5"])
    assert mistakes == []
    assert settings is not None
    assert (settings.storage.folder, settings.serving.token_file) == (Path("2026"), Path("5"))


@pytest.mark.parametrize(
    "flag", ["token=hunter2", "tokn.x=hunter2", "serving.tokn=hunter2", "serving.token:hunter2", "=hunter2"]
)
def test_the_value_of_a_name_that_is_none_is_never_shown(flag: str) -> None:
    """It may be a secret."""
    mistakes = [*examine(None, environ={}, defaults=FILES, overrides=[flag])[1]]
    assert len(mistakes) == 1
    assert "hunter2" not in mistakes[0]


@pytest.mark.parametrize(
    ("name", "value", "mistake"),
    [
        ("LEARND_FOO", "1",
         "LEARND_FOO: there is no such setting; unset it, or name one as LEARND_SECTION__FIELD (docs/settings.md)"),
        ("LEARND_SORCE__TOPIC", "x", "LEARND_SORCE__TOPIC: there is no such setting; did you mean LEARND_SOURCE__TOPIC?"),
        ("LEARND_SOURCE__TOPIK", "x", "LEARND_SOURCE__TOPIK: there is no such setting; did you mean LEARND_SOURCE__TOPIC?"),
        ("LEARND_SOURCE_TOPIC", "x", "LEARND_SOURCE_TOPIC: there is no such setting; did you mean LEARND_SOURCE__TOPIC?"),
        ("LEARND_SERVING_PORT", "80", "LEARND_SERVING_PORT: there is no such setting; did you mean LEARND_SERVING__PORT?"),
        ("LEARND_TRAINING__SEED", "x", "LEARND_TRAINING__SEED: must be a whole number (got 'x')"),
        ("LEARND_TRAINING__SEED", "1\nname = 2", "LEARND_TRAINING__SEED: must be a whole number (got '1\\nname = 2')"),
        ("LEARND_TASK__LABELS", "[1]", "LEARND_TASK__LABELS[0]: must be a text in quotes (got 1)"),
        ("LEARND_SOURCE__FOLLOW", "true",
         'LEARND_SOURCE__FOLLOW: there is no such setting with source.kind = "kafka"; only "files" has it'),
        ("LEARND_SOURCE__KIND", "x", "LEARND_SOURCE__KIND: must be \"kafka\" or \"files\" (got 'x')"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_environment_is_told_by_the_name_of_the_variable(name: str, value: str, mistake: str) -> None:
    assert examine(None, environ={name: value}, defaults=KAFKA)[1] == [mistake]


def test_a_flag_that_stands_over_a_variable_is_told_as_a_flag() -> None:
    _, mistakes = examine(None, environ={"LEARND_TRAINING__SEED": "1"}, defaults=FILES, overrides=["training.seed=x"])
    assert mistakes == ["training.seed: must be a whole number (got 'x')"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEARND_FAILPOINT", "plan.before"),
        ("LEARND_TEST_KAFKA", "127.0.0.1:9092"),
        # As Kubernetes sets them beside a service "learnd" or "learnd-serving".
        ("LEARND_SERVICE_HOST", "10.0.0.1"),
        ("LEARND_SERVICE_PORT_HTTP", "8080"),
        ("LEARND_PORT", "tcp://10.0.0.1:8080"),
        ("LEARND_SERVING_PORT", "tcp://10.0.0.1:8080"),
        ("LEARND_SERVING_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_variables_that_are_no_settings_are_let_be(name: str, value: str) -> None:
    assert examine(None, environ={name: value}, defaults=FILES)[1] == []
