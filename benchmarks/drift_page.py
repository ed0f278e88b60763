"""docs/drift.md, made from docs/drift.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.quality.results import save

# The figures are kept sorted by name.
COLUMNS: Final = (
    "sine1, file",
    "circles, file",
    "sine1",
    "circles",
    "circles, gradual",
    "rise .1 to .2",
    "stable .1",
    "µs a row",
)
INTRO: Final = """# Drift

Made by `make bench-drift`; do not edit. `benchmarks/bench_drift.py` and `benchmarks/reactions.py` say what is run.

## Detectors

Each on the errors of a Gaussian naive Bayes classifier that is reset on an alarm, over the two published files and unseen seeds
(from 1001 on) of their generators. Cells: mean delay in rows / false alarms per 100,000 rows, and the drifts missed. "rise" and
"stable" are error rates without a learner. `adwin 0.002` is ADWIN as River sets it, beside the ones set by the budget.
DDM, EDDM and KSWIN are not offered: `daemon/monitoring/drift/budget.py` says why, with what was measured.

"""
REACTIONS: Final = """
## Reactions

`learnd backtest` with all reactions on, and with each off in turn; detectors and their budget are the defaults (glr and adwin,
together 0.02 alarms per 100,000 stable rows). "After drifts": errors in the 500 rows from each true drift on, or, where none is
known, from each alarm of the run with all on. Found, delay and false count the alarms on the error (a drift found by both
detectors counts once, at the first; "alarms" counts both). Figures are means over the seeds; false alarms their sum. Variants
alike to the last digit mean that no alarm was raised, or that the reaction came too late to change an answer.

The anchor spares errors where labels were wrong for a while ("burst": 614 for 632) and costs 9 at most elsewhere ("sine1", of
11,040). The mixer's reaction spares 83 there, 38 in the burst and 8 on mail, and hardly matters on the others. Both are on by
default. Those of the transformer cost errors here and are off by default; re-warming helps where the rate has fallen
("cosine"). A BERT with random weights stands for no pretrained encoder.

| stream, learner | reactions | errors | after drifts | worst 500 | alarms | drifts found | delay | false | input alarms |
|---|---|---|---|---|---|---|---|---|---|
"""
INPUTS: Final = """
## Inputs

Alarms of the detector of the inputs, which are noted and set nothing off, at learnd's default budget (1 in 100,000
independent rows). It starts anew after each, so that they lie at least 700 rows apart. Rows of real streams hang together:
whatever moves through a day, a season or a session is a change of the inputs, though no change for the worse. On Elec2, whose
prices and demand follow the day, it alarms as soon as it may: leave it off (`monitoring.input_detector`) for such a
stream. "Shuffled" has the same rows in a random order.

| stream | rows | alarms | alarms per 100,000 rows | µs a row | learnd | day |
|---|---|---|---|---|---|---|
"""
RUNS: Final = """
## Runs

Each command is one of the commit beside it; before 1ee7afe the default budget was 0.2,
before 4a6e89c all reactions were on by default.

| what | command | learnd | on | day |
|---|---|---|---|---|
"""


def write_page(folder: Path, measured: Mapping[str, Any]) -> None:
    """Keep the figures, and make the page from them and from the notes."""
    save(folder / "drift.json", dict(measured))
    (folder / "drift.md").write_text(render(measured), encoding="utf-8")


def render(measured: Mapping[str, Any]) -> str:
    """The whole page."""
    detectors, reactions = measured.get("detectors", {}), measured.get("reactions", {})
    runs = "".join(_detector_run(name, each) for name, each in detectors.items())
    runs += "".join(_reaction_run(name, each) for name, each in reactions.items())
    shown = "".join(_variants(name, each["variants"]) for name, each in reactions.items())
    inputs = "".join(_inputs(name, each) for name, each in measured.get("inputs", {}).items())
    return INTRO + _detectors(detectors) + REACTIONS + shown + INPUTS + inputs + RUNS + runs


def _detectors(detectors: Mapping[str, Any]) -> str:
    if not detectors:
        return ""
    known = next(iter(detectors.values()))["cells"]
    columns = [column for column in COLUMNS if column in known]
    head = f"| detector | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}\n"
    rows = (
        f"| {name} | {' | '.join(each['cells'].get(column, '–') for column in columns)} |\n" for name, each in detectors.items()
    )
    return head + "".join(rows)


def _variants(name: str, variants: Mapping[str, Mapping[str, Any]]) -> str:
    order = sorted(variants, key=lambda variant: (variant != "all on", variant == "all off", variant))
    return "".join(f"| {name} | {variant} | {' | '.join(_cells(variants[variant]))} |\n" for variant in order)


def _cells(figures: Mapping[str, Any]) -> list[str]:
    counts = [_number(figures[key]) for key in ("errors", "errors_after")]
    known = [figures["found"] or "–", _number(figures["delay"]), _number(figures["false"])]
    return [*counts, f"{figures['worst_500']:.3f}", _number(figures["alarms"]), *known, _number(figures["input_alarms"])]


def _inputs(name: str, each: Mapping[str, Any]) -> str:
    rows, alarms = each["rows"], len(each["alarms"])
    figures = f"{rows:,} | {alarms} | {_number(round(alarms * 100_000 / rows))} | {each['us_a_row']:.1f}"
    return f"| {name} | {figures} | {each['commit']} | {each['date']} |\n"


def _number(value: float | None) -> str:
    """Whole where it is whole, else with one digit.

    >>> [_number(value) for value in (None, 3.0, 1234.56)]
    ['–', '3', '1,234.6']
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _detector_run(name: str, each: Mapping[str, Any]) -> str:
    flags = f"--budget {each['budget']:g} --seeds {each['seeds']} --detectors '{name}' --reactions '' --inputs ''"
    command = f"python -m benchmarks.bench_drift {flags}"
    return f"| {name} | `{command}` {_stamp(each)}"


def _reaction_run(name: str, each: Mapping[str, Any]) -> str:
    on = each["variants"]["all on"]
    seeds = ", ".join(map(str, on["seeds"]))
    return f"| {name}, all on, seeds {seeds} | `{on['command']}` {_stamp(each)}"


def _stamp(each: Mapping[str, Any]) -> str:
    return f"| {each['commit']} | {each['versions']} | {each['date']} |\n"
