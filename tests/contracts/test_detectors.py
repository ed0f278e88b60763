"""What every drift detector keeps to: the classes are found, the table says how each is built.

That of the inputs, which takes vectors, has `test_input_detector.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from daemon import monitoring
from daemon.monitoring import drift
from daemon.monitoring.drift.adwin import Adwin
from daemon.monitoring.drift.base import Detector
from daemon.monitoring.drift.budget import KINDS, for_budget
from daemon.monitoring.drift.glr import MAX_SPLITS, LikelihoodRatio
from daemon.monitoring.drift.inputs import InputShift
from daemon.monitoring.drift.relative import Relative
from daemon.monitoring.drift.river import KINDS as RIVER_KINDS
from daemon.monitoring.drift.river import RiverDetector
from daemon.monitoring.drift.seed import Seed
from daemon.monitoring.drift.stepd import Stepd
from daemon.monitoring.drift.watch import Watch
from tests.contracts.discovery import classes_of, has_example

CASES: dict[str, Callable[[], Detector]] = {
    "glr": lambda: LikelihoodRatio(threshold=15.0),
    "adwin": lambda: Adwin(delta=0.002),
    "seed": lambda: Seed(delta=0.05),
    "stepd": lambda: Stepd(alpha=0.0001),
    "relative": lambda: Relative(Adwin(delta=0.002)),
    "watch": lambda: Watch(Adwin(delta=0.002), direction="worse", pause_rows=100),
    "page_hinkley": lambda: RiverDetector(kind="page_hinkley", mode="up", threshold=20.0),
    "hddm_a": lambda: RiverDetector(kind="hddm_a"),
    "hddm_w": lambda: RiverDetector(kind="hddm_w"),
}
# Rows of the memory test here where a million take many seconds; `test_soak.py` shows all of them a million.
FEWER_ROWS = {"hddm_a": 100_000, "hddm_w": 100_000}
LARGEST_STATE = 20_000
BINARY = ("stepd", "hddm_a", "hddm_w")
every_detector = pytest.mark.parametrize("name", CASES)


def errors(num_rows: int, rate: float, *, seed: int) -> list[float]:
    return (np.random.default_rng(seed).random(num_rows) < rate).astype(float).tolist()


def signals(detector: Detector, values: list[float]) -> list[tuple[bool, bool]]:
    found = []
    for value in values:
        detector.update(value)
        found.append((detector.drift_detected, detector.worse))
    return found


def plain(state: Any) -> Any:
    """A state without arrays."""
    if isinstance(state, dict):
        return {key: plain(value) for key, value in state.items()}
    return {"array": state.tolist(), "dtype": str(state.dtype)} if isinstance(state, np.ndarray) else state


def through_json(state: Any) -> Any:
    """A state as it comes back from a checkpoint: all but arrays through JSON."""
    if isinstance(state, dict):
        return {key: through_json(value) for key, value in state.items()}
    return state if isinstance(state, np.ndarray) else json.loads(json.dumps(state, allow_nan=False))


def test_table_builds_every_class_and_kind() -> None:
    assert {type(make()) for make in CASES.values()} == classes_of(Detector, monitoring)
    assert set(RIVER_KINDS) < set(KINDS)
    assert set(KINDS) < set(CASES)


def test_that_of_the_inputs_is_the_only_one_that_is_no_detector_of_numbers() -> None:
    ours = {kind for kind in classes_of(object, drift) if kind.__module__.startswith(drift.__name__)}
    assert {kind for kind in ours if hasattr(kind, "update")} - classes_of(Detector, drift) == {InputShift}


@every_detector
def test_documented_example_is_there(name: str) -> None:
    assert has_example(type(CASES[name]()))


@every_detector
def test_rise_of_the_error_is_an_alarm_in_the_worse_direction(name: str) -> None:
    steady = [float(row % 10 == 0) for row in range(1_000)]
    found = signals(CASES[name](), steady + errors(1_000, 0.8, seed=2))
    assert not any(alarm for alarm, _ in found[:1_000])
    rows = [row for row, (alarm, _) in enumerate(found) if alarm]
    assert 1_000 <= rows[0] < 1_150
    assert found[rows[0]] == (True, True)


@every_detector
@pytest.mark.parametrize("cut", [40, 1_000, 1_033])
def test_loaded_detector_goes_on_identically(name: str, cut: int) -> None:
    values = errors(1_000, 0.05, seed=3) + errors(1_500, 0.5, seed=4) + errors(533, 0.1, seed=5)
    first, second = CASES[name](), CASES[name]()
    signals(first, values[:cut])
    signals(second, values[100:150])  # what it held before must not matter
    second.load_state_dict(through_json(first.state_dict()))
    rest = values[cut : cut + 2_000]
    assert signals(first, rest) == signals(second, rest)
    assert json.dumps(plain(first.state_dict())) == json.dumps(plain(second.state_dict()))


@every_detector
@pytest.mark.parametrize("size", [7, 64, 1_000])
def test_values_taken_many_at_once_are_taken_one_by_one(name: str, size: int) -> None:
    """Of levels that change so soon that one alarm follows another within what is taken at once."""
    num_alarms = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        levels = random.choice([0.0, 0.05, 0.5, 1.0], size=20).tolist()
        values = [x for level in levels for x in errors(int(random.integers(20, 200)), level, seed=int(random.integers(99)))]
        by_one, at_once = CASES[name](), CASES[name]()
        expected = [(row, worse) for row, (alarm, worse) in enumerate(signals(by_one, values)) if alarm]
        alarms, row = list[tuple[int, bool]](), 0
        while row < len(values):
            row += at_once.advance(np.array(values[row : min(len(values), row + size - row % size)]))
            if at_once.drift_detected:
                alarms.append((row - 1, at_once.worse))
        assert alarms == expected
        assert json.dumps(plain(at_once.state_dict())) == json.dumps(plain(by_one.state_dict()))
        num_alarms += len(alarms)
    assert num_alarms > 10


@every_detector
def test_values_before_a_refused_one_are_taken(name: str) -> None:
    by_one, at_once = CASES[name](), CASES[name]()
    signals(by_one, errors(20, 0.1, seed=8))
    with pytest.raises(ValueError, match="nan"):
        at_once.advance(np.array([*errors(20, 0.1, seed=8), math.nan, 1.0]))
    assert json.dumps(plain(at_once.state_dict())) == json.dumps(plain(by_one.state_dict()))


@every_detector
def test_loading_right_after_an_alarm_starts_anew_as_the_original_does(name: str) -> None:
    first, second = CASES[name](), CASES[name]()
    for value in errors(1_000, 0.05, seed=6) + errors(1_000, 0.6, seed=7):
        first.update(value)
        if first.drift_detected:
            break
    assert first.drift_detected
    second.load_state_dict(through_json(first.state_dict()))
    rest = errors(500, 0.3, seed=8)
    assert signals(first, rest) == signals(second, rest)


@every_detector
def test_a_saved_state_is_a_copy(name: str) -> None:
    detector = CASES[name]()
    signals(detector, errors(700, 0.2, seed=1))
    saved = detector.state_dict()
    before = json.dumps(plain(saved))
    signals(detector, errors(700, 0.7, seed=2))
    assert json.dumps(plain(saved)) == before


@every_detector
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_and_blinds_nothing(name: str, value: float) -> None:
    refused, untouched = CASES[name](), CASES[name]()
    for row, x in enumerate(errors(600, 0.05, seed=9) + errors(600, 0.7, seed=10)):
        if row % 50 == 0:
            with pytest.raises(ValueError, match="finite"):
                refused.update(value)
        refused.update(x)
        untouched.update(x)
        assert refused.drift_detected == untouched.drift_detected
    assert json.dumps(plain(refused.state_dict())) == json.dumps(plain(untouched.state_dict()))


def largest_state(name: str, num_rows: int) -> int:
    """Most characters of a detector's state on the way through a stable error."""
    detector = CASES[name]()
    block = errors(num_rows // 10, 0.1, seed=11)
    sizes = []
    for _ in range(10):
        signals(detector, block)
        sizes.append(len(json.dumps(plain(detector.state_dict()))))
    return max(sizes)


@every_detector
def test_memory_is_bounded(name: str) -> None:
    assert largest_state(name, FEWER_ROWS.get(name, 1_000_000)) < LARGEST_STATE


def test_a_likelihood_ratio_that_bends_all_the_way_keeps_its_first_corner_and_the_newest() -> None:
    detector, rising = LikelihoodRatio(threshold=1e9), np.linspace(0.0, 1.0, 3 * MAX_SPLITS)
    for x in rising:
        detector.update(float(x))
    lower = detector.state_dict()["lower"]
    assert len(lower) == MAX_SPLITS
    assert lower[0].tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(lower[1:, 0], np.arange(2 * MAX_SPLITS + 2, 3 * MAX_SPLITS + 1))
    np.testing.assert_allclose(lower[1:, 1], rising.cumsum()[2 * MAX_SPLITS + 1 :])


@pytest.mark.parametrize("name", BINARY)
def test_binary_detectors_refuse_other_numbers(name: str) -> None:
    with pytest.raises(ValueError, match=r"0.5; it takes 0 and 1 only"):
        CASES[name]().update(0.5)


@pytest.mark.parametrize("name", ["glr", "seed"])
def test_detectors_of_shares_refuse_what_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        CASES[name]().update(1.5)


@pytest.mark.parametrize("name", ["relative"])
def test_detectors_of_errors_refuse_what_is_below_zero(name: str) -> None:
    with pytest.raises(ValueError, match="from 0 on"):
        CASES[name]().update(-0.5)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.relative])
def test_detectors_of_relative_errors_see_a_rise(name: str) -> None:
    generator = np.random.default_rng(12)
    values = np.minimum(np.abs(np.concatenate([generator.normal(0, 0.3, 2_000), generator.normal(0, 0.9, 2_000)])), 1.0)
    found = signals(for_budget(name, alarms_per_100k=1.0, values="relative"), values.tolist())
    rows = [row for row, (alarm, _) in enumerate(found) if alarm]
    assert 2_000 <= rows[0] < 2_200
