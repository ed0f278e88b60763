"""`python -m benchmarks.speed.peers NAME ROWS CORE`: a peer on decoded rows of Elec2, one by one."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from benchmarks.quality import peers, streams
from benchmarks.quality.peers.base import Row, run
from benchmarks.quality.scores import targets
from benchmarks.speed.worker import Measured, serve


def elec2_pass(name: str, rows: Sequence[Row]) -> Measured:
    """A fresh peer over all rows: predict, then learn."""
    target_N, index = targets([row["label"] for row in rows], task="classification")
    peer = peers.make(name, task="classification", labels=list(index))
    began = time.perf_counter()
    answers = run(peer, rows, task="classification", index=index)
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "rows": len(rows),
        "accuracy": float((answers.answer_N == target_N).mean()),
        "version": peers.version(name),
    }


def main() -> None:
    name, num_rows, core = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rows = streams.read(streams.write("elec2", max_rows=num_rows))
    serve(lambda: elec2_pass(name, rows), core=core)


if __name__ == "__main__":
    main()
