"""The commands as people call them: help that is quick and true, checks that tell everything at once, records sent to Kafka."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource

from streams.kafka import KafkaSource
from tests.e2e.learnd import any_port, files, kept_in, learnd, write_rows
from tests.kafka_broker import LEAKS_SOCKETS, Cluster

# What every command says of itself, in the flags that only it has.
COMMANDS = {
    "run": ("--config", "--set"),
    "train": ("--until-end", "state_sha256"),
    "serve": ("--config", "--set"),
    "backtest": ("--task", "--label", "--report", "--predictions"),
    "check": ("--live",),
    "snapshots": ("list", "show", "pin", "unpin", "rollback", "release"),
    "produce": ("--topic", "--rate", "--limit"),
    "demo": ("--until-end", "--folder"),
}


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    program = (
        "import contextlib, sys\n"
        "from daemon.__main__ import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "print(sorted({'torch', 'numpy', 'pydantic', 'kafka', 'rich', 'numba'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *lines, loaded = done.stdout.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("    ") and not line.startswith("     ")]
    assert listed == list(COMMANDS)
    assert loaded == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_its_flags(name: str) -> None:
    done = learnd(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert [flag for flag in COMMANDS[name] if flag not in done.stdout] == []


def test_a_wrong_flag_and_a_missing_command_are_usage_errors() -> None:
    assert learnd("train", "--until-the-end").returncode == 2
    done = learnd("trian")
    assert done.returncode == 2
    assert "invalid choice: 'trian'" in done.stderr


def test_check_tells_many_mistakes_at_once(tmp_path: Path) -> None:
    file = tmp_path / "learnd.toml"
    file.write_text(
        '[source]\nkind = "kafka"\nstart = "newest"\n[training]\nbatch_row = 8\n[serving]\nport = 99999\n'
        '[model]\nkind = "transformer"\nencoder = "none"\n'
    )
    done = learnd("check", "--config", str(file), LEARND_OPTIMIZER__LEARNING_RATE="-1")
    assert done.returncode == 2
    for mistake in (
        "source.topic: is missing",
        'source.start: must be "earliest" or "latest"; did you mean "earliest"? (got \'newest\')',
        'training.batch_row: there is no such setting; did you mean "batch_rows"?',
        "serving.port: must be at most 65535 (got 99999)",
        "LEARND_OPTIMIZER__LEARNING_RATE: must be more than 0 (got -1)",
        'model.encoder: "none" leaves a transformer nothing to read',
    ):
        assert mistake in done.stdout
    assert done.stderr == ""


UNSOUND = (
    "source.kind=files", "source.paths=['no-such.jsonl']", "decoding.text=label", "serving.host=0.0.0.0"
)  # fmt: skip


def test_check_finds_what_well_formed_settings_cannot_do() -> None:
    done = learnd("check", settings=UNSOUND)
    assert done.returncode == 2
    count, source, decoding, serving = done.stdout.splitlines()
    assert count == "3 mistake(s) in the settings:"
    assert source == "  - source: no-such.jsonl: no such file; check source.paths"
    assert (
        decoding == '  - decoding: two fields are both called "label"; give each of '
        "text, features, label, id, time, weight its own name"
    )
    assert "it needs a token" in serving


def test_check_finds_these_beside_mistakes_of_fields_and_between_sections() -> None:
    done = learnd("check", settings=(*UNSOUND, "model.max_tokens=0", "task.kind=regression", "task.labels=['a']"))
    assert done.returncode == 2
    assert "5 mistake(s) in the settings:" in done.stdout


@pytest.mark.parametrize(
    ("security", "complaint"),
    [
        (("source.security_protocol=SASL_SSL",), "SASL_SSL needs a user name and a password"),
        (("source.security_protocol=SSL", "source.ca_file=no-such.pem"), "no-such.pem: no such file"),
    ],
)
def test_check_tells_what_a_secured_cluster_lacks_beside_the_rest(security: tuple[str, ...], complaint: str) -> None:
    done = learnd("check", settings=("source.kind=kafka", "source.topic=t", *security, "serving.host=0.0.0.0"))
    assert done.returncode == 2
    assert "2 mistake(s) in the settings:" in done.stdout
    assert f"  - source: {complaint}" in done.stdout
    assert "it needs a token" in done.stdout


def test_check_finds_a_history_that_is_not_there_and_files_that_nobody_named() -> None:
    done = learnd("check", settings=("source.kind=files", "source.paths=[]", "training.warm_start=no-such.csv"))
    assert done.returncode == 2
    assert "  - source.paths: names no file" in done.stdout
    assert "no-such.csv: no such file; check training.warm_start" in done.stdout


def test_run_ends_where_the_encoder_cannot_be_had(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"text": "a", "label": "b"}])
    done = learnd(
        "run",
        settings=(
            "source.kind=files", f"source.paths=['{file}']", f"storage.folder='{tmp_path / 'data'}'",
            "model.encoder=no-such/encoder", "serving.port=0", "telemetry.port=0",
        ),
        HF_HUB_OFFLINE="1",
    )  # fmt: skip
    assert done.returncode == 2
    assert "no-such/encoder" in done.stderr
    assert "started again" not in done.stderr


def test_run_refuses_what_check_finds_before_it_starts_anything() -> None:
    done = learnd("run", settings=UNSOUND)
    assert done.returncode == 2
    assert "3 mistake(s)" in done.stderr
    assert "started again" not in done.stderr


def test_check_passes_sound_settings(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"text": "a", "label": "b"}])
    folder = tmp_path / "data"
    sound = ["source.kind=files", f"source.paths=['{file}']", f"storage.folder='{folder}'", "model.encoder=none"]
    done = learnd("check", "--live", settings=sound)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "the settings are sound",
        "source: files: 1 partition(s), 1 records there, all of them to read",
        "encoder: none is needed",
        "device: cpu",
        f"storage: {folder} can be written and nobody else writes it",
        f"dead_letters: a file in {folder}",
    ]


def test_check_live_counts_what_is_still_to_read(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"text": "a", "label": "b"}] * 5)
    settings = [*files(file), *kept_in(tmp_path / "data"), "model.encoder=none"]
    assert learnd("train", "--until-end", settings=settings).returncode == 0
    write_rows(file, [{"text": "a", "label": "b"}] * 2, append=True)
    history = write_rows(tmp_path / "history.jsonl", [{"text": "a", "label": "b"}] * 3)
    found = learnd("check", "--live", settings=settings).stdout.splitlines()
    assert found[1] == "source: files: 1 partition(s), 7 records there, 2 of them still to read after checkpoint 000000000001"
    anew = [*files(file), *kept_in(tmp_path / "other"), "model.encoder=none"]
    found = learnd("check", "--live", settings=[*anew, "source.start=latest"]).stdout.splitlines()
    assert found[1] == 'source: files: 1 partition(s), 7 records there, none of them to read (source.start = "latest")'
    found = learnd("check", "--live", settings=[*anew, f"training.warm_start='{history}'"]).stdout.splitlines()
    assert found[1] == "source: files: 1 partition(s), 10 records there, all of them to read"


@pytest.mark.kafka
@LEAKS_SOCKETS
def test_check_live_counts_from_where_the_log_begins_and_tells_a_gap(kafka: Cluster, tmp_path: Path) -> None:
    topic = kafka.new_topic(1)
    brokers = [f"source.bootstrap_servers='{kafka.bootstrap_servers}'"]
    settings = ["source.kind=kafka", f"source.topic={topic}", *brokers, *kept_in(tmp_path / "data"), "model.encoder=none"]
    file = write_rows(tmp_path / "rows.jsonl", [{"text": "a", "label": "b"}] * 20)
    flags = ["produce", str(file), "--topic", topic]
    assert learnd(*flags, settings=brokers).returncode == 0
    _delete_before(kafka, topic, 5)
    found = learnd("check", "--live", settings=settings).stdout.splitlines()
    assert found[1] == f"source: {topic}: 1 partition(s), 15 records there, all of them to read"
    assert learnd("train", "--until-end", settings=settings).returncode == 0
    assert learnd(*flags, settings=brokers).returncode == 0
    _delete_before(kafka, topic, 30)
    done = learnd("check", "--live", settings=settings)
    assert done.returncode == 1
    assert f"source: {topic}[0]: position 20 is gone, the first record still there is 30" in done.stdout


def _delete_before(kafka: Cluster, topic: str, offset: int) -> None:
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topic, 0): offset})


@pytest.mark.kafka
@LEAKS_SOCKETS
def test_check_live_tells_a_topic_that_is_there_from_one_that_is_not(kafka: Cluster, tmp_path: Path) -> None:
    topic = kafka.new_topic(2)
    common = [f"source.bootstrap_servers='{kafka.bootstrap_servers}'", f"storage.folder='{tmp_path}'", "model.encoder=none"]
    there = learnd("check", "--live", settings=["source.kind=kafka", f"source.topic={topic}", *common])
    assert there.returncode == 0, there.stdout
    assert f"source: {topic}: 2 partition(s), 0 records there, all of them to read" in there.stdout
    cap = ["source.kind=kafka", f"source.topic={topic}", *common, "decoding.slices={shop='shop'}", "cap.slice=shop"]
    told = "message.timestamp.type=CreateTime (only LogAppendTime keeps a producer from dating itself out of cap.slice)"
    assert f"source: {topic}: 2 partition(s), {told}, 0 records" in learnd("check", "--live", settings=cap).stdout
    with kafka.admin() as admin:
        admin.alter_configs([ConfigResource("topic", topic, {"message.timestamp.type": "LogAppendTime"})])
    assert f"source: {topic}: 2 partition(s), 0 records" in learnd("check", "--live", settings=cap).stdout
    missing = learnd("check", "--live", settings=["source.kind=kafka", "source.topic=no-such-topic", *common])
    assert missing.returncode == 1
    found = dict(line.split(": ", 1) for line in missing.stdout.splitlines() if ": " in line)
    assert "no-such-topic" in found["source"]
    # The rest is told all the same.
    assert found.keys() == {"source", "encoder", "device", "storage", "dead_letters"}
    letters = ["dead_letters.kind=topic", f"dead_letters.topic={topic}-dead"]
    lacking = learnd("check", "--live", settings=["source.kind=kafka", f"source.topic={topic}", *letters, *common])
    assert lacking.returncode == 1
    last = lacking.stdout.splitlines()[-1]
    assert last.startswith("dead_letters: dead letters cannot be written: ")
    assert f'"{topic}-dead"' in last
    kafka.create_topic(f"{topic}-dead")
    whole = learnd("check", "--live", settings=["source.kind=kafka", f"source.topic={topic}", *letters, *common])
    assert (whole.returncode, whole.stdout.splitlines()[-1]) == (0, f"dead_letters: topic {topic}-dead is there")


def test_check_live_names_brokers_that_cannot_be_reached(tmp_path: Path) -> None:
    broker = f"127.0.0.1:{any_port()}"
    settings = ["source.kind=kafka", "source.topic=t", f"source.bootstrap_servers='{broker}'", f"storage.folder='{tmp_path}'"]
    done = learnd("check", "--live", settings=[*settings, "model.encoder=none"])
    assert done.returncode == 1
    source = next(line for line in done.stdout.splitlines() if line.startswith("source: "))
    assert broker in source
    assert "Traceback" not in done.stderr


@pytest.mark.kafka
@LEAKS_SOCKETS
def test_produce_sends_the_lines_in_order(kafka: Cluster, tmp_path: Path) -> None:
    topic = kafka.new_topic(1)
    file = write_rows(tmp_path / "rows.jsonl", [{"text": f"row {number}", "label": "a"} for number in range(50)])
    flags = ["--topic", topic, "--limit", "40"]
    done = learnd("produce", str(file), *flags, settings=[f"source.bootstrap_servers='{kafka.bootstrap_servers}'"])
    assert (done.returncode, done.stdout) == (0, f"40 records sent to {topic}\n"), done.stderr
    source = KafkaSource(topic=topic, bootstrap_servers=kafka.bootstrap_servers, buffer_records=100)
    try:
        source.open({})
        values: list[bytes] = []
        while len(values) < 40:
            values += [record.value for record in source.take_arrived(100, timeout_s=1.0)]
    finally:
        source.close()
    assert values == file.read_bytes().splitlines()[:40]


@pytest.mark.kafka
@LEAKS_SOCKETS
def test_produce_refuses_a_topic_that_is_not_there(kafka: Cluster, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"text": "a", "label": "a"}])
    settings = [f"source.bootstrap_servers='{kafka.bootstrap_servers}'"]
    done = learnd("produce", str(file), "--topic", "no-such-topic", settings=settings)
    assert done.returncode == 1
    assert "no-such-topic" in done.stderr
    assert "Traceback" not in done.stderr
