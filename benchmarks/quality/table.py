"""docs/quality.md, made from the collected figures and the goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.quality.cases import Beside, Case, Figures, Goal, Limit

INTRO: Final = """# Quality

Made by `make bench-quality`; do not edit. Every learner is tested on a row before it learns it, in the order of the stream,
with its one default configuration and seed 0. What each figure counts is said in `benchmarks/quality/scores.py`. Peers run
beside it, in an environment of their own (`requirements/bench.txt`), over the same rows; they know all labels from the start,
and on tables where learnd reads earlier labels they get the last one as a further input, but for `obd_clicks`, where they do
not. Of a table learnd also reads the rows before (how columns change from the last row and from moving averages), unless it
is run with `features.earlier_rows=false`; peers see the columns of the current row alone.

`✓` reached, `✗` missed, `–` not asked or not measured.

"""
GOALS: Final = """| stream | figure | learnd | best baseline | best peer | anchor | floor | aim |
|---|---|---|---|---|---|---|---|
"""
EXCESS: Final = """
## Never worse than simple

How far the summed errors (or absolute errors) of learnd ever lie above the best of last label, majority, decayed prior, naive
Bayes and hashed logistic regression, looked at after every row from the 1,000th on (numbers: last value, mean and hashed least
squares). At most 1 % is the promise; below zero learnd leads all the way. Where labels are late, rows before the first label
are left out. "one error" is an excess of a single error, the least that there is: more than 1 % where there are few. Streams
that simple learners are made for are in [made.md](made.md), tables that people recorded in [recorded.md](recorded.md).

| stream | worst excess | errors, or their sum | at row | over | promise | at the end |
|---|---|---|---|---|---|---|
"""
RUNS: Final = """
## Runs

| stream | rows | command | learnd | on | day |
|---|---|---|---|---|---|
"""
PEERS: Final = """
## Peers and baselines

| stream | learner | figures | version | day |
|---|---|---|---|---|
"""
MOST_EXCESS: Final = 0.01


def render(cases: Sequence[Case], results: Mapping[str, Any]) -> str:
    """The whole page."""
    done = [(case, results[case.name]) for case in cases if case.name in results]
    excess = "".join(_excess_row(case.name, result["excess"]) for case, result in done if "excess" in result)
    runs = "".join(
        f"| {case.name} | {result['rows']:,} | `{result['command']}` | {result['commit']} | {result['versions']} "
        f"| {result['date']} |\n"
        for case, result in done
        if "command" in result
    )
    peers = "".join(_peer_rows(case, result) for case, result in done)
    return INTRO + goals_table(cases, results) + EXCESS + excess + RUNS + runs + PEERS + peers


def goals_table(cases: Sequence[Case], results: Mapping[str, Any]) -> str:
    """What was to be reached and what was, one row a figure."""
    return GOALS + "".join(_goal_row(case, goal, results.get(case.name, {})) for case in cases for goal in case.goals)


def embedded(page: str, table: str) -> str:
    """A page with `table` in place of what stands between its marks.

    >>> embedded("a\\n<!-- quality -->\\nold\\n<!-- /quality -->\\nb\\n", "new\\n")
    'a\\n<!-- quality -->\\n\\nnew\\n\\n<!-- /quality -->\\nb\\n'

    Raises `ValueError` where the marks are missing.
    """
    before, mark, rest = page.partition("<!-- quality -->\n")
    _, end, after = rest.partition("<!-- /quality -->\n")
    if not mark or not end:
        raise ValueError("the page has no marks <!-- quality --> and <!-- /quality -->; put them back where the table belongs")
    return f"{before}{mark}\n{table}\n{end}{after}"


def _goal_row(case: Case, goal: Goal, result: Mapping[str, Any]) -> str:
    learnd: Figures = result.get("learnd", {})
    baselines: Mapping[str, Figures] = result.get("baselines", {})
    peers: Mapping[str, Figures] = {name: peer["figures"] for name, peer in result.get("peers", {}).items()}
    value = learnd.get(goal.figure)
    reached = {**baselines, **peers}
    name = case.name + (f" ({case.note})" if case.note else "")
    shown = _number(value, goal.figure) if value is not None else result.get("not_run", "not run")
    cells = [
        name,
        goal.figure.replace("_", " "),
        f"**{shown}**" if value is not None else shown,
        _best(baselines, goal),
        _best(peers, goal) + _left_out(case, peers),
        goal.anchor,
        *(_limit(limit, goal, value, reached) for limit in (goal.floor, goal.aim)),
    ]
    return "| " + " | ".join(cells) + " |\n"


def _best(figures: Mapping[str, Figures], goal: Goal) -> str:
    known = {name: value for name, each in figures.items() if (value := each.get(goal.figure)) is not None}
    if not known:
        return "–"
    best = (min if goal.lower else max)(known, key=lambda name: known[name])
    return f"{_number(known[best], goal.figure)} {best}"


def _left_out(case: Case, peers: Mapping[str, Figures]) -> str:
    """How many of the case's peers were not run: the best of the others may not be the best there is."""
    missing = sum(name not in peers for name in case.peers)
    return f" ({missing} of {len(case.peers)} not run)" if missing else ""


def _limit(limit: Limit, goal: Goal, value: float | None, reached: Mapping[str, Figures]) -> str:
    if isinstance(limit, Beside):
        limit = limit.value(goal.figure, lower=goal.lower, reached=reached)
    if limit is None:
        return "–"
    shown = ("≤ " if goal.lower else "≥ ") + _number(limit, goal.figure)
    if value is None:
        return shown
    met = value <= limit if goal.lower else value >= limit
    return f"{shown} {'✓' if met else '✗'}"


def _excess_row(name: str, excess: Mapping[str, Any] | None) -> str:
    if excess is None:
        return f"| {name} | fewer than 1,000 rows | – | – | – | – | – |\n"
    met = "✓" if excess["share"] <= MOST_EXCESS else "one error" if excess["difference"] == 1.0 else "✗"
    worst = f"{excess['share']:+.1%} | {excess['difference']:+,.0f} | {excess['row']:,} | {excess['rival']} | {met}"
    at_end = f"{excess['end_share']:+.1%} {'✓' if excess['end_share'] <= MOST_EXCESS else '✗'}"
    return f"| {name} | {worst} | {at_end} |\n"


def _peer_rows(case: Case, result: Mapping[str, Any]) -> str:
    rows = [(name, figures, "–", result.get("date", "–")) for name, figures in result.get("baselines", {}).items()]
    rows += [(name, peer["figures"], peer["version"], peer["date"]) for name, peer in sorted(result.get("peers", {}).items())]
    return "".join(f"| {case.name} | {name} | {_all(figures)} | {version} | {day} |\n" for name, figures, version, day in rows)


def _all(figures: Figures) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_number(value, name)}" for name, value in figures.items() if value is not None)


def _number(value: float | int | None, figure: str) -> str:
    """Four digits behind the point for shares, three digits in all for larger numbers; counts whole."""
    if value is None:
        return "–"
    if figure in ("errors", "false_alarms", "missed_drifts", "published_after", "clean_rows_to_publish"):
        return f"{value:,.0f}"
    if figure == "drift_delay":
        return f"{value:.0f}"
    return f"{value:.4f}".removeprefix("0") if abs(value) < 10 else f"{value:.2f}"
