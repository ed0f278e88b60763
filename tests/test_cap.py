from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from daemon.cap import MAX_SOURCES, NoCap, SourceCap
from streams.errors import DecodeError
from streams.record import Example, Record

Row = tuple[Record, Example]
FAR = 4_000_000_000.0


def row(source: str | None, at_s: float = 1.0, *, weight: float = 1.0, event_s: float | None = None) -> Row:
    """A record of the time `at_s`, and an example that claims to be of the time `event_s`."""
    slices = {} if source is None else {"shop": source}
    example = Example("id", "", {}, "a", weight=weight, slices=slices, time_s=event_s)
    return Record("t", 0, 0, b"", timestamp_s=at_s), example


def weights(cap: SourceCap, rows: Sequence[Row]) -> list[float]:
    return [example.weight for example in cap.limited(rows)]


def capped(weight_per_minute: float) -> SourceCap:
    return SourceCap(slice_name="shop", weight_per_minute=weight_per_minute)


def test_each_source_has_its_own_limit_and_others_have_none() -> None:
    rows = [row("x"), row("x"), row("x"), row("y"), row(None), row("x")]
    assert weights(capped(2.0), rows) == [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]


def test_a_weight_is_cut_to_what_is_left() -> None:
    assert weights(capped(2.5), [row("x", weight=2.0), row("x", weight=2.0), row("x", weight=2.0)]) == [2.0, 0.5, 0.0]


def test_a_minute_begins_anew_and_late_rows_count_in_it() -> None:
    rows = [row("x", 59.0), row("x", 59.9), row("x", 60.0), row("x", 58.0)]
    assert weights(capped(1.0), rows) == [1.0, 0.0, 1.0, 0.0]


def test_a_date_far_ahead_harms_nobody_but_who_sent_it() -> None:
    cap = capped(1.0)
    good = [row("good", 60.0 * minute) for minute in range(1, 100)]
    assert weights(cap, [row("bad", FAR), *good]) == [1.0] * 100
    assert weights(cap, [row("bad", 60.0 * minute) for minute in range(100, 200)]) == [0.0] * 100


def test_event_times_a_minute_apart_give_no_new_minute_where_records_have_a_time() -> None:
    rows = [row("bad", 1_700_000_040.0 + 0.1 * n, event_s=1_700_000_000.0 + 60.0 * n) for n in range(100)]
    assert sum(weights(capped(3.0), rows)) == 3.0


def test_without_a_time_of_the_record_it_is_the_event_time_that_counts() -> None:
    rows = [row("x", 0.0, event_s=time_s) for time_s in (0.0, 1.0, 60.0, -60.0)]
    assert weights(capped(1.0), rows) == [1.0, 0.0, 1.0, 0.0]


def test_a_row_of_a_source_without_any_time_is_refused_with_the_remedy() -> None:
    cap = capped(1.0)
    with pytest.raises(DecodeError, match=r"no time.*cap\.slice limits by the minute; give each row a time"):
        cap.require_time(*row("x", 0.0))
    for timed in (row("x", 1.0), row("x", 0.0, event_s=0.0), row(None, 0.0)):
        cap.require_time(*timed)
    NoCap().require_time(*row("x", 0.0))


def test_a_flood_of_sources_shares_one_limit_until_the_next_minute() -> None:
    cap = capped(1.0)
    assert sum(weights(cap, [row(str(n)) for n in range(MAX_SOURCES + 50)])) == MAX_SOURCES + 1
    assert len(cap.state_dict()["sources"]) == MAX_SOURCES
    assert sum(weights(cap, [row(f"new {n}", 61.0) for n in range(50)])) == 50.0
    assert len(cap.state_dict()["sources"]) == MAX_SOURCES


def test_a_flood_that_is_dated_far_ahead_takes_nobodys_place() -> None:
    cap = capped(1.0)
    weights(cap, [row(f"made up {n}", FAR) for n in range(MAX_SOURCES + 50)])
    assert weights(cap, [row(f"good {n}", 61.0) for n in range(50)]) == [1.0] * 50


def test_what_sources_share_is_frozen_by_no_date() -> None:
    cap = capped(1.0)
    weights(cap, [row(f"made up {n}", FAR) for n in range(MAX_SOURCES + 1)])
    weights(cap, [row(f"good {n}", 61.0) for n in range(MAX_SOURCES)])
    assert weights(cap, [row("late 1", 62.0), row("late 2", 63.0)]) == [1.0, 0.0]


def test_save_load_continue() -> None:
    first, second = capped(1.5), capped(1.5)
    weights(first, [row("x", 130.0), row("y", 131.0), row("bad", FAR)])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    rest = [row("x", 140.0), row("bad", 141.0), row("bad", FAR), row("bad", FAR + 60.0), row("y", 200.0)]
    assert weights(second, rest) == weights(first, rest) == [0.5, 0.5, 0.0, 1.0, 1.0]
    assert second.state_dict() == first.state_dict()


def test_without_a_cap_nothing_changes() -> None:
    rows = [row("x"), row("x", 0.0), row("x")]
    assert NoCap().limited(rows) == [example for _, example in rows]
