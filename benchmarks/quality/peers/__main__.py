"""`python -m benchmarks.quality.peers NAME STREAM.jsonl OUT.npz`: one peer over one stream, in the peers' environment."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.quality import peers, streams
from benchmarks.quality.peers.base import Row, run, with_last_label
from benchmarks.quality.scores import targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(peers.PEERS))
    parser.add_argument("stream", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--task", default="classification")
    parser.add_argument("--delay", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--history", action="store_true", help="give tables the last label as one more input")
    parser.add_argument("--embeddings", type=Path, help="(N, D) .npy, one row a text")
    chosen = parser.parse_args()

    rows: Sequence[Row] = streams.read(chosen.stream)
    _, index = targets([row["label"] for row in rows], task=chosen.task)
    if chosen.task == "classification":
        rows = [{**row, "label": str(row["label"])} for row in rows]
    if chosen.history and "features" in rows[0]:
        rows = with_last_label(rows, task=chosen.task, index=index)
    if chosen.embeddings:
        rows = [{**row, "embedding": e} for row, e in zip(rows, np.load(chosen.embeddings), strict=True)]
    peer = peers.make(chosen.name, task=chosen.task, labels=list(index), seed=chosen.seed)
    began = time.perf_counter()
    answers = run(peer, rows, task=chosen.task, index=index, delay=chosen.delay)
    seconds = time.perf_counter() - began
    np.savez(chosen.out, **vars(answers))
    json.dump({"seconds": seconds, "version": peers.version(chosen.name), "seed": chosen.seed}, sys.stdout)


if __name__ == "__main__":
    main()
