"""What is particular to files: lines that are not whole yet, gzip, replaced and truncated files, merging by a field."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.errors import ReplacedError, SourceError
from streams.files import FileSource
from streams.record import Record


@contextmanager
def opened(
    *paths: Path, follow: bool = False, positions: dict[int, int] | None = None, buffer_records: int = 1000, **options: str
) -> Iterator[FileSource]:
    source = FileSource(topic="t", paths=paths, follow=follow, buffer_records=buffer_records, **options)  # type: ignore[arg-type]
    try:
        source.open(positions or {})
        yield source
    finally:
        source.close()


def values(records: Sequence[Record]) -> list[bytes | None]:
    return [r.value for r in records]


def rest(source: FileSource) -> list[Record]:
    ends, records = source.ends(), []
    while not source.exhausted(ends):
        records += source.take_merged(7, ends=ends, timeout_s=10)
    return records


def test_blank_lines_are_holes_and_a_last_line_without_newline_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"a\n\r\nb\r\n  \nc")
    with opened(path) as source:
        assert source.ends() == {0: 5}
        assert [(r.offset, r.value) for r in rest(source)] == [(0, b"a"), (2, b"b"), (4, b"c")]
        assert source.positions() == {0: 5}
        assert source.lag() == {0: 0}


@pytest.mark.parametrize(("text", "warned"), [(b"a\nb", True), (b"a\nb\n", False), (b"a\n  ", False)])
def test_last_line_of_a_followed_file_that_was_not_read_is_told_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: bytes, warned: bool
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(text)
    with opened(path, follow=True) as source:
        assert source.take_arrived(1, timeout_s=10)
        assert not caplog.records
    source.close()
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == warned
    if warned:
        assert texts[0].startswith(f"{path}: the last row, offset 1, has no newline and was not read")
        assert texts[0].endswith("end it with a newline, or set source.follow = false")


def test_blank_lines_at_the_end_count_as_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"a\n\n\n")
    with opened(path) as source:
        assert values(rest(source)) == [b"a"]
        assert source.ends() == {0: 3}
        assert source.positions() == {0: 1}


def test_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbfa\nb\n")
    with opened(path) as source:
        assert values(rest(source)) == [b"a", b"b"]


def test_gzip_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.old"
    path.write_bytes(gzip.compress(b"a\nb\nc"))
    with opened(path, positions={0: 1}) as source:
        assert values(rest(source)) == [b"b", b"c"]
    with opened(path, follow=True) as source:  # it cannot grow, so its last line counts
        assert values(rest(source)) == [b"a", b"b", b"c"]


def test_truncated_gzip_is_an_error_after_what_could_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"a\n" * 1000)[:-12])
    source = FileSource(topic="t", paths=[path], follow=False, buffer_records=10)
    with pytest.raises(SourceError, match=r"a\.jsonl\.gz: cannot be read on after line .*restore the file"):
        source.open({})
    source.close()


@pytest.mark.parametrize("appended", [gzip.compress(b"c\n"), gzip.compress(b"c\n")[:10]], ids=["whole", "torn"])
def test_what_is_appended_to_a_gzip_file_is_not_read(tmp_path: Path, appended: bytes) -> None:
    zipped, plain = tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl"
    zipped.write_bytes(gzip.compress(b"a\n"))
    plain.write_bytes(b"b\n")
    with opened(zipped, plain, follow=True) as source:
        assert values(rest(source)) == [b"a", b"b"]
        with zipped.open("ab") as file:
            file.write(appended)
        with plain.open("ab") as file:
            file.write(b"d\n")
        assert values(source.take_arrived(1, timeout_s=10)) == [b"d"]
        assert source.positions() == {0: 1, 1: 2}


def test_row_whose_time_no_decoder_reads_is_given_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    deep = b'{"at": 1, "z": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    path.write_bytes(deep + b'\n{"at": "\xff"}\n{"at": 3}\n')
    with opened(path, time_field="at") as source:
        assert [r.timestamp_s for r in rest(source)] == [0.0, 0.0, 3.0]


def test_followed_file_gives_whole_lines_only_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"a\nb")
    with opened(path, follow=True) as source:
        assert values(source.take_arrived(9, timeout_s=10)) == [b"a"]
        assert source.ends() == {0: 1}
        with path.open("ab") as file:
            file.write(b"bb\nc\n")
        got = values(source.take_arrived(9, timeout_s=10))
        assert got == [b"bbb", b"c"]
        assert source.ends() == {0: 3}


def test_followed_file_may_begin_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.touch()
    with opened(path, follow=True) as source:
        saved = source.identity()
        path.write_bytes(b"a\n")
        assert values(source.take_arrived(9, timeout_s=10)) == [b"a"]
    source = FileSource(topic="t", paths=[path], follow=True, buffer_records=9)
    source.open({0: 1}, identity=saved)
    source.close()


@pytest.mark.parametrize("how", ["truncated", "replaced", "removed"])
def test_followed_file_that_is_swapped_away_stops_the_source(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"a\nb\n")
    with opened(path, follow=True) as source:
        assert values(source.take_arrived(9, timeout_s=10)) == [b"a", b"b"]
        if how == "truncated":
            path.write_bytes(b"z\n")
        else:
            path.rename(tmp_path / "a.1")
            if how == "replaced":
                path.write_bytes(b"c\nd\ne\n")
        with pytest.raises(ReplacedError, match=r"a\.jsonl: (was replaced or truncated after line 2|is gone)"):
            source.take_arrived(9, timeout_s=10)


def test_position_beyond_the_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"a\nb\n")
    with (
        pytest.raises(ReplacedError, match=r"line 3 \(counted from 0\), but the file has only 2"),
        opened(path, positions={0: 3}),
    ):
        pass


def test_positions_of_more_partitions_than_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"a\n")
    with pytest.raises(ReplacedError, match="saved for partition 1, but only 1 files"), opened(path, positions={1: 0}):
        pass


def test_other_first_row_or_name_is_another_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"a\n")
    with opened(path) as source:
        saved = source.identity()
    path.write_bytes(b"z\nb\n")
    other = FileSource(topic="t", paths=[path], follow=False, buffer_records=9)
    with pytest.raises(ReplacedError, match=r"t\[0\]: .*a\.jsonl does not begin with the row"):
        other.open({0: 1}, identity=saved)
    renamed = path.rename(tmp_path / "b.jsonl")
    other = FileSource(topic="t", paths=[renamed], follow=False, buffer_records=9)
    with pytest.raises(ReplacedError, match=r"saved for file a\.jsonl, but b\.jsonl is given"):
        other.open({0: 1}, identity=saved)
    with pytest.raises(ReplacedError, match="belong to a topic"):
        other.open({0: 1}, identity={"topic_id": "x"})


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.jsonl: cannot be read \(No such file"), opened(tmp_path / "nowhere.jsonl"):
        pass


def test_files_merge_by_a_time_field_or_else_one_after_the_other(tmp_path: Path) -> None:
    for name, times in (("a", [1, 4]), ("b", [2, 3])):
        (tmp_path / name).write_text("".join(json.dumps({"at": t}) + "\n" for t in times) + "no time\n")
    paths = tmp_path / "a", tmp_path / "b"
    with opened(*paths) as source:
        assert [r.partition for r in rest(source)] == [0, 0, 0, 1, 1, 1]
    with opened(*paths, time_field="at") as source:
        # A row without a time has time 0, so it follows the row before it in its file at once.
        assert [(r.partition, r.timestamp_s) for r in rest(source)] == [
            (0, 1.0),
            (1, 2.0),
            (1, 3.0),
            (1, 0.0),
            (0, 4.0),
            (0, 0.0),
        ]


def test_buffer_bounds_what_is_read_ahead(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(b"%d\n" % n for n in range(5000)))
    with opened(path, buffer_records=10) as source:
        assert values(rest(source)) == [b"%d" % n for n in range(5000)]


def test_latest_starts_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"a\nb\n")
    with opened(path, follow=True, start="latest") as source:
        assert source.positions() == {0: 2}
        with path.open("ab") as file:
            file.write(b"c\n")
        assert [(r.offset, r.value) for r in source.take_arrived(9, timeout_s=10)] == [(2, b"c")]
