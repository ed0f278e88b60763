"""The mixer of a regression: targets that begin all equal, new levels, and a wild target."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from daemon.learning.batch import Batch
from daemon.learning.features.references import WILD_ROWS, Reference
from daemon.learning.regression_mixer import HIGH, LOW, USUAL, RegressionMixer
from tests.learning.test_regressors import make_model


def feed(mixer: RegressionMixer, rows: Iterable[tuple[list[float], float]]) -> None:
    for p_E, target in rows:
        mixer.mix(np.array(p_E))
        mixer.learn(target, 1.0)


def reach(mixer: RegressionMixer) -> tuple[float, float]:
    scalars = mixer.state_dict()["scalars"]
    return float(scalars[LOW]), float(scalars[HIGH])


def test_late_targets_move_the_weights_by_as_much_less_as_they_are_late() -> None:
    steps = []
    for late_by in (0, 3):
        mixer = RegressionMixer(num_experts=2, rates=(0.01,), share=0.0)
        feed(mixer, [([1.0, 1.0], 1.0), ([1.0, 1.5], 2.0)])  # the range, and the usual loss
        before = mixer.state_dict()
        mixer.mix(np.array([0.0, 1.0]))
        mixer.learn(2.0, 1.0, late_by=late_by)
        after = mixer.state_dict()
        moved = (np.log(after[part] / before[part]) for part in ("mixers", "share"))
        steps.append([float(part[..., -1].squeeze() - part[..., -2].squeeze()) for part in moved])
    assert steps[0][0] > 0.0
    np.testing.assert_allclose(np.array(steps[0]), 4.0 * np.array(steps[1]), rtol=1e-9)


@pytest.mark.parametrize(
    "start", [[0.0] * 2, [0.0] * 20, [0.0] * 50, [0.1] * 2, [0.1] * 50], ids=lambda start: f"{start[:1]}x{len(start)}"
)
def test_targets_that_begin_all_equal_do_not_hold_the_answers(start: list[float]) -> None:
    rng = np.random.default_rng(2)
    x_B, num_rows = rng.normal(size=400), 400
    target_B = np.concatenate([start, 3.0 * x_B + 0.1 * rng.normal(size=num_rows)])[:num_rows]
    model = make_model()
    rows = [{"x": 0.0}] * len(start) + [{"x": float(x)} for x in x_B]
    output_B = model.learn(Batch([""] * num_rows, rows[:num_rows]), target_B, np.ones(num_rows))
    assert model.best_expert is not None
    error, best = abs(output_B - target_B)[-200:].mean(), abs(model.best_expert - target_B)[-200:].mean()
    assert error < 1.1 * best
    assert best < 0.3  # of targets that vary by 3


def test_the_first_row_that_differs_tells_range_and_usual_loss() -> None:
    """However many equal targets came before it, and though the mean of three times .1 is not .1 to the bit."""
    mixer = RegressionMixer(num_experts=1)
    feed(mixer, [([np.mean([0.1] * n)], 0.1) for n in range(1, 50)])
    feed(mixer, [([0.1], 5.0)])
    assert reach(mixer) == (0.1, 5.0)
    assert mixer.state_dict()["scalars"][USUAL] == pytest.approx(4.9)


def test_a_level_far_beyond_a_tiny_range_is_reached_with_its_second_row() -> None:
    mixer = RegressionMixer(num_experts=1)
    feed(mixer, [([0.0], 0.0), ([0.0], 1e-15), ([0.0], 1.0)])
    assert reach(mixer)[1] < 1e-12
    feed(mixer, [([0.0], 1.0)])
    assert reach(mixer) == (0.0, 1.0)


def test_behind_a_jump_whoever_repeats_the_last_target_answers_from_its_third_row_on() -> None:
    """The first row may be wild and alone; the second shows who knows the new level."""
    rng = np.random.default_rng(0)
    target_N = np.concatenate([rng.normal(size=300), 5000.0 + rng.normal(size=20)])
    mixer, last, mean, answers = RegressionMixer(num_experts=4), 0.0, 0.0, list[float]()
    for row, target in enumerate(target_N.tolist()):
        answers.append(mixer.mix(np.array([mean, mean, mean, last])))
        mixer.learn(target, 1.0)
        last, mean = target, mean + (target - mean) / (row + 1)
    off = abs(np.array(answers) - target_N)
    assert off[:300].mean() < 0.9  # the mean, and not the last one, which is off by 1.13
    assert off[302] < 0.03 * 5000.0
    assert off[303:].max() < 10.0


def test_a_single_wild_target_widens_the_range_by_the_reach_alone() -> None:
    mixer = RegressionMixer(num_experts=1)
    feed(mixer, [([0.0], target) for target in (0.0, 1.0, 0.0, 1.0)])
    feed(mixer, [([0.0], 1e12), ([0.0], 0.5), ([0.0], 1e12), ([0.0], 0.5)])
    assert 1.0 < reach(mixer)[1] < 1e6


def test_a_reference_counts_no_targets_before_they_differ() -> None:
    reference = Reference()
    for _ in range(50):
        reference.value = 0.1
        reference.learn(0.1 + 1e-17)
    reference.learn(2.1)
    assert reference.scale == 2.0


def test_a_reference_finds_the_scale_of_a_new_level_within_a_few_rows() -> None:
    reference = Reference()
    for _ in range(100):
        reference.learn(1e-9)
    for row in range(60):
        before = reference.scale
        reference.learn(1.0)
        if row < WILD_ROWS:  # what is wild moves the scale by 2 % a row
            assert reference.scale <= 1.021 * before
    assert reference.scale > 0.05


def test_rows_that_were_foretold_spread_no_weight() -> None:
    """Levels that hold for 50 rows: who repeats the last is wrong at the jumps alone, and stays in charge behind them."""
    target_N = np.repeat(np.random.default_rng(0).normal(size=60), 50) * 10.0
    trend_E = np.array([0.0, *np.linspace(0.05, 0.2, 12)])  # the others go on as the last change began
    mixer, losses, jumps = RegressionMixer(num_experts=len(trend_E)), list[float](), list[float]()
    last, change = 0.0, 0.0
    for target in target_N.tolist():
        losses.append(abs(target - mixer.mix(last + trend_E * change)))
        mixer.learn(target, 1.0)
        last, change = target, target - last
        jumps.append(abs(change))
    assert sum(losses[1500:]) < 1.01 * sum(jumps[1500:])


def test_who_was_less_wrong_of_one_wild_row_is_trusted_no_more() -> None:
    mixer = RegressionMixer(num_experts=2)
    feed(mixer, [([row % 7.0, row % 7.0 + 1.0], row % 7.0 + 0.1) for row in range(200)])
    before = mixer.expert_weights[0]
    feed(mixer, [([3.0, 4.4], 6.0)])  # off by 64 and by 34 of the usual losses
    assert before > 0.8
    assert mixer.expert_weights[0] > 0.97 * before


def test_one_that_goes_wild_moves_the_answer_by_its_share_of_ten_usual_losses() -> None:
    mixer = RegressionMixer(num_experts=3, rates=(), share=0.0)
    feed(mixer, [([1.0, 1.0, 1.0], 0.0), ([1.0, 1.0, 1.0], 2.0), ([1.0, 1.0, 1.0], 0.0)])
    furthest = 2.0 + 10.0 * float(mixer.state_dict()["scalars"][USUAL])  # from the median, which is 2
    for wild in (furthest, furthest + 1.0, 1e300, np.nan):
        assert mixer.mix(np.array([1.0, wild, 2.0])) == pytest.approx((1.0 + furthest + 2.0) / 3.0)
    assert mixer.mix(np.array([1.0, furthest - 1.0, 2.0])) == pytest.approx((1.0 + furthest - 1.0 + 2.0) / 3.0)


def test_whoever_leads_is_followed_no_further_than_ten_usual_losses_from_the_mix() -> None:
    mixer = RegressionMixer(num_experts=3, rates=(), share=0.0, share_rate=0.0)
    feed(mixer, [([0.0, 0.9, 0.9], 0.0), *[([float(row % 2), 0.9, 0.9], row % 2) for row in range(40)]])
    usual = float(mixer.state_dict()["scalars"][USUAL])
    assert mixer.mix(np.array([0.5, 0.9, 0.9])) == 0.5  # the first is always right, and leads
    mixed = 0.9 + 10.0 * usual / 3.0
    assert mixer.mix(np.array([1e6, 0.9, 0.9])) == pytest.approx(mixed + 10.0 * usual)
