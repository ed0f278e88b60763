"""The three orders, gaps, errors and limits of the buffers between reading thread and loop."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from streams.buffers import Buffers
from streams.errors import GapError, PassedError, SourceError
from streams.record import Record, Run


def record(partition: int, offset: int, timestamp_s: float = 0.0) -> Record:
    return Record("t", partition, offset, b"x", timestamp_s=timestamp_s)


def make(*partitions: int, capacity: int = 100, position: int = 0) -> Buffers:
    buffers = Buffers(topic="t", capacity=capacity)
    for partition in partitions:
        buffers.add(partition, position=position)
    return buffers


def where(records: Sequence[Record] | None) -> list[tuple[int, int]]:
    assert records is not None
    return [(r.partition, r.offset) for r in records]


def test_arrival_order_is_delivery_order_across_partitions() -> None:
    buffers = make(0, 1)
    buffers.put(1, [record(1, 0), record(1, 1)], read_to=2)
    buffers.put(0, [record(0, 0)], read_to=1)
    buffers.put(1, [record(1, 2)], read_to=3)
    assert where(buffers.take_arrived(3, timeout_s=0)) == [(1, 0), (1, 1), (0, 0)]
    assert buffers.positions() == {0: 1, 1: 2}
    assert where(buffers.take_arrived(3, timeout_s=0)) == [(1, 2)]
    assert buffers.take_arrived(3, timeout_s=0) == []


def test_merged_order_is_by_timestamp_then_partition_whatever_came_first() -> None:
    buffers = make(0, 1)
    buffers.put(1, [record(1, 0, 5.0), record(1, 1, 7.0)], read_to=2)
    ends = {0: 3, 1: 2}
    assert buffers.take_merged(9, ends=ends, timeout_s=0) == []  # partition 0 may still have an earlier one
    buffers.put(0, [record(0, 0, 5.0), record(0, 1, 9.0)], read_to=2)
    assert where(buffers.take_merged(9, ends=ends, timeout_s=0)) == [(0, 0), (1, 0), (1, 1), (0, 1)]
    assert not buffers.exhausted(ends)
    buffers.put(0, [], read_to=3)  # a hole at the end
    assert buffers.exhausted(ends)
    assert buffers.take_merged(9, ends=ends, timeout_s=60) == []  # at once: there is nothing to wait for


def test_merged_waits_where_a_partition_runs_dry_in_mid_call() -> None:
    buffers = make(0, 1)
    buffers.put(0, [record(0, 0, 1.0)], read_to=1)
    buffers.put(1, [record(1, 0, 2.0), record(1, 1, 4.0)], read_to=2)
    ends = {0: 2, 1: 2}
    assert where(buffers.take_merged(9, ends=ends, timeout_s=0)) == [(0, 0)]  # its next one may come before (1, 0)
    buffers.put(0, [record(0, 1, 3.0)], read_to=2)
    assert where(buffers.take_merged(9, ends=ends, timeout_s=0)) == [(1, 0), (0, 1), (1, 1)]


def test_merged_stops_in_mid_call_where_a_gap_follows() -> None:
    buffers = make(0, 1)
    buffers.put(0, [record(0, 0, 1.0)], read_to=1)
    buffers.skip(Run(0, 1, 5))
    buffers.put(0, [record(0, 5, 2.0)], read_to=6)
    buffers.put(1, [record(1, 0, 3.0)], read_to=1)
    ends = {0: 6, 1: 1}
    assert where(buffers.take_merged(9, ends=ends, timeout_s=0)) == [(0, 0)]
    assert list(buffers.skipped()) == []
    assert where(buffers.take_merged(9, ends=ends, timeout_s=0)) == [(0, 5), (1, 0)]
    assert list(buffers.skipped()) == [Run(0, 1, 5)]


def test_merged_keeps_offset_order_where_timestamps_run_backwards() -> None:
    buffers = make(0, 1)
    buffers.put(0, [record(0, 0, 9.0), record(0, 1, 1.0)], read_to=2)
    buffers.put(1, [record(1, 0, 2.0)], read_to=1)
    assert where(buffers.take_merged(9, ends={0: 2, 1: 1}, timeout_s=0)) == [(1, 0), (0, 0), (0, 1)]


def test_merged_stops_at_the_ends() -> None:
    buffers = make(0)
    buffers.put(0, [record(0, o) for o in range(5)], read_to=5)
    assert where(buffers.take_merged(9, ends={0: 3}, timeout_s=0)) == [(0, 0), (0, 1), (0, 2)]
    assert buffers.exhausted({0: 3})
    assert not buffers.exhausted({0: 4})
    assert not buffers.exhausted({0: 3, 1: 0})


def test_run_waits_until_all_of_it_was_delivered_and_covers_holes_at_its_end() -> None:
    buffers = make(0)
    buffers.put(0, [record(0, 0), record(0, 2)], read_to=3)
    assert buffers.take_run(Run(0, 0, 5), timeout_s=0) is None
    assert buffers.positions() == {0: 0}
    buffers.put(0, [record(0, 7)], read_to=8)
    assert where(buffers.take_run(Run(0, 0, 5), timeout_s=0)) == [(0, 0), (0, 2)]
    assert buffers.positions() == {0: 5}
    assert buffers.take_run(Run(0, 5, 7), timeout_s=0) == []


def test_run_longer_than_the_buffer_makes_room_for_itself() -> None:
    buffers = make(0, capacity=2)
    buffers.put(0, [record(0, 0), record(0, 1)], read_to=2)
    assert buffers.full(0)
    buffers.demand.clear()
    assert buffers.take_run(Run(0, 0, 4), timeout_s=0) is None
    assert buffers.demand.is_set()
    assert not buffers.full(0)
    buffers.put(0, [record(0, 2), record(0, 3)], read_to=4)
    assert buffers.full(0)
    assert where(buffers.take_run(Run(0, 0, 4), timeout_s=0)) == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_run_that_jumps_over_records_is_refused() -> None:
    buffers = make(0)
    buffers.put(0, [record(0, 0), record(0, 1)], read_to=2)
    with pytest.raises(SourceError, match=r"t\[0\]: the run 1\.\.2 was asked for, but record 0 before it"):
        buffers.take_run(Run(0, 1, 2), timeout_s=0)
    with pytest.raises(SourceError, match=r"t\[7\]: no such partition"):
        buffers.take_run(Run(7, 1, 2), timeout_s=0)


def test_gap_lies_between_two_calls_and_is_told_with_the_records_after_it() -> None:
    buffers = make(0)
    buffers.put(0, [record(0, 0)], read_to=1)
    buffers.skip(Run(0, 1, 50))
    buffers.put(0, [record(0, 50)], read_to=51)
    assert where(buffers.take_arrived(9, timeout_s=0)) == [(0, 0)]
    assert buffers.skipped() == []
    assert where(buffers.take_arrived(9, timeout_s=0)) == [(0, 50)]
    assert buffers.skipped() == [Run(0, 1, 50)]
    assert buffers.skipped() == []


def test_gap_in_merged_order() -> None:
    buffers = make(0, 1)
    ends = {0: 51, 1: 1}
    buffers.skip(Run(0, 0, 50))
    buffers.put(1, [record(1, 0, 3.0)], read_to=1)
    assert buffers.take_merged(9, ends=ends, timeout_s=0) == []
    assert buffers.skipped() == [Run(0, 0, 50)]
    assert buffers.positions() == {0: 50, 1: 0}
    buffers.put(0, [record(0, 50, 2.0)], read_to=51)
    assert where(buffers.take_merged(9, ends=ends, timeout_s=0)) == [(0, 50), (1, 0)]


def test_run_that_lost_records_raises_with_position_and_first() -> None:
    buffers = make(0)
    buffers.put(0, [record(0, 0)], read_to=1)
    buffers.skip(Run(0, 1, 50))
    with pytest.raises(GapError, match=r"t\[0\]: position 1 is gone, the first record still there is 50 \(49 lost") as caught:
        buffers.take_run(Run(0, 0, 10), timeout_s=0)
    assert (caught.value.position, caught.value.first) == (1, 50)
    assert where(buffers.take_run(Run(0, 0, 1), timeout_s=0)) == [(0, 0)]
    buffers.put(0, [record(0, 50)], read_to=51)
    assert where(buffers.take_run(Run(0, 50, 51), timeout_s=0)) == [(0, 50)]


def test_run_is_asked_for_without_taking_it() -> None:
    buffers = make(0)
    buffers.put(0, [record(0, 0), record(0, 1)], read_to=2)
    assert not buffers.has_run(Run(0, 0, 3), timeout_s=0)
    assert buffers.has_run(Run(0, 1, 2), timeout_s=0)  # also behind what was not taken yet
    buffers.skip(Run(0, 2, 50))
    with pytest.raises(PassedError) as caught:
        buffers.has_run(Run(0, 1, 3), timeout_s=0)
    assert (caught.value.position, caught.value.first) == (2, 50)
    with pytest.raises(PassedError) as caught:
        buffers.has_run(Run(0, 40, 60), timeout_s=0)
    assert (caught.value.position, caught.value.first) == (40, 50)
    assert where(buffers.take_arrived(9, timeout_s=0)) == [(0, 0), (0, 1)]


def test_error_of_the_reading_thread_comes_after_what_was_buffered_before_it() -> None:
    buffers = make(0)
    buffers.put(0, [record(0, 0)], read_to=1)
    buffers.fail(SourceError("gone"))
    assert where(buffers.take_arrived(9, timeout_s=0)) == [(0, 0)]
    for take in (
        lambda: buffers.take_arrived(9, timeout_s=60),
        lambda: buffers.take_merged(9, ends={0: 2}, timeout_s=60),
        lambda: buffers.take_run(Run(0, 1, 2), timeout_s=60),
    ):
        with pytest.raises(SourceError, match="gone"):
            take()


def test_waiting_taker_wakes_when_records_come_and_when_the_source_closes() -> None:
    buffers = make(0)
    taken: list[list[Record]] = []
    taker = threading.Thread(target=lambda: taken.append(buffers.take_arrived(1, timeout_s=60)))
    taker.start()
    buffers.put(0, [record(0, 0)], read_to=1)
    taker.join(10)
    assert where(taken[0]) == [(0, 0)]
    failures: list[str] = []

    def wait() -> None:
        try:
            buffers.take_arrived(1, timeout_s=60)
        except SourceError as error:
            failures.append(str(error))

    taker = threading.Thread(target=wait)
    taker.start()
    buffers.close()
    taker.join(10)
    assert failures == ["t: the source is closed; open a new one"]


def test_lag_counts_what_is_buffered_but_not_holes_at_the_end() -> None:
    buffers = make(0)
    buffers.set_end(0, 10)
    assert buffers.lag() == {0: 10}
    buffers.put(0, [record(0, 2), record(0, 3)], read_to=8)
    assert buffers.lag() == {0: 8}
    buffers.take_arrived(9, timeout_s=0)
    assert buffers.lag() == {0: 2}
    buffers.put(0, [], read_to=12)
    assert buffers.lag() == {0: 0}
