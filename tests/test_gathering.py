"""Micro-batches close when they are full, when they waited long enough, at the end of the log, and at a gap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from daemon.gathering import LiveGatherer, LogGatherer, MicroBatch
from daemon.plan import runs_of
from streams.buffers import Buffers
from streams.record import Record, Run
from streams.source import Source


class Scripted(Buffers):
    """What a reading thread would have delivered, put by the test; the ends are where the script stops."""

    def ends(self) -> dict[int, int]:
        return {0: 60}


def gapped() -> Scripted:
    """Offsets 0 to 9, then a gap to 50, then 50 to 59."""
    source = Scripted(topic="t", capacity=1000)
    source.add(0, position=0)
    source.put(0, [Record("t", 0, offset, b"") for offset in range(10)], read_to=10)
    source.skip(Run(0, 10, 50))
    source.put(0, [Record("t", 0, offset, b"") for offset in range(50, 60)], read_to=60)
    return source


def runs(batches: list[MicroBatch]) -> list[tuple[str, int, int]]:
    """What the ledger would say of them."""
    positions: Mapping[int, int] = {0: 0}
    said = []
    for batch in batches:
        for gap in batch.gaps:
            said.append(("skipped", gap.start, gap.end))
            positions = {0: gap.end}
        for run in runs_of(batch.records, positions):
            said.append(("plan", run.start, run.end))
            positions = {0: run.end}
    return said


EXPECTED = [("plan", 0, 10), ("skipped", 10, 50), ("plan", 50, 60)]


def test_a_gap_closes_a_live_micro_batch() -> None:
    now = iter(range(1000))
    gatherer = LiveGatherer(source=cast("Source", gapped()), batch_rows=64, batch_wait_s=5.0, clock=lambda: float(next(now)))
    batches = [batch for _ in range(10) if (batch := gatherer.next())]
    assert runs(batches) == EXPECTED


def test_a_gap_closes_a_micro_batch_of_a_log() -> None:
    gatherer = LogGatherer(source=cast("Source", gapped()), batch_rows=64)
    batches = []
    while not gatherer.at_end():
        if batch := gatherer.next():
            batches.append(batch)
    assert runs(batches) == EXPECTED


def test_every_micro_batch_of_a_log_but_the_last_is_full() -> None:
    gatherer = LogGatherer(source=cast("Source", gapped()), batch_rows=4)
    sizes = []
    while not gatherer.at_end():
        if batch := gatherer.next():
            sizes.append(len(batch.records))
    assert sizes == [4, 4, 2, 4, 4, 2]  # the gap ends a micro-batch as the end of the log does


def test_a_live_micro_batch_waits_for_its_oldest_record_alone() -> None:
    times = iter([0.0, 1.0, 1.0, 2.9, 3.0, 3.1, 3.2, 3.3])
    source = Scripted(topic="t", capacity=1000)
    source.add(0, position=0)
    gatherer = LiveGatherer(source=cast("Source", source), batch_rows=64, batch_wait_s=2.0, clock=lambda: next(times))
    source.put(0, [Record("t", 0, 0, b"")], read_to=1)
    assert gatherer.next() is None  # came at 0, closes at 2
    source.put(0, [Record("t", 0, 1, b"")], read_to=2)
    batch = gatherer.next()
    assert batch is not None
    assert [record.offset for record in batch.records] == [0, 1]
