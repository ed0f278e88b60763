"""Dead letters as lines of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.deadletter import DeadLetterFile
from streams.errors import DeadLetterError, DecodeError
from streams.record import Record


def test_line_says_everything(tmp_path: Path) -> None:
    path = tmp_path / "new" / "dead.jsonl"
    letters = DeadLetterFile(path=path, max_share=1.0)
    headers = (("a", b"1"), ("b", None))
    letters.send(Record("mail", 1, 7, b"\xffx", b"k", headers, 12.5), DecodeError("encoding", "not UTF-8 at byte 0"))
    letters.send(Record("mail", 1, 8, None), DecodeError("parse", "r" * 5000))
    letters.flush()
    letters.close()
    letters.close()
    first, second = map(json.loads, path.read_text().splitlines())
    assert first == {
        "id": "mail-1-7",
        "topic": "mail",
        "partition": 1,
        "offset": 7,
        "timestamp_s": 12.5,
        "stage": "encoding",
        "reason": "not UTF-8 at byte 0",
        "key": "k",
        "value": {"base64": "/3g="},
        "headers": [["a", "1"], ["b", None]],
    }
    assert second["value"] is None
    assert second["reason"] == "r" * 1000


def test_value_is_cut(tmp_path: Path) -> None:
    letters = DeadLetterFile(path=tmp_path / "dead.jsonl", max_share=1.0)
    letters.send(Record("mail", 0, 0, b"x" * 500_000), DecodeError("bounds", "too long"))
    letters.close()
    assert json.loads((tmp_path / "dead.jsonl").read_text())["value"] == "x" * 400_000


def test_line_that_a_crash_cut_off_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    path.write_bytes(b'{"id": "whole"}\n{"id": "to')
    letters = DeadLetterFile(path=path, max_share=1.0)
    letters.send(Record("mail", 0, 0, b"x"), DecodeError("parse", "no"))
    letters.close()
    lines = path.read_bytes().splitlines()
    assert lines[:2] == [b'{"id": "whole"}', b'{"id": "to']
    assert json.loads(lines[2])["id"] == "mail-0-0"


def test_full_disk_loses_nothing_and_is_told_by_flush(caplog: pytest.LogCaptureFixture) -> None:
    letters = DeadLetterFile(path=Path("/dev/full"), max_share=1.0)
    for offset in range(3):
        letters.send(Record("mail", 0, offset, b"x"), DecodeError("parse", "no"))
    with pytest.raises(DeadLetterError, match=r"/dev/full: 3 dead letters cannot be written \(No space left on device\)"):
        letters.flush()
    told = [record for record in caplog.records if record.name == "streams.deadletter.file"]
    assert len(told) == 1
    letters.close()


def test_too_much_that_waits_stops_learning() -> None:
    letters = DeadLetterFile(path=Path("/dev/full"), max_share=1.0)
    for offset in range(10_000):
        letters.send(Record("mail", 0, offset, b"x"), DecodeError("parse", "no"))
    with pytest.raises(DeadLetterError, match=r"10001 dead letters cannot be written"):
        letters.send(Record("mail", 0, 10_000, b"x"), DecodeError("parse", "no"))
    letters.close()


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeadLetterError, match=r"file/dead\.jsonl: dead letters cannot be written"):
        DeadLetterFile(path=tmp_path / "file" / "dead.jsonl", max_share=1.0)
