"""`learnd snapshots` and `learnd train --until-end` say what they did, and what they did not find."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.learnd import files, kept_in, learnd, train, write_rows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage folder with snapshot 1."""
    folder = tmp_path_factory.mktemp("snapshots")
    file = write_rows(folder / "rows.jsonl", [{"text": "a", "label": "b"}] * 3)
    train(folder / "data", file, ["model.encoder=none"])
    return folder / "data"


def snapshots(folder: Path, *action: str) -> tuple[int, str, str]:
    done = learnd("snapshots", *action, settings=[f"storage.folder='{folder}'"])
    return done.returncode, done.stdout, done.stderr


def test_pin_and_unpin_say_what_they_did(data: Path) -> None:
    assert snapshots(data, "pin", "1") == (0, "snapshot 1 is kept until `learnd snapshots unpin 1`\n", "")
    assert "pinned" in snapshots(data, "list")[1]
    assert snapshots(data, "unpin", "1") == (0, "snapshot 1 is no longer pinned; it goes when its turn comes\n", "")
    status, _, told = snapshots(data, "unpin", "1")
    assert status != 0
    assert told == "learnd: snapshot 1 is not pinned; pinned are none\n"


@pytest.mark.parametrize("action", ["show", "pin", "rollback"])
def test_a_version_that_is_not_there_is_told_with_those_that_are(data: Path, action: str) -> None:
    status, shown, told = snapshots(data, action, "7")
    assert status != 0
    assert (shown, told) == ("", "learnd: there is no snapshot 7, or none any more; there are 1\n")


@pytest.mark.parametrize("action", [("list",), ("show", "1"), ("unpin", "1"), ("release",)])
def test_a_folder_that_is_not_there_is_no_empty_one(tmp_path: Path, action: tuple[str, ...]) -> None:
    status, shown, told = snapshots(tmp_path / "nope", *action)
    assert status == 2
    assert shown == ""
    assert told == f"learnd: storage.folder: {tmp_path}/nope: no such folder; name the one that the trainer writes\n"
    assert not (tmp_path / "nope").exists()


def test_a_folder_without_a_snapshot_says_so(tmp_path: Path) -> None:
    assert snapshots(tmp_path, "list") == (0, "there is no snapshot yet\n", "")
    assert snapshots(tmp_path, "release") == (0, "answers come from the newest snapshot, once there is one\n", "")


def test_to_learn_nothing_is_said(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [])
    settings = [*files(file), *kept_in(tmp_path / "data"), "model.encoder=none"]

    def told() -> str:
        done = learnd("train", "--until-end", settings=settings)
        assert done.returncode == 0
        assert done.stdout.startswith("state_sha256 ")
        return "".join(line for line in done.stderr.splitlines(keepends=True) if "0 rows were learned" in line)

    assert told().endswith("0 rows were learned: the source has no record; check its name, and source.start\n")
    write_rows(file, [{"text": "a", "label": ""}])
    assert told().endswith("0 rows were learned: all 1 records became dead letters; look at their reasons\n")
    write_rows(file, [{"text": "a", "label": "b"}], append=True)
    assert told() == ""
    assert told().endswith("0 rows were learned: the source has no record behind the 1 rows learned earlier\n")
