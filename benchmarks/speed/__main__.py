"""`python -m benchmarks.speed [DUEL …]`: let them take turns, merge the figures into docs/speed.json, write docs/speed.md."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.quality import results, streams
from benchmarks.speed.duels import DUELS, Contestant, Duel
from benchmarks.speed.table import render
from benchmarks.speed.worker import Measured, Worker, started

logger = logging.getLogger("benchmarks.speed")

PEERS_PYTHON = streams.ROOT / ".cache" / "peers" / "bin" / "python"


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    chosen = _arguments()
    path = chosen.docs / "speed.json"
    for duel in DUELS:
        if chosen.duels and duel.name not in chosen.duels:
            continue
        logger.info("%s", duel.name)
        try:
            result = fight(duel, chosen)
        except (RuntimeError, OSError, streams.MissingError) as error:
            logger.warning("%s is left out: %s", duel.name, error)
            result = {"not_run": str(error)}
        collected = results.load(path)
        if "ours" in result or "ours" not in collected.get(duel.name, {}):
            collected[duel.name] = result | results.stamp()
        results.save(path, collected)
        (chosen.docs / "speed.md").write_text(render(DUELS, collected), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-speed", description=__doc__)
    parser.add_argument("duels", nargs="*", metavar="DUEL", help=f"of {', '.join(duel.name for duel in DUELS)}; all of them")
    parser.add_argument("--turns", type=int, default=5, help="turns that count, after one to warm up")
    parser.add_argument("--rows", type=int, help="rows of a pass, instead of each duel's own number")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="the core that both run on")
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="Python of the environment with the peers")
    parser.add_argument("--docs", type=Path, default=streams.ROOT / "docs", help="folder of speed.json and speed.md")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.duels) - {duel.name for duel in DUELS})
    if unknown:
        parser.error(f"there is no duel {', '.join(unknown)}; there are {', '.join(duel.name for duel in DUELS)}")
    return chosen


def fight(duel: Duel, chosen: argparse.Namespace) -> dict[str, Any]:
    """Both sides in turns: the medians, and the ratios turn by turn. Raises `RuntimeError` where one side cannot run."""
    with contextlib.ExitStack() as stack:
        sides = [duel.ours] if duel.theirs is None else [duel.ours, duel.theirs]
        workers = [stack.enter_context(_worker(side, duel, chosen)) for side in sides]
        for worker in workers:
            worker.run()
        turns = [[worker.run() for worker in workers] for _ in range(chosen.turns)]
    named = dict(zip(("ours", "theirs"), ([turn[i] for turn in turns] for i in range(len(sides))), strict=False))
    result: dict[str, Any] = {side: _median(passes) for side, passes in named.items()}
    if duel.theirs is not None:
        ratios = [theirs["seconds"] / ours["seconds"] for ours, theirs in turns]
        result |= {"ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios), "turns": chosen.turns}
    return result


def _worker(side: Contestant, duel: Duel, chosen: argparse.Namespace) -> contextlib.AbstractContextManager[Worker]:
    python, module = {
        "learnd": (sys.executable, "benchmarks.speed.learners"),
        "peers": (str(chosen.peers_python), "benchmarks.speed.peers"),
    }[side.side]
    rows = chosen.rows or duel.num_rows
    return started(side.name, [python, "-m", module, side.name, str(rows), str(chosen.core)], folder=streams.ROOT)


def _median(passes: list[Measured]) -> Measured:
    """The first pass's figures (each pass does the same) with the median of the seconds."""
    seconds = statistics.median(each["seconds"] for each in passes)
    return {**passes[0], "seconds": seconds, "us_per_row": 1e6 * seconds / passes[0]["rows"]}


if __name__ == "__main__":
    main()
