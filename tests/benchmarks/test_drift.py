"""How the drift bench counts, and what its page says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.drift_page import render
from benchmarks.drift_scores import Score, score, total
from benchmarks.quality.streams import DATA
from benchmarks.reactions import CASES, SWAPPED_AT, Reacting, domain_changes, errors_after, rows_of
from daemon.learning.batch import Batch
from daemon.learning.features.table import TableFeatures
from daemon.monitoring.drift.budget import inputs_for_budget

needs_data = pytest.mark.skipif(not DATA.exists(), reason="the measured streams lie beside the project, not in it")

ON = {
    "errors": 12.5,
    "errors_after": 3.0,
    "worst_500": 0.9,
    "alarms": 2.0,
    "input_alarms": 0.0,
    "delay": None,
    "found": "0 of 1",
    "false": 2,
    "seeds": [0, 1],
    "command": "learnd backtest x.jsonl",
}


def test_first_alarm_in_the_allowed_rows_finds_a_drift_and_all_others_outside_are_false() -> None:
    found = score([99, 100, 149, 150, 320], [100, 300, 500], allowed_rows=50, num_rows=1_000)
    assert found == Score(delays=[0, 20], drifts=3, false=2, rows=1_000)
    assert str(found) == "10 / 2e+02, 1 of 3 missed"
    assert total([found, found]) == Score([0, 20, 0, 20], 6, 4, 2_000)


def test_rows_after_two_drifts_close_together_are_counted_once() -> None:
    assert errors_after(np.ones(2_000), [100, 400, 1_900]) == 900
    assert errors_after(np.zeros(2_000), [100]) == 0
    assert errors_after(np.ones(2_000), []) == 0


def test_each_reaction_is_off_once_and_with_several_all_are() -> None:
    one, two = Reacting("s", "l", 9, reactions=("a",)), Reacting("s", "l", 9, reactions=("a", "b"))
    assert list(one.variants()) == ["all on", "a off"]
    assert list(two.variants()) == ["all on", "a off", "b off", "all off"]
    assert two.variants()["all on"] == ("--set", "reactions.a=true", "--set", "reactions.b=true")
    assert two.variants()["a off"] == ("--set", "reactions.a=false", "--set", "reactions.b=true")
    assert two.variants()["all off"] == ("--set", "reactions.a=false", "--set", "reactions.b=false")


@needs_data
def test_drifts_of_the_texts_lie_where_the_cases_say() -> None:
    cases = {case.name: case for case in CASES}
    assert domain_changes(rows_of(cases["vader, BERT"])) == cases["vader, BERT"].drifts
    swapped = rows_of(cases["spam, swapped, BERT"])
    original = rows_of(Reacting("spam", "n-grams", 6_046))
    same = [row["label"] == other["label"] for row, other in zip(swapped, original, strict=True)]
    assert same == [number < SWAPPED_AT for number in range(len(original))]


def test_page_shows_what_was_measured_and_nothing_where_nothing_was() -> None:
    stamp = {"commit": "abc", "date": "2026-01-02", "versions": "Python 3.11"}
    page = render(
        {
            "detectors": {"glr": {"cells": {"sine1": "30 / 0"}, "budget": 0.1, "seeds": 8, **stamp}},
            "reactions": {"s, l": {"variants": {"all on": ON}, **stamp}},
            "inputs": {"elec2": {"rows": 2_000, "alarms": [7, 900], "us_a_row": 12.34, **stamp}},
        }
    )
    assert "| detector | sine1 |\n|---|---|\n| glr | 30 / 0 |\n" in page
    assert "| s, l | all on | 12.5 | 3 | 0.900 | 2 | 0 of 1 | – | 2 | 0 |\n" in page
    assert "| elec2 | 2,000 | 2 | 100 | 12.3 | abc | 2026-01-02 |\n" in page
    assert "| s, l, all on, seeds 0, 1 | `learnd backtest x.jsonl` | abc | Python 3.11 | 2026-01-02 |\n" in page
    variants = {"a off": ON, "all off": ON, "all on": ON}
    shown = render({"reactions": {"s, l": {"variants": variants, **stamp}}}).splitlines()
    assert [line.split(" | ")[1] for line in shown if line.startswith("| s, l |")] == ["all on", "a off", "all off"]
    assert sum(line.startswith("|") for line in render({}).splitlines()) == 3 * 2


def test_inputs_of_a_table_tell_a_change_of_its_categories() -> None:
    generator = np.random.default_rng(0)
    table, detector, alarms = TableFeatures(), inputs_for_budget(alarms_per_100k=1.0, seed=0), []
    for row in range(3_000):
        names = ("red", "green", "blue") if row < 2_000 else ("blue", "white", "black")
        table.begin(Batch([""], [{"color": str(generator.choice(names)), "size": float(generator.normal())}]))
        table.encode(0)
        detector.update(table.summary())
        table.learn(0.0, 1.0)
        alarms += [row] if detector.drift_detected else []
    [first] = alarms
    assert 2_000 <= first < 2_200
