"""Errors of a regressor before the detectors: on a scale that is held fixed while they count."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.monitoring.drift.base import Detector
from daemon.monitoring.drift.budget import KINDS, for_budget
from daemon.monitoring.drift.relative import FULL_SCALE, Relative
from daemon.monitoring.drift.watch import Direction

Floats = NDArray[np.float64]
BETTER_OR_WORSE = [name for name, kind in KINDS.items() if kind.relative]
# What the default settings give each of their two detectors.
DEFAULT_BUDGET = 0.01


def noise(num_rows: int, *, seed: int) -> Floats:
    return np.abs(np.random.default_rng(seed).normal(size=num_rows))


def watched(name: str = "glr", *, direction: Direction = "worse") -> Detector:
    return for_budget(name, alarms_per_100k=DEFAULT_BUDGET, direction=direction, values="relative")


def alarms(detector: Detector, losses: Floats) -> list[tuple[int, bool]]:
    """Rows of the alarms, and whether they were for the worse."""
    found = []
    for row, loss in enumerate(losses.tolist()):
        detector.update(loss)
        if detector.drift_detected:
            found.append((row, detector.worse))
    return found


class Shown(Detector):
    """Takes down what it is shown, and raises an alarm at a 1 when told to."""

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.drift_detected, self.worse = False, True
        self.alarms_at = math.inf

    def update(self, x: float) -> None:
        self.shares.append(x)
        self.drift_detected = x >= self.alarms_at

    def state_dict(self) -> dict[str, object]:
        return {"shares": list(self.shares)}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        self.shares = list(state["shares"])


def feed(relative: Relative, loss: float, *, times: int) -> None:
    for _ in range(times):
        relative.update(loss)


@pytest.mark.parametrize("name", BETTER_OR_WORSE)
@pytest.mark.parametrize("half_life", [3, 30, 300])
def test_a_learner_that_settles_raises_no_alarm_for_the_worse(name: str, half_life: int) -> None:
    row_N = np.arange(15_000)
    losses = noise(15_000, seed=half_life) * (1 + 50 / (1 + row_N / half_life))
    assert alarms(watched(name), losses) == []


@pytest.mark.parametrize("name", BETTER_OR_WORSE)
@pytest.mark.parametrize("times", [2.0, 3.0, 100.0])
def test_a_rise_is_found_whatever_its_size(name: str, times: float) -> None:
    losses = noise(6_000, seed=1)
    losses[3_000:] *= times
    (row, worse), *_ = alarms(watched(name), losses)
    assert worse
    assert 3_000 <= row < 3_600  # Page-Hinkley needs 500 rows for twice the error, GLR 100


@pytest.mark.parametrize("name", BETTER_OR_WORSE)
@pytest.mark.parametrize("wild_row", [0, 50, 500])
def test_a_wild_row_is_no_alarm_and_blinds_nothing(name: str, wild_row: int) -> None:
    losses = noise(4_000, seed=2)
    losses[wild_row] = 1e9
    losses[2_500:] *= 3
    (row, worse), *_ = alarms(watched(name), losses)
    assert worse
    assert 2_500 <= row < 2_900


@pytest.mark.parametrize("direction", ["worse", "both"])
def test_many_wild_rows_at_the_beginning_are_gone_from_the_scale_with_the_next_hundred(direction: Direction) -> None:
    losses = noise(2_000, seed=3)
    losses[:90] = 1e100  # what a loss that is no number is taken for
    losses[1_000:] *= 3
    (row, worse), *_ = alarms(watched(direction=direction), losses)
    assert worse
    assert 1_000 <= row < 1_100


def test_after_an_alarm_the_new_level_is_the_scale() -> None:
    losses = noise(9_000, seed=4)
    losses[3_000:] *= 100
    losses[6_000:] *= 3
    rows = [row for row, _ in alarms(watched(), losses)]
    assert len(rows) == 2
    assert 3_000 <= rows[0] < 3_050
    assert 6_000 <= rows[1] < 6_100


@pytest.mark.parametrize("name", BETTER_OR_WORSE)
def test_a_fall_is_told_where_it_is_asked_for(name: str) -> None:
    losses = noise(6_000, seed=5)
    losses[3_000:] /= 10
    assert alarms(watched(name), losses) == []
    [(row, worse)] = alarms(watched(name, direction="both"), losses)
    assert not worse
    assert 3_000 <= row < 3_600


def test_a_learner_without_an_error_raises_an_alarm_once_it_errs() -> None:
    losses = np.concatenate([np.zeros(2_000), 1e-3 * noise(500, seed=6)])
    (row, worse), *_ = alarms(watched(), losses)
    assert worse
    assert 2_000 <= row < 2_020


@pytest.mark.parametrize("grows", ["more often", "larger"])
def test_errors_at_few_rows_that_grow_are_found(grows: str) -> None:
    rng = np.random.default_rng(7)
    rate_N = np.where(np.arange(8_000) < 5_000, 0.05, 0.25 if grows == "more often" else 0.05)
    losses = (rng.random(8_000) < rate_N) * rng.exponential(size=8_000)
    if grows == "larger":
        losses[5_000:] *= 20
    (row, worse), *_ = alarms(watched(), losses)
    assert worse
    assert 5_000 <= row < 6_500


def test_nothing_is_shown_before_there_is_a_scale_and_then_shares_of_it() -> None:
    shown = Shown()
    relative = Relative(shown)
    feed(relative, 2.0, times=99)
    assert shown.shares == []
    feed(relative, 2.0, times=1)
    feed(relative, 3.0, times=1)
    feed(relative, 1e9, times=1)
    assert shown.shares == [1 / FULL_SCALE, 1.5 / FULL_SCALE, 1.0]


@pytest.mark.parametrize(("both", "times", "restarted"), [(False, 50, True), (True, 3, True), (True, 50, False)])
def test_a_fall_of_the_level_is_followed_but_left_to_the_detector_of_both_after_500_rows(
    both: bool, times: int, restarted: bool
) -> None:
    shown = Shown()
    relative = Relative(shown, both=both)
    feed(relative, 8.0, times=100 * times)
    feed(relative, 5.0, times=100)
    assert len(shown.shares) == 100 * times + 1  # above half: nothing happens
    feed(relative, 3.0, times=100)
    assert (shown.shares == [1 / FULL_SCALE]) == restarted


def test_rows_without_any_loss_leave_the_scale() -> None:
    shown = Shown()
    relative = Relative(shown)
    feed(relative, 8.0, times=100)
    feed(relative, 0.0, times=300)
    assert shown.shares == [1 / FULL_SCALE] + [0.0] * 300


def test_after_an_alarm_the_old_scale_holds_until_a_hundred_rows_give_the_new_one() -> None:
    shown = Shown()
    relative = Relative(shown)
    feed(relative, 2.0, times=150)
    shown.alarms_at = 1.0
    feed(relative, 60.0, times=1)
    assert relative.drift_detected
    assert relative.worse
    shown.alarms_at = math.inf
    feed(relative, 60.0, times=99)
    assert shown.shares[-99:] == [1.0] * 99
    feed(relative, 60.0, times=1)
    assert shown.shares == [1 / FULL_SCALE]
