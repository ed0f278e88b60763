from __future__ import annotations

import json

from daemon.cap import MAX_SOURCES, NoCap, SourceCap
from streams.record import Example


def row(source: str | None, *, time_s: float = 0.0, weight: float = 1.0) -> Example:
    slices = {} if source is None else {"shop": source}
    return Example("id", "", {}, "a", weight=weight, slices=slices, time_s=time_s)


def weights(cap: SourceCap, rows: list[Example]) -> list[float]:
    return [example.weight for example in cap.limited(rows)]


def test_each_source_has_its_own_limit_and_others_have_none() -> None:
    cap = SourceCap(slice_name="shop", weight_per_minute=2.0)
    assert weights(cap, [row("x"), row("x"), row("x"), row("y"), row(None), row("x")]) == [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]


def test_a_weight_is_cut_to_what_is_left() -> None:
    cap = SourceCap(slice_name="shop", weight_per_minute=2.5)
    assert weights(cap, [row("x", weight=2.0), row("x", weight=2.0), row("x", weight=2.0)]) == [2.0, 0.5, 0.0]


def test_a_minute_begins_anew_and_late_rows_count_in_it() -> None:
    cap = SourceCap(slice_name="shop", weight_per_minute=1.0)
    rows = [row("x", time_s=59.0), row("x", time_s=59.9), row("x", time_s=60.0), row("x", time_s=58.0)]
    assert weights(cap, rows) == [1.0, 0.0, 1.0, 0.0]


def test_a_flood_of_sources_shares_one_limit() -> None:
    cap = SourceCap(slice_name="shop", weight_per_minute=1.0)
    assert sum(weights(cap, [row(str(i)) for i in range(MAX_SOURCES + 50)])) == MAX_SOURCES + 1
    assert len(cap.state_dict()["used"]) == MAX_SOURCES + 1


def test_save_load_continue() -> None:
    first, second = (SourceCap(slice_name="shop", weight_per_minute=1.5) for _ in range(2))
    weights(first, [row("x", time_s=130.0), row("y", time_s=131.0)])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert weights(second, [row("x", time_s=140.0)]) == weights(first, [row("x", time_s=140.0)]) == [0.5]


def test_without_a_cap_nothing_changes() -> None:
    rows = [row("x")] * 3
    assert NoCap().limited(rows) == rows
