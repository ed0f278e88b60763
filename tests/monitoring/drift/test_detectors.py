"""What every detector must do: the table names them all."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from daemon.errors import ConfigError, StateError
from daemon.monitoring.drift import river_state
from daemon.monitoring.drift.adwin import Adwin
from daemon.monitoring.drift.base import Detector
from daemon.monitoring.drift.river import KINDS, RiverDetector

TABLE: dict[str, Callable[[], Detector]] = {
    "adwin": lambda: Adwin(delta=0.002),
    "page_hinkley": lambda: RiverDetector(kind="page_hinkley", mode="up", threshold=20.0),
    "ddm": lambda: RiverDetector(kind="ddm"),
    "hddm_a": lambda: RiverDetector(kind="hddm_a"),
    "hddm_w": lambda: RiverDetector(kind="hddm_w"),
    "kswin": lambda: RiverDetector(kind="kswin", seed=7),
}
every_detector = pytest.mark.parametrize("name", TABLE)


def errors(num_rows: int, rate: float, *, seed: int) -> list[float]:
    return (np.random.default_rng(seed).random(num_rows) < rate).astype(float).tolist()


def signals(detector: Detector, values: list[float]) -> list[tuple[bool, bool]]:
    found = []
    for value in values:
        detector.update(value)
        found.append((detector.drift_detected, detector.worse))
    return found


def through_json(state: dict[str, Any]) -> dict[str, Any]:
    arrays = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
    rest = {key: value for key, value in state.items() if key not in arrays}
    return {**json.loads(json.dumps(rest, allow_nan=False)), **arrays}


def test_table_names_every_kind() -> None:
    assert set(TABLE) == {"adwin", *KINDS}


@every_detector
def test_rise_of_the_error_is_an_alarm_in_the_worse_direction(name: str) -> None:
    steady = [float(row % 10 == 0) for row in range(1_000)]
    found = signals(TABLE[name](), steady + errors(1_000, 0.8, seed=2))
    assert not any(alarm for alarm, _ in found[:1_000])
    rows = [row for row, (alarm, _) in enumerate(found) if alarm]
    assert 1_000 <= rows[0] < 1_150
    assert found[rows[0]] == (True, True)


def test_fall_of_the_error_is_an_alarm_in_the_better_direction() -> None:
    found = signals(Adwin(delta=0.002), errors(1_000, 0.6, seed=1) + errors(1_000, 0.05, seed=2))
    assert [worse for alarm, worse in found if alarm] == [False]


@every_detector
@pytest.mark.parametrize("cut", [40, 1_000, 1_033])
def test_loaded_detector_goes_on_identically_over_2000_values(name: str, cut: int) -> None:
    values = errors(1_000, 0.05, seed=3) + errors(1_500, 0.5, seed=4) + errors(533, 0.1, seed=5)
    first, second = TABLE[name](), TABLE[name]()
    signals(first, values[:cut])
    signals(second, values[100:150])  # what it held before must not matter
    second.load_state_dict(through_json(first.state_dict()))
    rest = values[cut : cut + 2_000]
    assert signals(first, rest) == signals(second, rest)
    assert repr(first.state_dict()) == repr(second.state_dict())


@every_detector
def test_loading_right_after_an_alarm_starts_anew_as_the_original_does(name: str) -> None:
    first, second = TABLE[name](), TABLE[name]()
    for value in errors(1_000, 0.05, seed=6) + errors(1_000, 0.6, seed=7):
        first.update(value)
        if first.drift_detected:
            break
    assert first.drift_detected
    second.load_state_dict(through_json(first.state_dict()))
    rest = errors(500, 0.3, seed=8)
    assert signals(first, rest) == signals(second, rest)


@every_detector
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_and_blinds_nothing(name: str, value: float) -> None:
    refused, untouched = TABLE[name](), TABLE[name]()
    values = errors(600, 0.05, seed=9) + errors(600, 0.7, seed=10)
    for row, x in enumerate(values):
        if row % 50 == 0:
            with pytest.raises(ValueError, match="finite"):
                refused.update(value)
        refused.update(x)
        untouched.update(x)
        assert refused.drift_detected == untouched.drift_detected
    assert repr(refused.state_dict()) == repr(untouched.state_dict())


@every_detector
def test_memory_is_bounded(name: str) -> None:
    detector = TABLE[name]()
    sizes = Counter[int]()
    values = errors(2_000 if name == "kswin" else 200_000, 0.1, seed=11)
    for start in range(0, len(values), len(values) // 4):
        signals(detector, values[start : start + len(values) // 4])
        sizes[len(repr({k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in detector.state_dict().items()}))] += 1
    assert max(sizes) < 20_000


@pytest.mark.parametrize("kind", ["ddm", "hddm_a", "hddm_w"])
def test_binary_detectors_refuse_other_numbers(kind: str) -> None:
    with pytest.raises(ValueError, match=r"0.5; it takes 0 and 1 only"):
        RiverDetector(kind=kind).update(0.5)


def test_generator_needs_a_seed_and_kinds_are_checked() -> None:
    with pytest.raises(ConfigError, match="seed"):
        RiverDetector(kind="kswin")
    with pytest.raises(ConfigError, match="there are page_hinkley"):
        RiverDetector(kind="eddm")


def test_only_listed_classes_are_written_or_read() -> None:
    with pytest.raises(StateError, match=r"builtins\.object"):
        river_state.encode(object())
    for saved in ({"class": "subprocess.Popen", "fields": {}}, {"rust": "os.system", "bytes": ""}, {"call": "x"}):
        with pytest.raises(StateError, match="cannot read"):
            river_state.decode(saved)


def test_seeded_generator_goes_through_json() -> None:
    generator = random.Random(3)
    generator.gauss(0, 1)
    copy = river_state.decode(json.loads(json.dumps(river_state.encode(generator))))
    assert [generator.gauss(0, 1) for _ in range(5)] == [copy.gauss(0, 1) for _ in range(5)]


def test_state_of_another_kind_is_refused() -> None:
    with pytest.raises(StateError, match="is of 'ddm'"):
        RiverDetector(kind="hddm_a").load_state_dict(RiverDetector(kind="ddm").state_dict())
