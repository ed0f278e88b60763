"""The mixer's arithmetic by hand, its bounds, and what it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daemon.errors import StateError
from daemon.learning.mixer import Mixer
from tests.contracts.expert_checks import assert_same_state

P_EK = np.array([[0.8, 0.2], [0.5, 0.5]])


def mixer(**changes: Any) -> Mixer:
    settings: dict[str, Any] = {"max_total": 1.0, "share_rate": 0.5, "shares": (0.0,)} | changes
    return Mixer(num_experts=2, **({"rates": (0.1,)} | settings))


def test_one_step_by_hand() -> None:
    mix = mixer()
    # The mixer: √.4 : √.1 = 2 : 1. A third of the share each: (2/3 + .8 + .5) / 3.
    np.testing.assert_allclose(mix.mix(P_EK), [59 / 90, 31 / 90], rtol=1e-12)
    mix.learn(0, 1.0)
    # d/dw_0 = -ln .8 + 2/3 ln .8 + 1/3 ln .2 = -ln 4 / 3, d/dw_1 = 0; then both are scaled back to 1.
    grown = np.exp(0.1 * np.log(4.0) / 3)
    state = mix.state_dict()
    np.testing.assert_allclose(state["mixers"], [[grown / (grown + 1), 1 / (grown + 1)]], rtol=1e-12)
    share = np.sqrt([2 / 3, 0.8, 0.5])
    np.testing.assert_allclose(state["share"]["weights"][0], share / share.sum(), rtol=1e-12)


def test_one_of_newtons_steps_by_hand() -> None:
    mix = mixer(rates=(), kept=(0.9,), max_total=5.0)
    np.testing.assert_allclose(mix.mix(P_EK), [59 / 90, 31 / 90], rtol=1e-12)  # the same weights at first
    mix.learn(0, 2.0)
    # The mixer said 2/3. Gradient Σ_k p_k l_k − l_0 = −(ln .8 − ln .2, 0) / 3; information p (1 − p) (ln .8 − ln .2)² of the
    # first, twice since the row counts twice, beside what is left of 10, and a tenth of the least there is.
    apart = np.log(4.0)
    information = np.diag([9.0 + 0.0003 + 2 * 2 / 9 * apart**2, 9.0 + 0.0003])
    state = mix.state_dict()
    np.testing.assert_allclose(np.triu(state["information"][0]), information, rtol=1e-12)
    np.testing.assert_allclose(state["mixers"], [[0.5 + 2 * apart / 3 / information[0, 0], 0.5]], rtol=1e-12)


def test_newtons_steps_learn_what_experts_that_err_together_are_worth() -> None:
    """Both share a noise, of which the first has twice as much: what there is to know is twice the second less the first."""
    losses = {}
    for kept in ((), (0.9998,)):
        mix, loss, rng = Mixer(num_experts=2, kept=kept), 0.0, np.random.default_rng(0)
        for row in range(2000):
            signal, noise = rng.normal(size=2)
            target = int(rng.uniform() < 1 / (1 + np.exp(-2.0 * signal)))
            log_odds = np.array([signal + 2.0 * noise, signal + noise])
            p_EK = 1 / (1 + np.exp(np.stack([log_odds, -log_odds], axis=1)))
            loss -= np.log(mix.mix(p_EK)[target]) * (row >= 500)
            mix.learn(target, 1.0)
        losses[kept] = loss / 1500
    assert losses[(0.9998,)] < 0.9 * losses[()]
    assert mix.state_dict()["mixers"][-1, 0] < 0.0


def test_experts_that_are_sure_and_agree_do_not_throw_newtons_steps_off() -> None:
    """Rows that all are sure of tell next to nothing, so the error that comes after many would be worth any step."""
    mix, loss, rng = Mixer(num_experts=10, kept=(0.9998, 0.998), rates=()), 0.0, np.random.default_rng(1)
    for row in range(3000):
        target = int(rng.integers(2))
        said = target if rng.uniform() > 0.1 else 1 - target
        mix.mix(np.tile(np.where(np.arange(3) == said, 1.0 - 1e-6, 5e-7), (10, 1)))
        loss -= np.log(mix._p_FK[:2, target].min()) * (row >= 1000)
        mix.learn(target, 1.0)
        assert np.abs(mix.state_dict()["mixers"]).sum(axis=1).max() <= 1000.0 + 1e-9
    assert loss / 2000 < 0.6  # an error of .1 that is foretold as such has a log loss of .33


def test_behind_an_alarm_one_mixer_takes_newtons_steps_anew_beside_those_that_go_on() -> None:
    mix, fresh = (Mixer(num_experts=2, first_weights=(3.0, 1.0), kept=(0.998, 0.998)) for _ in range(2))
    for _ in range(50):
        mix.mix(P_EK)
        mix.learn(0, 1.0)
    before = mix.state_dict()
    assert before["mixers"][3].tolist() == before["mixers"][4].tolist() != fresh.state_dict()["mixers"][4].tolist()
    mix.hasten()
    after = mix.state_dict()
    for part, anew in (("mixers", 4), ("information", 1)):
        assert after[part][anew].tolist() == fresh.state_dict()[part][anew].tolist()
        assert after[part][:anew].tolist() == before[part][:anew].tolist()


def test_two_that_have_been_one_so_far_learn_what_one_alone_would() -> None:
    one, two = (Mixer(num_experts=2, kept=kept) for kept in ((0.998,), (0.998, 0.998)))
    rng = np.random.default_rng(0)
    for row in range(60):
        p_EK, target = rng.dirichlet(np.ones(3), size=2), int(rng.integers(2))
        for mix in (one, two):
            mix.mix(p_EK)
            mix.learn(target, 1.0)
        if row == 40:
            two.hasten()
        alone, beside = one.state_dict(), two.state_dict()
        assert beside["mixers"][3].tolist() == alone["mixers"][3].tolist()
        assert beside["information"][0].tolist() == alone["information"][0].tolist()
        assert (beside["mixers"][4].tolist() == alone["mixers"][3].tolist()) == (row < 40)


@pytest.mark.parametrize("part", ["mixers", "information"])
def test_two_that_differ_in_anything_are_not_taken_for_one(part: str) -> None:
    mix, rng = Mixer(num_experts=2, kept=(0.998, 0.998)), np.random.default_rng(0)
    state = mix.state_dict()
    state[part][-1, -1] *= 2.0  # a weight of the second expert, or a row of the information
    mix.load_state_dict(state)
    for target in (0, 1, 0):
        mix.mix(rng.dirichlet(np.ones(3), size=2))
        assert part != "mixers" or mix._p_FK[3].tolist() != mix._p_FK[4].tolist()
        mix.learn(target, 1.0)
    assert mix.state_dict()["mixers"][3].tolist() != mix.state_dict()["mixers"][4].tolist()


def test_one_that_forgets_faster_learns_as_it_would_alone() -> None:
    alone, beside, rng = Mixer(num_experts=2, kept=(0.9,)), Mixer(num_experts=2, kept=(0.998, 0.9)), np.random.default_rng(0)
    for _ in range(20):
        p_EK, target = rng.dirichlet(np.ones(3), size=2), int(rng.integers(2))
        for mix in (alone, beside):
            mix.mix(p_EK)
            mix.learn(target, 1.0)
    assert beside.state_dict()["mixers"][4].tolist() == alone.state_dict()["mixers"][3].tolist()


def test_of_late_labels_fixed_share_learns_from_as_many_rows_as_from_one() -> None:
    late, prompt = mixer(), mixer()
    prompt.mix(P_EK)
    prompt.learn(0, 1.0)
    for _ in range(4):
        late.mix(P_EK)
        late.learn(0, 1.0, late_by=3)
    # The experts' shares; the mixer's own moves as it learns.
    ratios = [np.divide(*mix.state_dict()["share"]["weights"][0][1:]) for mix in (late, prompt)]
    np.testing.assert_allclose(ratios[0], ratios[1], rtol=1e-12)


def test_weight_two_doubles_the_step() -> None:
    steps = []
    for weight in (1.0, 2.0):
        mix = mixer(max_total=5.0, share_rate=0.5)
        mix.mix(P_EK)
        mix.learn(1, weight)
        state = mix.state_dict()
        steps.append((np.log(state["mixers"] / 0.5), np.log(state["share"]["weights"][0][1] / state["share"]["weights"][0][2])))
    np.testing.assert_allclose(steps[1][0], 2 * steps[0][0], rtol=1e-12)
    np.testing.assert_allclose(steps[1][1], 2 * steps[0][1], rtol=1e-12)


def test_it_starts_from_the_weights_that_it_is_given() -> None:
    mix = Mixer(num_experts=2, rates=(0.1, 0.3), first_weights=(3.0, 1.0))
    state = mix.state_dict()
    assert state["mixers"].tolist() == [[0.75, 0.25]] * 2
    assert state["share"]["weights"][0].tolist() == [0.25, 0.25, 0.375, 0.125]  # each mixer an even part of it, as without


def test_weights_stay_inside_their_bounds_whatever_comes() -> None:
    mix = Mixer(num_experts=4, rates=(0.001, 0.004, 0.5), kept=(0.998,), shares=(1e-3, 1e-5), max_total=1.2)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        p_EK = rng.dirichlet(np.full(3, 0.05), size=4) + 1e-300
        mixed_K = mix.mix(p_EK)
        assert abs(mixed_K.sum() - 1.0) < 1e-12
        mix.learn(int(rng.integers(3)), 1.0)
        state = mix.state_dict()
        assert state["mixers"][:3].min() > 0.0
        assert state["mixers"].sum(axis=1).max() <= 1.2 + 1e-12
        assert np.abs(state["share"]["weights"].sum(axis=1) - 1.0).max() < 1e-12
        assert (state["share"]["weights"].min(axis=1) >= np.array([1e-3, 1e-5]) / 8 * (1 - 1e-12)).all()
        assert state["share"]["by_share"].min() >= 0.001 / 2 * (1 - 1e-12)


def test_a_step_is_bounded_and_no_expert_is_lost() -> None:
    """However large the rate, a row moves a weight by a factor of e² at most; an expert that is always wrong keeps 1e-6."""
    mix = Mixer(num_experts=2, rates=(10.0,), max_total=5.0)
    sure_EK = np.array([[1.0, 0.0], [0.0, 1.0]])
    mix.mix(sure_EK)
    mix.learn(0, 1.0)
    np.testing.assert_allclose(mix.state_dict()["mixers"], [[0.5 * np.exp(2.0), 0.5 * np.exp(-2.0)]], rtol=1e-12)
    mix = Mixer(num_experts=2, rates=(0.1,), max_total=1.0)
    for _ in range(2000):
        mix.mix(P_EK[:, ::-1])
        mix.learn(1, 1.0)
    assert 0.9e-6 < mix.state_dict()["mixers"].min() < 0.1


def test_the_better_expert_is_found_again_after_a_change() -> None:
    mix = Mixer(num_experts=2)
    right_then_wrong = np.array([[0.9, 0.1], [0.1, 0.9]])
    for target in (0, 1):
        for _ in range(200):
            mix.mix(right_then_wrong)
            mix.learn(target, 1.0)
        assert mix.mix(right_then_wrong)[target] > 0.85


def test_it_goes_on_identically_after_a_reload() -> None:
    one, two = (Mixer(num_experts=3, kept=(0.998,), shares=(1e-3, 1e-5)) for _ in range(2))
    rng = np.random.default_rng(1)
    rows = rng.dirichlet(np.ones(4), size=(100, 3))
    for p_EK in rows[:50]:
        one.mix(p_EK)
        one.learn(0, 1.0)
    two.load_state_dict(one.state_dict())
    for p_EK in rows[50:]:
        for mix in (one, two):
            mix.mix(p_EK)
            mix.learn(2, 0.7)
    assert_same_state(one.state_dict(), two.state_dict())


def test_a_pool_of_another_size_is_refused() -> None:
    here = {"num_experts": 3, "rates": (0.1, 0.2), "kept": (0.9,), "shares": (1e-3, 1e-5)}
    for other in ({"num_experts": 2}, {"rates": (0.1,), "kept": (0.9, 0.8)}, {"shares": (1e-3,)}):
        with pytest.raises(StateError, match="the pool of experts differs"):
            Mixer(**here).load_state_dict(Mixer(**(here | other)).state_dict())  # type: ignore[arg-type]
