"""`python -m benchmarks.speed.peers NAME ROWS CORE`: a peer on decoded rows of Elec2, one by one."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from benchmarks.quality import peers, streams
from benchmarks.quality.peers.base import Row, with_last_label
from benchmarks.quality.scores import targets
from benchmarks.speed.worker import Measured, serve


def elec2_pass(name: str, rows: Sequence[Row]) -> Measured:
    """A fresh peer over all rows: predict, then learn. Like learnd it is told the label before; errors are counted later."""
    _, index = targets([row["label"] for row in rows], task="classification")
    rows = with_last_label(rows, task="classification", index=index)
    peer = peers.make(name, task="classification", labels=list(index))
    predicted = []
    began = time.perf_counter()
    for row in rows:
        predicted.append(peer.predict(row))
        peer.learn(row, row["label"])
    seconds = time.perf_counter() - began
    correct = sum(bool(p) and max(p, key=p.__getitem__) == str(row["label"]) for p, row in zip(predicted, rows, strict=True))
    return {"seconds": seconds, "rows": len(rows), "accuracy": correct / len(rows), "version": peers.version(name)}


def main() -> None:
    name, num_rows, core = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rows = streams.read(streams.write("elec2", max_rows=num_rows))
    serve(lambda: elec2_pass(name, rows), core=core)


if __name__ == "__main__":
    main()
