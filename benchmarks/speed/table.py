"""docs/speed.md, made from the collected figures and the goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.speed.duels import Duel

INTRO: Final = """# Speed

Made by `make bench-speed`; do not edit. Two things take turns on one core, each on one thread and each time from scratch, over
the same decoded rows; the first turn warms up and is not counted. Only ratios are bounded where there are two: each is the
median of the ratios turn by turn, how many times as fast learnd is. Encoder aside: embeddings were made before the clock
started, but for `encoder`, which is learnd's frozen MiniLM in micro-batches of 64 in the stream's order against transformers
alone on the same texts sorted by length. `*_daemon` is the loop of `learnd train` with ledger, checkpoints, gate and snapshots
against its learner alone. `dense_*` is one linear softmax on embeddings by itself: learnd's steps, their sizes by
coordinate, class and row, against the Gram scan, whose sizes are by coordinate and micro-batch, each at the rate that errs
least on both streams. Peers are told the label before each row, as learnd is. Accuracy is that over these rows alone.

| what | rows | learnd | against | ratio (lowest – highest) | accuracy | floor | aim | commit | day |
|---|---|---|---|---|---|---|---|---|---|
"""


def render(duels: Sequence[Duel], results: Mapping[str, Any]) -> str:
    """The whole page."""
    return INTRO + "".join(_row(duel, results[duel.name]) for duel in duels if duel.name in results)


def _row(duel: Duel, result: Mapping[str, Any]) -> str:
    if "not_run" in result:
        return f"| {duel.name} | – | not run: {result['not_run']} | – | – | – | – | – | – | {result['date']} |\n"
    ours, theirs = result["ours"], result.get("theirs")
    cells = [
        duel.name,
        f"{ours['rows']:,}",
        _cost(ours),
        f"{_cost(theirs)}, {duel.theirs.name}" if theirs and duel.theirs else "–",
        f"**{result['ratio']:.2f}** ({result['lowest']:.2f} – {result['highest']:.2f})" if theirs else "–",
        _accuracy(duel, ours, theirs),
        *_limits(duel, result),
        result["commit"],
        result["date"],
    ]
    return "| " + " | ".join(cells) + " |\n"


def _cost(passed: Mapping[str, Any]) -> str:
    """With one digit behind the point where it is small."""
    us_per_row = passed["us_per_row"]
    return f"{us_per_row:,.{0 if us_per_row >= 10 else 1}f} µs a row"


def _limits(duel: Duel, result: Mapping[str, Any]) -> tuple[str, str]:
    if duel.most_us:
        met = result["ours"]["us_per_row"] <= duel.most_us
        return f"≤ {duel.most_us:,.0f} µs {_mark(met)}", "–"
    if not duel.floor:
        return "–", "–"
    floor, aim = (f"≥ {limit:.2f} {_mark(result['ratio'] >= limit)}" for limit in (duel.floor, duel.aim))
    return floor, aim


def _accuracy(duel: Duel, ours: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> str:
    if ours.get("accuracy") is None:
        return "–"
    if theirs is None or theirs.get("accuracy") is None:
        return f"{ours['accuracy']:.4f}"
    shown = f"{ours['accuracy']:.4f} / {theirs['accuracy']:.4f}"
    return f"{shown} {_mark(ours['accuracy'] > theirs['accuracy'])}" if duel.more_accurate else shown


def _mark(met: bool) -> str:
    return "✓" if met else "✗"
