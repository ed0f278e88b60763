"""The times that freshness is told from: few, and evenly from all that are not in the answers yet."""

from __future__ import annotations

from daemon.arrivals import MAX_ARRIVALS, Arrivals


def test_however_many_come_few_are_kept_evenly() -> None:
    arrivals = Arrivals()
    for step in range(1000):
        arrivals.add([float(step * 16 + i) for i in range(16)], step=step)
        assert len(arrivals.sample()) <= MAX_ARRIVALS
    kept = arrivals.sample()
    assert kept == [float(i) for i in range(0, 16_000, 64)]


def test_what_came_after_a_snapshot_is_kept_and_all_counts_again() -> None:
    arrivals = Arrivals()
    arrivals.add([float(i) for i in range(1000)], step=1)
    arrivals.add([1000.0], step=2)
    arrivals.published(step=1)
    arrivals.add([1001.0, 1002.0], step=3)
    assert arrivals.sample() == [1000.0, 1001.0, 1002.0]
