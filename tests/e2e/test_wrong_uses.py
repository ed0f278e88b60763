"""Commands used wrongly: each says what, where and the remedy, before it begins, without a traceback or a library's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.learnd import files, kept_in, learnd, write_rows

TOPIC = ("--topic", "t")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("backtest", "folder"), "folder: cannot be read (Is a directory)"),
        (("backtest", "gone.csv"), "gone.csv: cannot be read (No such file or directory)"),
        (("backtest", "rows.jsonl", "--label", "y"), 'has the label "y"; name it with --label or in decoding.label (fields'),
        (("backtest", "rows.jsonl", "--evaluate", "gone.csv"), "gone.csv: cannot be read (No such file or directory)"),
        (("backtest", "rows.jsonl", "--predictions", "folder"), "--predictions folder: cannot be written (Is a directory)"),
        (("backtest", "rows.jsonl", "--report", "no/where"), "--report no/where: cannot be written"),
        (("produce", "gone.jsonl", *TOPIC), "gone.jsonl: no such file; name one of JSON lines"),
        (("produce", "folder", *TOPIC), "folder: no such file; name one of JSON lines"),
        (("produce", "rows.jsonl", *TOPIC, "--rate", "-1"), "'-1' is not a number of records a second, 0 or more"),
        (("produce", "rows.jsonl", *TOPIC, "--limit", "x"), "'x' is not a number of rows, 0 or more"),
        (("produce", "rows.jsonl"), "source.topic: is missing; give it in the file, as LEARND_SOURCE__TOPIC or by --set"),
        (("snapshots", "show", "newest"), "'newest' is not the number of a snapshot; `learnd snapshots list` shows them"),
        (("train", "--config", "folder"), "folder: cannot be read (Is a directory); name the file with --config"),
        (("train", "--config", "rows.jsonl"), "rows.jsonl: is not TOML: "),
        (("train", "--warm-start", "a", "--warm-start", "b"), "--warm-start: holds one value and is given twice; leave one of"),
        (
            ("backtest", "rows.jsonl", "--report", "a", "--report=b"),
            "--report: holds one value and is given twice; leave one of",
        ),
        (("train", "--config", "a", "--config", "a"), "--config: holds one value and is given twice; leave one of them out"),
        (("train",), "source: is missing; write [source] with kind"),
    ],
)
def test_a_wrong_use_is_told_with_its_remedy(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"text": "a", "label": "b"}])
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(tmp_path)
    done = learnd(*words)
    assert done.returncode in (1, 2)
    assert told in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_train_tells_every_mistake_before_it_begins(tmp_path: Path) -> None:
    settings = [*files(tmp_path / "gone.jsonl"), *kept_in(tmp_path / "data"), "decoding.text=label"]
    done = learnd("train", settings=[*settings, "training.warm_start=gone.csv", "serving.host=0.0.0.0"])
    assert done.returncode == 2
    assert "3 mistake(s)" in done.stderr
    for name in ("gone.jsonl", "gone.csv", '"label"'):
        assert name in done.stderr
    assert "telemetry on" not in done.stderr


def test_commands_that_read_no_stream_take_an_environment_made_for_one(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"features": {"x": n % 2}, "label": n % 2} for n in range(20)])
    environment = {"LEARND_SOURCE__PASSWORD": "for the brokers", "LEARND_SOURCE__BOOTSTRAP_SERVERS": "kafka:9092"}
    listed = learnd("snapshots", "list", settings=[f"storage.folder='{tmp_path}'"], **environment)
    assert listed.returncode == 0, listed.stderr
    assert learnd("backtest", str(file), settings=["model.kind=linear"], **environment).returncode == 0


def test_demo_tells_a_mistake_of_the_environment_at_once() -> None:
    done = learnd("demo", "--until-end", LEARND_REPLAY__CAPACITY="-1")
    assert done.returncode == 2
    assert "1 mistake(s)" in done.stderr
    assert "LEARND_REPLAY__CAPACITY" in done.stderr


def test_check_tells_folders_from_files(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [])
    found = learnd("check", settings=[*files(tmp_path), f"training.warm_start='{tmp_path}'", f"storage.folder='{file}'"])
    assert found.returncode == 2
    assert found.stdout.splitlines()[1:] == [
        f"  - source: {tmp_path}: is a folder; name the files in it in source.paths",
        f"  - training: {tmp_path}: is a folder; name a file in training.warm_start",
        f"  - storage: {file}: is a file; name a folder in storage.folder",
    ]


def test_check_looks_into_a_history_and_at_the_address_of_the_telemetry(tmp_path: Path) -> None:
    history = tmp_path / "history.csv"
    history.write_text("x,y\n1,a\n", encoding="utf-8")
    stream = write_rows(tmp_path / "rows.jsonl", [])
    settings = [
        *files(stream),
        *kept_in(tmp_path / "data"),
        f"training.warm_start='{history}'",
        "telemetry.host=nonsense.invalid",
    ]
    found = learnd("check", settings=settings)
    assert found.returncode == 2
    count, training, telemetry = found.stdout.splitlines()
    assert count == "2 mistake(s) in the settings:"
    assert training == (
        f'  - training: {history}: no column is called "label"; name it with --label or in decoding.label (columns there: x, y)'
    )
    assert telemetry.startswith("  - telemetry.host: nonsense.invalid: no such address")
    # Fields that are mistaken are told once.
    assert learnd("check", settings=[*settings, "decoding.text=label"]).stdout.startswith("2 mistake(s)")


def test_a_backtest_that_learned_nothing_says_so(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"text": "a", "label": "b"}] * 3)
    done = learnd("backtest", str(file), "--task", "regression", settings=["model.encoder=none"])
    assert done.returncode == 0
    assert "0 rows were learned: all 3 records became dead letters; look at their reasons" in done.stderr


def test_a_class_weight_of_a_label_that_never_came_is_told_at_the_end(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"text": "a", "label": label} for label in ("ham", "spam", "junk")])
    settings = ["model.encoder=none", "task.class_weights={spam = 2.0, Spam = 3.0, 'sp am' = 0.5, junk = 0.0}"]
    trained = ["train", "--until-end"], [*files(file), *kept_in(tmp_path / "data")]
    for words, more in ((["backtest", str(file)], []), trained, trained):  # the second time nothing is left to learn
        done = learnd(*words, settings=[*settings, *more])
        assert done.returncode == 0, done.stderr
        [told] = [line for line in done.stderr.splitlines() if "task.class_weights" in line]
        assert "WARNING" in told
        assert told.endswith("labels that were never learned: 'Spam', 'sp am'; are they spelled as in the stream?")
