"""One stream through learnd, its baselines and the simple peers: what each lost after the settled rows, and after all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.quality.__main__ import SIMPLE_PEERS
from benchmarks.quality.baselines import baseline_answers
from benchmarks.quality.beside import run_peer
from benchmarks.quality.cases import Case, Task
from benchmarks.quality.learnd import backtest
from benchmarks.quality.scores import SETTLED_ROWS, Floats, losses, targets
from benchmarks.quality.streams import read
from benchmarks.quality.table import MOST_EXCESS

Sums = Mapping[str, tuple[float, float]]


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
    return {learner: _at_both(losses(target_N, answered, task=task)) for learner, answered in answers.items()}


def _at_both(loss_N: Floats) -> tuple[float, float]:
    return float(loss_N[1:SETTLED_ROWS].sum()), float(loss_N[1:].sum())


def excesses(sums: Sums) -> tuple[str, float, float]:
    """The simple learner that lost least in the end; and by what share learnd lost more than the one that had lost least after
    the settled rows, and after all."""
    simple = {name: both for name, both in sums.items() if name != "learnd"}
    best = min(simple, key=lambda name: simple[name][1])
    settled, end = (_share(sums["learnd"][at], min(both[at] for both in simple.values())) for at in (0, 1))
    return best, settled, end


def _share(ours: float, theirs: float) -> float:
    return (ours - theirs) / theirs if theirs else float("inf") if ours else 0.0  # 19 of 1,900 are 1 %, not more


def table_row(first: Sequence[str], sums: Sums, stamp: Mapping[str, str]) -> str:
    """The cells in `first`, what learnd and the best simple learner lost, both excesses, and the commit and the day."""
    best, settled, end = excesses(sums)
    lost = [_number(sums["learnd"][1]), f"{_number(sums[best][1])} {best}", marked(settled), marked(end)]
    return "| " + " | ".join([*first, *lost, stamp["commit"], stamp["date"]]) + " |\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def marked(share: float) -> str:
    return f"{share:+.1%} {'✓' if share <= MOST_EXCESS else '✗'}"
