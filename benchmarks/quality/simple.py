"""One stream through learnd, its baselines and the simple peers: what each lost after the settled rows, and after all."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.quality.__main__ import SIMPLE_PEERS
from benchmarks.quality.baselines import baseline_answers
from benchmarks.quality.beside import run_peer
from benchmarks.quality.cases import Case, Task
from benchmarks.quality.learnd import backtest
from benchmarks.quality.scores import SETTLED_ROWS, losses, targets
from benchmarks.quality.streams import read
from benchmarks.quality.table import MOST_EXCESS

logger = logging.getLogger("benchmarks.quality")

# What `table_row` says, and what the last of its figures is.
COLUMNS: Final = f"learnd | best simple learner | first {SETTLED_ROWS:,} rows | all rows | standard errors | commit | day"
STANDARD_ERRORS: Final = """Of all rows that excess stands there in standard errors, too, by what the two lost on each
row: by chance alone it mostly lies below 2, and further up where rows hang together or many learners may be the best one."""
FORESTS: Final = ("river_amf", "river_arf")
# Of each learner what it lost in the settled rows, and in all; and the sum, over all rows, of squares of what learnd lost more.
Sums = Mapping[str, Sequence[float]]


class Excesses(NamedTuple):
    """By what share learnd lost more than the simple learner that had lost least."""

    best: str
    """The one that lost least in the end."""
    settled: float
    """After the settled rows, over the one that had lost least there."""
    end: float
    """After all."""
    standard_errors: float
    """What learnd lost more than that one after all, over the root of the sum of squares by row: about normal where on each row
    either was as likely to lose more (of errors, McNemar 1947)."""


def summed_losses(name: str, file: Path, *, task: Task, peers_python: Path, history: bool) -> Sums:
    """By learner; the first row, which nobody can predict, left out. With `history` Vowpal Wabbit runs once more, with the last
    label as one more input, which naive Bayes has no use for: `vw_last`."""
    case = Case(name, name, (), (), task=task, history=False)
    target_N, index = targets([row["label"] for row in read(file)], task=task)
    answers = {"learnd": backtest(case, file, index=index).answers} | baseline_answers(target_N, task=task)
    peers = SIMPLE_PEERS if task == "classification" else ("vw",)
    answers |= {peer: run_peer(peer, case, file, python=peers_python)[0] for peer in peers}
    if history:
        answers["vw_last"] = run_peer("vw", replace(case, history=True), file, python=peers_python)[0]
    lost = {learner: losses(target_N, answered, task=task)[1:] for learner, answered in answers.items()}
    return {
        learner: (
            float(loss_N[: SETTLED_ROWS - 1].sum()),
            float(loss_N.sum()),
            float(np.square(lost["learnd"] - loss_N).sum()),
        )
        for learner, loss_N in lost.items()
    }


def forest_losses(name: str, file: Path, *, task: Task, peers_python: Path) -> Mapping[str, float]:
    """What River's forests lose, with the last label as one more input; the first row left out. Of one that cannot learn the
    stream there is none."""
    case = Case(name, name, (), (), task=task)
    target_N, _ = targets([row["label"] for row in read(file)], task=task)
    lost = {}
    for forest in FORESTS:
        try:
            answers, _ = run_peer(forest, case, file, python=peers_python)
        except RuntimeError as error:
            logger.warning("%s without %s: %s", name, forest, str(error).strip().splitlines()[-1])
        else:
            lost[forest] = float(losses(target_N, answers, task=task)[1:].sum())
    return lost


def excesses(sums: Sums) -> Excesses:
    """What stands beside a stream, or beside several whose sums were added."""
    simple = {name: lost for name, lost in sums.items() if name != "learnd"}
    best = min(simple, key=lambda name: simple[name][1])
    settled, end = (_share(sums["learnd"][at], min(lost[at] for lost in simple.values())) for at in (0, 1))
    more, squares = sums["learnd"][1] - simple[best][1], simple[best][2]
    return Excesses(best, settled, end, more / math.sqrt(squares) if squares else 0.0)


def _share(ours: float, theirs: float) -> float:
    return (ours - theirs) / theirs if theirs else float("inf") if ours else 0.0  # 19 of 1,900 are 1 %, not more


def table_row(first: Sequence[str], sums: Sums, stamp: Mapping[str, str]) -> str:
    """The cells in `first`, what learnd and the best simple learner lost, the excesses, and the commit and the day."""
    best, settled, end, standard_errors = excesses(sums)
    lost = [number(sums["learnd"][1]), f"{number(sums[best][1])} {best}", marked(settled), marked(end)]
    lost.append(f"{standard_errors:+.1f}")
    return "| " + " | ".join([*first, *lost, stamp["commit"], stamp["date"]]) + " |\n"


def number(value: float) -> str:
    """To four digits, or whole."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def marked(share: float) -> str:
    return f"{share:+.1%} {'✓' if share <= MOST_EXCESS else '✗'}"
