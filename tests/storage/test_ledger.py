from __future__ import annotations

import errno
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import LedgerError, LedgerFull, StateError, WriterError
from daemon.storage import entries
from daemon.storage.entries import GENESIS
from daemon.storage.folder import Writer
from daemon.storage.ledger import Ledger
from tests.storage.conftest import Calls
from tests.storage.disk import small_disk
from tests.storage.processes import running


def plan(step: int) -> dict[str, object]:
    return {"step": step, "runs": [[0, 64 * step, 64 * step + 64]], "rows": 64 * step + 64}


def opened(folder: Path, *, segment_bytes: int = 2000) -> Ledger:
    ledger = Ledger(folder, segment_bytes=segment_bytes)
    ledger.open()
    return ledger


def filled(folder: Path, count: int, *, segment_bytes: int = 2000) -> list[str]:
    """A closed ledger of `count` plans; returns the chain after each number of entries, from 0."""
    ledger = opened(folder, segment_bytes=segment_bytes)
    chains = [ledger.head]
    for step in range(count):
        assert ledger.append("plan", plan(step)) == step
        chains.append(ledger.head)
    ledger.close()
    return chains


def paths(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def lines_end(path: Path) -> int:
    return len(path.read_bytes().rstrip(b"\0"))


def last_line_begins(path: Path) -> int:
    return path.read_bytes()[: lines_end(path) - 1].rindex(b"\n") + 1


def test_entries_come_back_over_many_segments(tmp_path: Path) -> None:
    chains = filled(tmp_path, 50)
    assert len(paths(tmp_path)) > 3
    ledger = opened(tmp_path)
    assert (ledger.position, ledger.head) == (50, chains[-1])
    for start in range(51):
        entries = list(ledger.entries(start))
        assert [entry.n for entry in entries] == list(range(start, 50))
        assert [entry.body for entry in entries] == [plan(step) for step in range(start, 50)]
        assert [entry.chain for entry in entries] == chains[start + 1 :]
    assert list(ledger.entries(60)) == []
    assert ledger.verify() == 50
    ledger.close()


def test_reopening_at_every_entry_makes_the_same_ledger(tmp_path: Path) -> None:
    chains = filled(tmp_path / "one", 30)
    for step in range(30):
        ledger = opened(tmp_path / "many")
        ledger.append("plan", plan(step))
        assert ledger.head == chains[step + 1]
        ledger.close()
    for one, many in zip(paths(tmp_path / "one"), paths(tmp_path / "many"), strict=True):
        assert one.read_bytes() == many.read_bytes()


def test_a_new_ledger_is_empty(tmp_path: Path) -> None:
    ledger = opened(tmp_path / "ledger")
    assert (ledger.position, ledger.head, ledger.verify(), list(ledger.entries())) == (0, GENESIS, 0, [])
    ledger.sync()
    ledger.close()
    ledger.close()


def test_entries_can_be_read_while_they_are_written(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    seen = 0
    for step in range(40):
        ledger.append("plan", plan(step))
        seen += sum(1 for _ in Ledger(tmp_path).entries(seen))
        assert seen == step + 1
    ledger.sync()
    ledger.close()


def test_an_entry_larger_than_a_segment_fits(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    for body in ({"small": 1}, {"large": "x" * 10_000}, {"small": 2}):
        ledger.append("note", body)
    assert [len(str(entry.body)) > 100 for entry in ledger.entries()] == [False, True, False]
    ledger.close()
    assert opened_and_closed(tmp_path) == 3


def opened_and_closed(folder: Path) -> int:
    ledger = opened(folder)
    ledger.close()
    return ledger.position


def test_a_body_that_is_not_json_leaves_no_trace(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    with pytest.raises(StateError, match="plan/scores/0: nan is not JSON"):
        ledger.append("plan", {"scores": [float("nan")]})
    assert ledger.append("plan", plan(0)) == 0
    assert ledger.verify() == 1
    ledger.close()


@pytest.mark.parametrize(("count", "stride"), [(5, 1), (1, 20)])
def test_a_last_line_torn_at_any_byte_is_dropped(
    tmp_path: Path, count: int, stride: int, caplog: pytest.LogCaptureFixture
) -> None:
    chains = filled(tmp_path, count)
    (path,) = paths(tmp_path)
    whole = path.read_bytes()
    begin, end = last_line_begins(path), lines_end(path)
    for cut, preallocated in itertools.product(range(begin, end, stride), (True, False)):
        torn = whole[:cut].ljust(len(whole) if preallocated else 0, b"\0")
        path.write_bytes(torn)
        caplog.clear()
        ledger = opened(tmp_path)
        assert (ledger.position, ledger.head) == (count - 1, chains[-2])
        assert (f"entry {count - 1} was torn" in caplog.text) == (cut > begin)
        ledger.append("plan", plan(count - 1))
        assert ledger.head == chains[-1]
        assert ledger.verify() == count
        ledger.close()
        caplog.clear()
        assert opened_and_closed(tmp_path) == count
        assert not caplog.records
        for extra in paths(tmp_path)[1:]:
            extra.unlink()


def test_nothing_of_a_torn_line_shows_behind_a_shorter_one(tmp_path: Path) -> None:
    filled(tmp_path, 2)
    (path,) = paths(tmp_path)
    end = lines_end(path)
    path.write_bytes(path.read_bytes()[:end] + (b'{"n":2,' + b"x" * 500).ljust(1000, b"\0"))
    ledger = opened(tmp_path)
    ledger.append("note", {})
    ledger.close()
    assert opened_and_closed(tmp_path) == 3
    assert path.read_bytes().endswith(bytes(850))


def test_a_page_that_a_power_cut_kept_from_the_disk_ends_the_ledger(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Pages reach the disk in any order: the second sector is lost, the third is there."""
    chains = filled(tmp_path, 12)
    (path,) = paths(tmp_path)
    whole = path.read_bytes()
    kept = whole[:512].count(b"\n") - 1
    path.write_bytes(whole[:512] + bytes(512) + whole[1024:])
    ledger = opened(tmp_path)
    assert (ledger.position, ledger.head) == (kept, chains[kept])
    assert f"entry {kept} was torn" in caplog.text
    for step in range(kept, 12):
        ledger.append("plan", plan(step))
    ledger.close()
    assert path.read_bytes() == whole
    # Zeros that a power cut cannot have left are damage.
    path.write_bytes(whole[:600] + bytes(100) + whole[700:])
    with pytest.raises(LedgerError, match="is damaged"):
        opened(tmp_path)


def test_damage_before_the_end_is_named(tmp_path: Path) -> None:
    filled(tmp_path, 5)
    (path,) = paths(tmp_path)
    whole = path.read_bytes()
    last = last_line_begins(path)
    line_of = [0, *itertools.accumulate(whole[:last].count(b"\n", at, at + 1) for at in range(last))]
    for at in range(last):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(LedgerError, match=rf"{path.name}, line {line_of[at] + 1}: "):
            opened(tmp_path)


def test_a_damaged_whole_last_line_is_not_taken_for_a_torn_one(tmp_path: Path) -> None:
    """It was written whole, so something may depend on it that a torn line cannot have had."""
    filled(tmp_path, 5)
    (path,) = paths(tmp_path)
    whole, at = path.read_bytes(), last_line_begins(path) + 20
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(LedgerError, match=r"line 6: entry 4 is damaged; .* cutting the file to \d+ bytes"):
        opened(tmp_path)


def test_an_earlier_segment_may_not_be_torn(tmp_path: Path) -> None:
    filled(tmp_path, 50)
    first, second, *_ = paths(tmp_path)
    whole = first.read_bytes()
    first.write_bytes(whole + bytes(100))
    assert Ledger(tmp_path).verify() == 50
    first.write_bytes(whole[:-10])
    with pytest.raises(LedgerError, match=f"{first.name}, line "):
        Ledger(tmp_path).verify()
    first.write_bytes(whole[:-10] + bytes(10))
    with pytest.raises(LedgerError, match=f"{first.name}, line "):
        Ledger(tmp_path).verify()
    first.write_bytes(whole[: last_line_begins(first)])
    with pytest.raises(LedgerError, match=f"{second.name}, line 1: does not go on"):
        Ledger(tmp_path).verify()
    first.unlink()
    with pytest.raises(LedgerError, match=f"{second.name}: is the first segment, entry 0 is gone"):
        Ledger(tmp_path).verify()
    assert [entry.n for entry in Ledger(tmp_path).entries(40)] == list(range(40, 50))


def test_a_rewritten_entry_breaks_the_chain_behind_it(tmp_path: Path) -> None:
    """Whoever changes one entry and its own chain would have to change every entry after it."""
    filled(tmp_path / "true", 6)
    ledger = opened(tmp_path / "false")
    for step in range(6):
        ledger.append("plan", plan(step) if step != 2 else {**plan(2), "rows": 999})
    ledger.close()
    (path,), (other,) = paths(tmp_path / "true"), paths(tmp_path / "false")
    lines, false_lines = path.read_bytes().split(b"\n"), other.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:3], false_lines[3], *lines[4:]]))
    with pytest.raises(LedgerError, match="line 5: entry 3 is damaged"):
        Ledger(tmp_path / "true").verify()


def test_a_crash_while_a_segment_is_made_leaves_nothing(tmp_path: Path) -> None:
    chains = filled(tmp_path, 50)
    last = paths(tmp_path)[-1]
    (tmp_path / ".tmp-segment").write_bytes(b"half")
    # The new segment was renamed, then the process died before its first line.
    content = last.read_bytes()
    last.write_bytes(content[: content.index(b"\n") + 1] + bytes(2000))
    ledger = opened(tmp_path)
    assert ledger.head == chains[ledger.position]
    for step in range(ledger.position, 50):
        ledger.append("plan", plan(step))
    assert ledger.head == chains[-1]
    ledger.close()
    assert paths(tmp_path)[-1] == last


def test_another_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later_build:
        later_build.setattr(entries, "FORMAT", 9)
        filled(tmp_path, 1)
    with pytest.raises(LedgerError, match=r"line 1: format 9, this build reads 1; use the build that wrote it"):
        opened(tmp_path)


def test_a_segment_under_another_name_is_refused(tmp_path: Path) -> None:
    filled(tmp_path, 50)
    first, second, *_ = paths(tmp_path)
    first.rename(second)
    with pytest.raises(LedgerError, match=f"{second.name}, line 1: begins with entry 0"):
        list(Ledger(tmp_path).entries(int(second.stem)))


def test_a_zombie_writes_nothing(tmp_path: Path) -> None:
    zombie = Writer(tmp_path)
    ledger = Ledger(tmp_path / "ledger", epoch_check=zombie.check)
    ledger.open()
    ledger.append("plan", plan(0))
    (tmp_path / "writer.lock").unlink()
    successor = Writer(tmp_path)
    with pytest.raises(WriterError, match="another writer took the folder over"):
        ledger.append("plan", plan(1))
    assert Ledger(tmp_path / "ledger").verify() == 1
    ledger.close()
    zombie.close()
    successor.close()


APPEND = """
    import sys
    from pathlib import Path
    from daemon.storage.ledger import Ledger
    ledger = Ledger(Path(sys.argv[1]), segment_bytes=5000)
    ledger.open()
    while True:
        n = ledger.append("plan", {"step": ledger.position, "runs": [[0, 1, 2]] * (ledger.position % 50)})
        print(n, flush=True)
"""


def test_what_was_appended_survives_a_kill(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = -1
    for _ in range(3):
        with running(APPEND, tmp_path) as process:
            assert process.stdout
            for line in itertools.islice(process.stdout, 200):
                told = int(line)
        assert [entry.n for entry in Ledger(tmp_path).entries()][: told + 1] == list(range(told + 1))
    ledger = opened(tmp_path)
    assert ledger.position == ledger.verify() > told
    ledger.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", size="256k") as folder:
        yield folder


def test_a_full_disk_pauses_the_ledger_and_space_resumes_it(disk: Path) -> None:
    ledger = Ledger(disk / "ledger", segment_bytes=64 << 10)
    ledger.open()
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(64 << 10))

    def fill() -> None:
        for step in itertools.count():
            ledger.append("plan", plan(step))

    with pytest.raises(LedgerFull, match=r"cannot be written .* free space"):
        fill()
    before = (ledger.position, ledger.head)
    assert before[0] > 800
    with pytest.raises(LedgerFull):
        ledger.append("plan", plan(ledger.position))
    assert (ledger.position, ledger.head) == before
    assert not (disk / "ledger" / ".tmp-segment").exists()
    assert ledger.verify() == ledger.position
    ballast.unlink()
    assert ledger.append("plan", plan(ledger.position)) == ledger.position - 1
    ledger.sync()
    ledger.close()
    assert [entry.body for entry in Ledger(disk / "ledger").entries()] == [plan(n) for n in range(ledger.position)]


def test_a_full_disk_cannot_tear_a_line_that_was_preallocated(disk: Path) -> None:
    ledger = Ledger(disk / "ledger", segment_bytes=64 << 10)
    ledger.open()
    ledger.append("plan", plan(0))
    with pytest.raises(OSError, match="No space left"):
        (disk / "ballast").write_bytes(bytes(1 << 20))
    for step in range(1, 200):
        ledger.append("plan", plan(step))
    ledger.sync()
    ledger.close()
    # A restart on the full disk needs no space either.
    assert Ledger(disk / "ledger").verify() == 200
    ledger.open()
    ledger.append("plan", plan(200))
    ledger.close()


def test_growth_is_as_documented(tmp_path: Path) -> None:
    ledger = opened(tmp_path, segment_bytes=1 << 20)
    for step in range(1000):
        ledger.append("plan", plan(15_000 + step))
    ledger.close()
    (path,) = paths(tmp_path)
    per_million_rows = lines_end(path) / (1000 * 64) * 1e6
    assert 2.3e6 < per_million_rows < 2.6e6


def test_a_segment_is_on_the_disk_before_the_next_begins(tmp_path: Path, calls: Calls) -> None:
    filled(tmp_path / "ledger", 20)
    first, second = [call for call in calls if call[0] == "rename"][:2]
    between = calls[calls.index(first) + 1 : calls.index(second)]
    assert between == [
        ("fsync", tmp_path / "ledger"),
        ("fsync", first[1]),
        ("fsync", tmp_path / "ledger" / ".tmp-segment"),
    ]


def test_sync_reaches_the_disk(tmp_path: Path, calls: Calls) -> None:
    ledger = opened(tmp_path)
    ledger.append("plan", plan(0))
    calls.clear()
    ledger.append("plan", plan(1))
    assert calls == []
    ledger.sync()
    assert calls == [("fsync", paths(tmp_path)[0])]
    ledger.close()


def test_nothing_is_written_after_pages_were_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system tells of a failed write-back once; an fsync after it would succeed and prove nothing."""

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    ledger = opened(tmp_path)
    ledger.append("plan", plan(0))
    with monkeypatch.context() as broken_disk:
        broken_disk.setattr(os, "fsync", fail)
        with pytest.raises(LedgerError, match=r"entries may be lost .* then start again"):
            ledger.sync()
    for call in (ledger.sync, lambda: ledger.append("plan", plan(1))):
        with pytest.raises(LedgerError, match="entries may be lost"):
            call()
    ledger.close()


def test_a_line_is_json_that_other_tools_can_read(tmp_path: Path) -> None:
    chains = filled(tmp_path, 1)
    (path,) = paths(tmp_path)
    header, line = path.read_bytes().rstrip(b"\0").splitlines()
    assert json.loads(header).items() >= {"chain": GENESIS, "first": 0, "format": 1}.items()
    assert json.loads(line) == {"n": 0, "kind": "plan", "body": plan(0), "chain": chains[-1]}
