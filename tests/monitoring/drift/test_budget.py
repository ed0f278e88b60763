"""The user's terms: a budget of false alarms, a direction and a pause."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.calibrate_drift import (
    NOISES,
    bernoulli,
    count_alarms,
    exponential,
    normal,
    now_and_then,
    of_a_table,
    solve,
)
from daemon.assembly.watching import _input_detector
from daemon.config import load
from daemon.errors import ConfigError
from daemon.monitoring.drift.adwin import Adwin
from daemon.monitoring.drift.budget import KINDS, Values, for_budget, inputs_for_budget
from daemon.monitoring.drift.calibration import BUDGETS, STRICTNESS
from daemon.monitoring.drift.inputs import InputShift
from daemon.monitoring.drift.watch import Watch


def errors(num_rows: int, rate: float, *, seed: int) -> list[float]:
    return (np.random.default_rng(seed).random(num_rows) < rate).astype(float).tolist()


def alarms(watch: Watch, values: list[float]) -> list[int]:
    found = []
    for row, value in enumerate(values):
        watch.update(value)
        if watch.drift_detected:
            found.append(row)
    return found


def test_table_covers_what_each_detector_can_do() -> None:
    wanted = {
        (name, direction, values)
        for name, kind in KINDS.items()
        for direction in ("worse", "both")
        for values in (("binary", "relative") if kind.relative else ("binary",))
    }
    assert set(STRICTNESS) == wanted | {("inputs", "both", "vectors")}


@pytest.mark.parametrize("key", STRICTNESS, ids=" ".join)
def test_a_smaller_budget_is_stricter(key: tuple[str, str, str]) -> None:
    row = STRICTNESS[key]
    assert len(row) == len(BUDGETS)
    assert list(row) == sorted(row, reverse=True)


# Seeds that the calibration did not use; 10 in 100,000 is the budget at which alarms can be counted in seconds.
@pytest.mark.parametrize("values", ["binary", "relative"])
@pytest.mark.parametrize("name", ["glr", "adwin", "seed"])
def test_budget_holds_on_noise_that_was_not_seen(name: str, values: Values) -> None:
    rates = []
    for noise in NOISES[values].values():
        rows = noise(np.random.default_rng([1, 99]), 50_000).tolist()
        rates.append(count_alarms(for_budget(name, alarms_per_100k=10.0, values=values), rows).worse)
    # Five alarms and three standard deviations at most, and not so strict that the budget is wasted.
    assert 2 <= max(rates) <= 5 + 3 * 5**0.5


def test_to_stepd_two_of_rare_errors_together_are_no_drift() -> None:
    rows = errors(300_000, 0.001, seed=3)
    assert max(count_alarms(for_budget("stepd", alarms_per_100k=budget), rows).worse for budget in (0.1, 1.0)) == 0
    assert alarms(for_budget("stepd", alarms_per_100k=0.1), rows[:5_000] + errors(1_000, 0.2, seed=4)) != []


def test_input_budget_holds_on_rows_that_were_not_seen() -> None:
    rows = np.random.default_rng(77).normal(size=(10_000, 3)).astype(np.float32)
    assert count_alarms(inputs_for_budget(alarms_per_100k=1.0, seed=5), rows).both == 0
    assert count_alarms(InputShift(threshold=0.5, seed=5), rows).both > 0


def test_input_budget_holds_on_columns_that_are_nearly_always_the_same() -> None:
    columns = of_a_table(normal, bernoulli(0.02), now_and_then(0.1, exponential), bernoulli(0.2))
    rows = columns(np.random.default_rng(78), 10_000)
    assert count_alarms(inputs_for_budget(alarms_per_100k=1.0, seed=5), rows).both == 0
    more = of_a_table(normal, bernoulli(0.3), now_and_then(0.1, exponential), bernoulli(0.2))
    changed = np.concatenate([rows[:2_000], more(np.random.default_rng(79), 1_000)])
    assert count_alarms(inputs_for_budget(alarms_per_100k=1.0, seed=5), changed).both == 1


def test_the_input_detector_keeps_to_the_settings() -> None:
    budget, pause = "monitoring.input_alarms_per_100k", "monitoring.pause_rows"
    for given, per_100k, pause_rows in (([], 1.0, 0), ([f"{budget}=10", f"{pause}=300"], 10.0, 300)):
        settings = load(
            None,
            defaults={"source": {"kind": "files", "paths": ["a.jsonl"]}},
            environ={},
            overrides=["monitoring.input_detector=true", *given],
        )
        detector = _input_detector(settings)
        assert detector is not None
        wanted = inputs_for_budget(alarms_per_100k=per_100k, seed=0, pause_rows=pause_rows)
        assert (detector._threshold, detector._pause_rows) == (wanted._threshold, pause_rows)


def test_between_two_budgets_the_strictness_lies_between_theirs() -> None:
    row = STRICTNESS["glr", "worse", "binary"]
    middle = for_budget("glr", alarms_per_100k=(BUDGETS[0] * BUDGETS[1]) ** 0.5).detector
    assert middle._threshold == pytest.approx((row[0] + row[1]) / 2)  # type: ignore[attr-defined]


def test_solving_needs_two_rates_that_can_be_counted() -> None:
    assert solve([1.0, 2.0], [50.0, 0.0]) == []
    assert solve([1.0, 2.0], [50.0, 60.0]) == []


def test_direction_worse_passes_over_a_fall() -> None:
    values = errors(2_000, 0.5, seed=1) + errors(2_000, 0.05, seed=2)
    assert alarms(for_budget("glr", alarms_per_100k=1.0), values) == []
    [row] = alarms(for_budget("glr", alarms_per_100k=1.0, direction="both"), values)
    assert 2_000 <= row < 2_100


def test_a_rise_is_measured_against_the_level_after_the_fall() -> None:
    values = errors(2_000, 0.5, seed=1) + errors(2_000, 0.05, seed=2) + errors(1_000, 0.4, seed=3)
    [row] = alarms(for_budget("glr", alarms_per_100k=1.0), values)
    assert 4_000 <= row < 4_100


def test_pause_hides_its_rows_from_the_detector() -> None:
    watch = Watch(Adwin(delta=0.002), pause_rows=500)
    first = errors(1_000, 0.05, seed=4) + errors(200, 0.9, seed=5)
    [row] = alarms(watch, first)
    before = watch.state_dict()["detector"]["window"].tobytes()
    assert alarms(watch, errors(row + 501 - len(first), 0.5, seed=6)) == []
    assert watch.state_dict()["detector"]["window"].tobytes() == before
    assert watch.state_dict()["paused"] == 0
    watch.update(0.0)
    assert watch.state_dict()["detector"]["window"].tobytes() != before


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("direction", "better", "must be"),
        ("pause_rows", -1, "0 or more"),
    ],
)
def test_watch_refuses_what_it_cannot_do(setting: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Watch(Adwin(), **{setting: value})  # type: ignore[arg-type]


def test_budgets_detectors_and_values_are_checked() -> None:
    with pytest.raises(ConfigError, match="there are glr, adwin"):
        for_budget("cusum", alarms_per_100k=1.0)
    for budget in (0.001, 1e6, float("nan")):
        with pytest.raises(ConfigError, match="was not measured"):
            for_budget("glr", alarms_per_100k=budget)
    with pytest.raises(ConfigError, match="only for: both binary, worse binary"):
        for_budget("stepd", alarms_per_100k=1.0, values="relative")
