from __future__ import annotations

import json

import numpy as np
import pytest

from daemon.monitoring.surge import Surge


def after(num_rows: int, *, rate: float, seed: int = 0) -> Surge:
    surge = Surge()
    surge.update((np.random.default_rng(seed).random(num_rows) < rate).astype(float).tolist())
    return surge


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.1, 0.2])
def test_a_burst_of_errors_shows_within_eight_rows(rate: float) -> None:
    for seed in range(20):
        surge = after(600, rate=rate, seed=seed)
        for _ in range(8):
            surge.update([1.0])
        assert surge.rising()


@pytest.mark.parametrize("rate", [0.005, 0.02, 0.1, 0.3, 0.6])
def test_a_level_that_stays_is_hardly_ever_taken_for_a_surge(rate: float) -> None:
    surge, generator, num_rising = Surge(), np.random.default_rng(1), 0
    for _ in range(1_000):
        surge.update((generator.random(5) < rate).astype(float).tolist())
        num_rising += surge.rising()
    assert num_rising < 80


def test_a_single_error_and_a_short_history_are_no_surge() -> None:
    assert not after(49, rate=0.0).rising()
    surge = after(500, rate=0.0)
    surge.update([1.0])
    assert not surge.rising()
    surge.update([1.0])
    assert surge.rising()


def test_a_new_level_is_the_level_once_it_has_lasted() -> None:
    surge = after(500, rate=0.02)
    surge.update((np.random.default_rng(3).random(600) < 0.3).astype(float).tolist())
    assert not surge.rising()


def test_huge_losses_are_compared_too() -> None:
    surge = Surge()
    surge.update([1e100] * 300)
    assert not surge.rising()
    surge = Surge()
    surge.update([0.0] * 300 + [1e100] * 4)
    assert surge.rising()


def test_save_load_continue() -> None:
    first, second = after(700, rate=0.1), Surge()
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for surge in (first, second):
        surge.update([1.0] * 5)
    assert first.state_dict() == second.state_dict()
    assert len(first.state_dict()["losses"]) == 564
