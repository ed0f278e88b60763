"""Settings come from file, environment and flags in that order, and every mistake is told at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.config import examine, fixed_settings, journaled_settings, load, refuse_changes, secret
from daemon.errors import ConfigError
from daemon.monitoring.drift.budget import KINDS
from daemon.monitoring.drift.calibration import BUDGETS, STRICTNESS
from daemon.settings import FilesSettings, KafkaSettings
from daemon.settings.between import BINARY_DETECTORS, LARGEST_BUDGET, LEAST_BUDGET

FILES = {"source": {"kind": "files", "paths": ["a.jsonl"]}}


def test_flags_stand_over_the_environment_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "learnd.toml"
    file.write_text('[source]\nkind = "files"\npaths = ["a.jsonl"]\n[training]\nseed = 1\nbatch_rows = 1\nname = "one"\n')
    settings = load(
        file,
        environ={"LEARND_TRAINING__SEED": "2", "LEARND_TRAINING__BATCH_ROWS": "2", "LEARND_FAILPOINT": "plan.before"},
        overrides=["training.seed=3"],
    )
    assert (settings.training.seed, settings.training.batch_rows, settings.training.name) == (3, 2, "one")


def test_every_mistake_is_told_at_once_with_its_remedy() -> None:
    with pytest.raises(ConfigError) as caught:
        load(
            None,
            defaults=FILES,
            environ={},
            overrides=["traning.seed=3", "optimizer.learning_rat=1", "training.batch_rows=0", "source.paht=x", "nonsense"],
        )
    text = str(caught.value)
    assert "5 mistake(s)" in text
    assert 'traning: there is no such setting; did you mean "training"?' in text
    assert 'optimizer.learning_rat: there is no such setting; did you mean "learning_rate"?' in text
    assert "training.batch_rows: must be more than 0 (got 0)" in text
    assert 'source.paht: there is no such setting; did you mean "paths"?' in text
    assert "--set nonsense: has no value; write section.field=value" in text


def test_what_no_single_field_can_see_is_told_too() -> None:
    with pytest.raises(ConfigError, match=r"dead_letters\.topic: name the topic[^$]*a Kafka source"):
        load(None, defaults=FILES, environ={}, overrides=["dead_letters.kind=topic"])
    with pytest.raises(ConfigError, match=r"a transformer reads text"):
        load(None, defaults=FILES, environ={}, overrides=["model.kind=transformer", "model.inputs=features"])


@pytest.mark.parametrize(
    ("overrides", "mistake"),
    [
        (["source.topic=''"], "source.topic: no topic can be called"),
        (["source.topic='a b!'"], "source.topic: no topic can be called"),
        (["source.topic='..'"], "source.topic: no topic can be called"),
        (["source.bootstrap_servers='a:9092,b:port'"], 'source.bootstrap_servers: "b:port" is no address; write host:port'),
        (["source.bootstrap_servers=''"], 'source.bootstrap_servers: "" is no address'),
        (["decoding.slices={all = 'features'}"], 'decoding.slices.all: "features" holds all features; name one field'),
        (["source.partitions=[0, 0]"], "source.partitions: names a partition twice"),
        (["source.password=x", "source.password_file=secret"], "source.password: stands beside source.password_file"),
        (["dead_letters.kind=topic", "dead_letters.topic=t"], "dead_letters.topic: is the topic that is learned from"),
        (["dead_letters.kind=topic", "dead_letters.topic='a b'"], "dead_letters.topic: no topic can be called"),
        (["serving.port=9464"], "serving.port: 9464 is telemetry.port, too"),
    ],
)
def test_what_could_not_work_is_told_at_the_start(overrides: list[str], mistake: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(mistake)):
        load(None, defaults={"source": {"kind": "kafka", "topic": "t"}}, environ={}, overrides=overrides)


@pytest.mark.parametrize(
    ("overrides", "mistake"),
    [
        (["model.kind=transformer", "replay.capacity=1"], "replay.capacity: 1 rows cannot be parted by"),
        (["model.training=full", "replay.capacity=2"], "replay.capacity: 2 rows cannot be parted by"),
        (["task.kind=regression", "monitoring.detectors=['glr', 'stepd', 'hddm_w']", "monitoring.alarms_per_100k=1"],
         "monitoring.detectors: stepd, hddm_w watch errors of 0 or 1"),
    ],
)  # fmt: skip
def test_what_nothing_could_be_built_from_is_told_at_the_start(overrides: list[str], mistake: str) -> None:
    _, mistakes = examine(None, defaults=FILES, environ={}, overrides=overrides)
    assert [told[: len(mistake)] for told in mistakes] == [mistake]


@pytest.mark.parametrize(
    "override", ["replay.capacity=4", "replay.recent_share=0.6", "replay.kind=reservoir", "model.kind=mixture"]
)
def test_a_replay_that_can_be_parted_or_is_not_used_is_let_be(override: str) -> None:
    given = ["model.kind=transformer", "replay.capacity=2", override]
    assert examine(None, defaults=FILES, environ={}, overrides=given)[1] == []


def test_the_detectors_of_a_regression_are_those_calibrated_for_one() -> None:
    calibrated = {name for name, direction, values in STRICTNESS if (direction, values) == ("worse", "relative")}
    assert set(KINDS) - calibrated == set(BINARY_DETECTORS)


def test_budgets_are_those_that_were_calibrated() -> None:
    assert (BUDGETS[0], BUDGETS[-1]) == (LEAST_BUDGET, LARGEST_BUDGET)
    for budget, told in (("0.009", 1), ("0.01", 0), ("10", 0), ("11", 1)):
        given = ["monitoring.input_detector=true", f"monitoring.input_alarms_per_100k={budget}"]
        _, mistakes = examine(None, defaults=FILES, environ={}, overrides=given)
        assert mistakes == [f"monitoring.input_alarms_per_100k: {budget} was not calibrated; choose from 0.01 to 10"] * told


def test_an_empty_label_is_none() -> None:
    with pytest.raises(ConfigError, match=r"task\.labels: names an empty label"):
        load(None, defaults=FILES, environ={}, overrides=["task.labels=['a', ' ']"])


@pytest.mark.parametrize("servers", ["a", "a:9092, b-1.c_d:9093", "[::1]:9092", "SASL_SSL://a:9092"])
def test_addresses_of_brokers_are_taken_as_kafka_takes_them(servers: str) -> None:
    given = ["source.kind=kafka", "source.topic=t", f"source.bootstrap_servers='{servers}'"]
    assert examine(None, environ={}, overrides=given)[1] == []


def test_a_path_with_a_zero_character_is_none() -> None:
    with pytest.raises(ConfigError, match=r"source\.paths: holds a zero character"):
        load(None, defaults=FILES, environ={}, overrides=['source.paths=["a\\u0000b"]'])


def test_a_file_is_named_once() -> None:
    with pytest.raises(ConfigError, match=r"source\.paths: names a file twice"):
        load(None, defaults=FILES, environ={}, overrides=["source.paths=['a', 'b', 'a']"])


def test_mistakes_between_sections_are_told_beside_those_of_single_fields(tmp_path: Path) -> None:
    file = tmp_path / "learnd.toml"
    file.write_text(
        '[source]\nkind = "files"\npaths = ["a.jsonl"]\nstart = "middle"\n[training]\nseed = -1\n'
        '[model]\nkind = "transformer"\nencoder = "none"\n[dead_letters]\nkind = "topic"\n[extra]\n'
    )
    with pytest.raises(ConfigError) as caught:
        load(file, environ={})
    text = str(caught.value)
    assert "6 mistake(s)" in text
    for mistake in (
        'source.start: must be "earliest" or "latest" (got \'middle\')',
        "training.seed: must be at least 0 (got -1)",
        "extra: there is no such setting",
        'model.encoder: "none" leaves a transformer nothing to read',
        "dead_letters.topic: name the topic",
        'dead_letters.kind: "topic" needs the brokers of a Kafka source',
    ):
        assert text.count(f"  - {mistake}") == 1, text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("source is missing", 'write [source] with kind = "kafka"'), ("[source", "is not TOML")],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "learnd.toml"
    file.write_text("" if text == "source is missing" else text)
    with pytest.raises(ConfigError) as caught:
        load(file, environ={})
    assert expected in str(caught.value)


def test_a_missing_file_names_the_flag(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read .* name the file with --config"):
        load(tmp_path / "absent.toml", environ={})


def test_fields_of_a_source_stay_whichever_stands_before_its_kind(tmp_path: Path) -> None:
    brokers = {"LEARND_SOURCE__BOOTSTRAP_SERVERS": "kafka:9092", "LEARND_SOURCE__KIND": "kafka"}
    (tmp_path / "learnd.toml").write_text('[source]\ngroup_id = "us"\n')
    settings = load(
        tmp_path / "learnd.toml", environ=brokers, overrides=["source.topic=t", "source.kind=kafka", "source.start=latest"]
    )
    assert settings.source == KafkaSettings(topic="t", bootstrap_servers="kafka:9092", group_id="us", start="latest")


def test_the_kind_of_source_decides_its_fields() -> None:
    assert isinstance(load(None, defaults=FILES, environ={}).source, FilesSettings)
    kafka = load(None, defaults=FILES, environ={}, overrides=["source.kind=kafka", "source.topic=t"])
    assert isinstance(kafka.source, KafkaSettings)
    with pytest.raises(ConfigError, match=r'source\.kind: must be "kafka" or "files"'):
        load(None, environ={}, overrides=["source.kind=rabbit"])


def test_a_changed_fixed_setting_is_refused_by_name() -> None:
    saved = fixed_settings(load(None, defaults=FILES, environ={}))
    free = load(None, defaults=FILES, environ={}, overrides=["serving.port=1", "optimizer.learning_rate=1"])
    refuse_changes(saved, fixed_settings(free))
    changed = load(None, defaults=FILES, environ={}, overrides=["training.seed=9"])
    with pytest.raises(ConfigError, match=r"training\.seed: learned with 0, now 9"):
        refuse_changes(saved, fixed_settings(changed))


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("model.training=full", "model.training: the linear model has no encoder"),
        ("model.encoder=some/encoder", "model.encoder: the linear model reads n-grams alone"),
    ],
)
def test_an_encoder_for_the_linear_model_is_refused(flag: str, expected: str) -> None:
    load(None, defaults=FILES, environ={}, overrides=["model.kind=linear", "model.encoder=none"])
    with pytest.raises(ConfigError, match=expected):
        load(None, defaults=FILES, environ={}, overrides=["model.kind=linear", flag])


@pytest.mark.parametrize(
    ("model", "mistake"),
    [
        (["kind=linear"], 'model.kind = "linear" shows it no inputs, so that it would never raise an alarm; set it to false'),
        (["kind=transformer", "encoder=any"], 'model.kind = "transformer" shows it no inputs'),
        (
            ["encoder=none"],
            "texts without an encoder show it no inputs, so that it would never raise an alarm; set it to false",
        ),
        ([], ""),
        (["encoder=none", "inputs=both"], ""),
        (["encoder=none", "inputs=features"], ""),
    ],
)
def test_an_input_detector_that_would_be_shown_nothing_is_refused(model: list[str], mistake: str) -> None:
    chosen = [f"model.{field}" for field in model]
    _, silent = examine(None, defaults=FILES, environ={}, overrides=chosen)
    assert silent == []
    _, mistakes = examine(None, defaults=FILES, environ={}, overrides=[*chosen, "monitoring.input_detector=true"])
    assert [told.startswith(f"monitoring.input_detector: {mistake}") for told in mistakes] == [True] * bool(mistake)


@pytest.mark.parametrize(
    ("flag", "remedy"),
    [
        ("model.encoder=none", 'name one in model.encoder, or use training = "frozen"'),
        ("model.inputs=features", 'use inputs = "text" or "both", or training = "frozen"'),
        ("task.kind=regression", 'use kind = "transformer" to fine-tune for a regression, or training = "frozen"'),
    ],
)
def test_a_mixture_that_has_nothing_to_fine_tune_is_refused(flag: str, remedy: str) -> None:
    full = ["model.training=full", "model.inputs=both"]
    load(None, defaults=FILES, environ={}, overrides=full)
    with pytest.raises(ConfigError, match=rf"model\.training: .*{remedy}"):
        load(None, defaults=FILES, environ={}, overrides=[*full, flag])
    load(None, defaults=FILES, environ={}, overrides=["model.training=frozen", flag])


def test_the_learning_rate_is_journaled() -> None:
    assert journaled_settings(load(None, defaults=FILES, environ={})) == {"optimizer.learning_rate": 1e-4}


def test_secrets_come_from_files_and_are_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    settings = load(None, defaults=FILES, environ={"LEARND_SERVING__TOKEN": "other"}, overrides=[])
    assert secret(settings.serving.token, tmp_path / "token") == "s3cret"
    assert secret(settings.serving.token, "") == "other"
    assert "other" not in repr(settings)
    with pytest.raises(ConfigError, match=r"gone: the secret cannot be read"):
        secret(settings.serving.token, tmp_path / "gone")


def test_a_wrong_secret_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, defaults={**FILES, "serving": {"token": 12345}}, environ={})
    assert "12345" not in str(caught.value)


@pytest.mark.parametrize(
    "flag",
    [
        "optimizer.learning_rate=inf",
        "training.device=tpu",
        "training.name='a/b'",
        "task.labels=['a', 'a']",
        "serving.deadline_s=nan",
    ],
)
def test_values_that_make_no_sense_are_refused(flag: str) -> None:
    name = flag.partition("=")[0]
    with pytest.raises(ConfigError, match=name):
        load(None, overrides=["source.kind=files", "source.paths=['x']", flag], environ={})


def test_check_tells_mistakes_of_fields_and_between_sections_together(tmp_path: Path) -> None:
    file = tmp_path / "learnd.toml"
    file.write_text(
        '[source]\nkind = "files"\npaths = "one.jsonl"\n[model]\nkind = "mixtur"\nmax_tokens = 0\n'
        '[task]\nkind = "regression"\nlabels = ["a"]\n[storage]\nfolder = ""\n',
        encoding="utf-8",
    )
    settings, mistakes = examine(file, environ={})
    assert settings is not None
    assert [mistake.partition(":")[0] for mistake in mistakes] == [
        "source.paths",
        "model.kind",
        "model.max_tokens",
        "storage.folder",
        "task.labels",
    ]
    assert 'such as ["a", "b"] (got \'one.jsonl\')' in mistakes[0]
    assert 'did you mean "mixture"?' in mistakes[1]
    assert mistakes[2].endswith("must be more than 0 (got 0)")
