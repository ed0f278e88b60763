"""A recorded file, then the stream, under one set of positions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.decoding.fields import Fields
from streams.errors import ReplacedError
from streams.files import FileSource
from streams.history import HISTORY, HistoryFirst
from streams.record import Record, Run
from streams.source import Source
from streams.table import TableSource

Make = Callable[[], HistoryFirst]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Five rows of a CSV file, then a followed file with three."""
    (tmp_path / "old.csv").write_text("x,label\n" + "".join(f"{i},a\n" for i in range(5)), encoding="utf-8")
    (tmp_path / "new.jsonl").write_text("".join(json.dumps({"n": i}) + "\n" for i in range(3)), encoding="utf-8")
    made: list[Source] = []

    def make() -> HistoryFirst:
        history = TableSource(path=tmp_path / "old.csv", fields=Fields())
        stream = FileSource(topic="new", paths=[tmp_path / "new.jsonl"], follow=True, buffer_records=100)
        made.append(source := HistoryFirst(history=history, stream=stream))
        return source

    yield make
    for source in made:
        source.close()


def take_all(source: Source, *, merged: bool) -> list[tuple[int, int]]:
    ends, records = source.ends(), list[Record]()
    while not source.exhausted(ends):
        if merged:
            records += source.take_merged(2, ends=ends, timeout_s=5.0)
        else:
            records += source.take_arrived(2, timeout_s=5.0)
    return [(record.partition, record.offset) for record in records]


WHOLE = [*((HISTORY, i) for i in range(5)), *((0, i) for i in range(3))]


@pytest.mark.parametrize("merged", [False, True])
def test_the_file_comes_first_and_then_the_stream(make: Make, *, merged: bool) -> None:
    source = make()
    source.open({})
    assert source.positions() == {HISTORY: 0, 0: 0}
    assert source.ends() == {HISTORY: 5, 0: 3}
    assert take_all(source, merged=merged) == WHOLE
    assert source.positions() == {HISTORY: 5, 0: 3}
    assert source.lag() == {HISTORY: 0, 0: 0}


@pytest.mark.parametrize("num_taken", range(9))
def test_another_goes_on_from_any_position(make: Make, num_taken: int) -> None:
    first = make()
    first.open({})
    taken = 0
    while taken < num_taken and (records := first.take_arrived(1, timeout_s=5.0)):
        taken += len(records)
    second = make()
    second.open(first.positions(), identity=first.identity())
    assert take_all(second, merged=True) == WHOLE[taken:]


def test_runs_of_both_are_found(make: Make) -> None:
    source = make()
    source.open({})
    found = []
    assert not source.has_run(Run(0, 0, 4), timeout_s=0)
    for run in (Run(HISTORY, 0, 2), Run(HISTORY, 2, 5), Run(0, 0, 3)):
        while not source.has_run(run, timeout_s=5.0):
            pass
        while (records := source.take_run(run, timeout_s=5.0)) is None:
            pass
        found += [(record.partition, record.offset) for record in records]
    assert found == WHOLE


def test_a_file_that_was_not_there_at_the_beginning_is_refused(make: Make) -> None:
    with pytest.raises(ReplacedError, match=r"learning began without old\.csv"):
        make().open({0: 2})


def test_all_that_a_source_tells_is_told_of_the_stream() -> None:
    """What the contract gives a default for would be forgotten in silence."""
    assert {name for name in vars(Source) if not name.startswith("_")} <= vars(HistoryFirst).keys()
