"""A micro-batch as the ledger knows it: which records, in which order, as which step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from daemon.state import JSON
from streams.record import Record, Run


@dataclass(frozen=True, slots=True)
class Plan:
    """Step `step` learns the records of `runs`, in that order, after `rows` rows have been learned.

    >>> Plan.from_body({"step": 3, "rows": 128, "runs": [[0, 64, 96], [1, 10, 42]]}).runs[1]
    Run(partition=1, start=10, end=42)
    """

    step: int
    rows: int
    runs: tuple[Run, ...]

    def body(self) -> dict[str, JSON]:
        return {"step": self.step, "rows": self.rows, "runs": [[r.partition, r.start, r.end] for r in self.runs]}

    @classmethod
    def from_body(cls, body: Mapping[str, JSON]) -> Plan:
        runs = body["runs"]
        assert isinstance(runs, list)
        return cls(step=int(body["step"]), rows=int(body["rows"]), runs=tuple(Run(*run) for run in runs))  # type: ignore[arg-type] # JSON


def runs_of(records: Sequence[Record], positions: Mapping[int, int]) -> tuple[Run, ...]:
    """The runs that `records` make up, in order.

    Each run starts where its partition stands, not at its first record: holes in the offsets (transaction markers, blank
    lines) belong to the run after them, so that the ledger covers every position exactly once.

    >>> records = [Record("t", 0, 5, b""), Record("t", 0, 7, b""), Record("t", 1, 0, b""), Record("t", 0, 8, b"")]
    >>> [(r.partition, r.start, r.end) for r in runs_of(records, {0: 4, 1: 0})]
    [(0, 4, 8), (1, 0, 1), (0, 8, 9)]
    """
    at = dict(positions)
    runs: list[Run] = []
    for record in records:
        start = at.get(record.partition, record.offset)
        end = record.offset + 1
        if runs and runs[-1].partition == record.partition:
            runs[-1] = Run(record.partition, runs[-1].start, end)
        else:
            runs.append(Run(record.partition, start, end))
        at[record.partition] = end
    return tuple(runs)


def advance(positions: Mapping[int, int], runs: Iterable[Run]) -> dict[int, int]:
    """Where the partitions stand after `runs`."""
    return {**positions, **{run.partition: run.end for run in runs}}
