"""Who leads the mixture, when, and what the answer is then."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.learning.experts.base import Expert
from daemon.learning.features.table import TableFeatures
from daemon.learning.lead import MANY, NOBODY, Lead, errors_saved, follow, standard_errors_to_lead
from daemon.learning.mixer import Mixer
from daemon.learning.regression_mixer import RegressionMixer
from daemon.learning.tables import table_experts


def leaders(gains: list[list[float]], *, weight: float = 1.0) -> list[int]:
    lead, seen = Lead([MANY] * len(gains[0])), []
    for gain_E in gains:
        lead.learn(np.array(gain_E), weight)
        seen.append(lead.leader)
    return seen


def test_errors_saved_by_hand() -> None:
    mixed_K = np.array([0.5, 0.3, 0.2])
    p_EK = np.array([[0.4, 0.5, 0.1], [0.6, 0.3, 0.1], [0.1, 0.3, 0.6]])  # 1, 0 and, but for the spare, 1
    assert errors_saved(p_EK, mixed_K, 1).tolist() == [1.0, 0.0, 1.0]
    assert errors_saved(p_EK, mixed_K, 0).tolist() == [-1.0, 0.0, -1.0]
    assert errors_saved(p_EK, mixed_K, 2).tolist() == [0.0, 0.0, 0.0]  # a new label: all are wrong
    # Nor does it save anything to hold nothing for possible, though the first of equals is the first class.
    assert errors_saved(np.zeros((1, 3)), np.array([0.2, 0.6, 0.2]), 0).tolist() == [0.0]
    assert errors_saved(np.ones((2, 1)), np.ones(1), 0).tolist() == [0.0, 0.0]  # no label is known yet


def test_the_likeliest_class_of_the_leader_changes_places_with_that_of_the_mixture() -> None:
    mixed_K = np.array([0.5, 0.1, 0.3, 0.1])
    assert follow(np.array([0.1, 0.6, 0.2, 0.1]), mixed_K).tolist() == [0.1, 0.5, 0.3, 0.1]
    assert follow(np.array([0.1, 0.0, 0.2, 0.7]), mixed_K).tolist() == [0.3, 0.1, 0.5, 0.1]  # never the spare
    assert follow(np.array([0.6, 0.2, 0.1, 0.1]), mixed_K).tolist() == mixed_K.tolist()


def test_an_expert_of_no_standard_errors_leads_without_being_ahead_by_more_than_chance() -> None:
    lead, chance = Lead([MANY, 0.0]), np.tile([[1.0, 1.0], [-1.0, -1.0]], (50, 1))
    for gain_E in [*chance, np.ones(2)]:
        lead.learn(gain_E, 1.0)
    assert lead.leader == NOBODY  # one row's gain ahead
    lead.learn(np.ones(2), 1.0)
    assert lead.leader == 1


def test_a_trivial_expert_leads_after_two_rows_to_none_a_simple_one_after_three_and_any_other_after_five() -> None:
    """What follows the last label after one. Where labels are late trivial ones lead once more than one row ahead, all others
    after five."""

    def rows_to_lead(expert: Expert, *, late: bool) -> int:
        lead = Lead(standard_errors_to_lead([expert], late=late))
        for row in range(1, 10):
            lead.learn(np.ones(1), 1.0)
            if lead.leader == 0:
                return row
        raise AssertionError("it never leads")

    experts = table_experts(TableFeatures(), seed=0)
    in_time = {"prior_all": 2, "prior_slow": 2, "last_label": 1}
    in_time |= dict.fromkeys(("table_bayes", "probit_0", "probit_1", "logistic_0"), 3)
    for expert in experts:
        assert rows_to_lead(expert, late=True) == (2 if expert.is_trivial else 5), expert.name
        assert rows_to_lead(expert, late=False) == in_time.get(expert.name, 5), expert.name
    assert in_time.keys() < {expert.name for expert in experts}


def test_who_follows_the_last_label_leads_by_a_row_of_long_ago_and_where_it_never_differed() -> None:
    markov = next(expert for expert in table_experts(TableFeatures(), seed=0) if expert.name == "last_label")
    lead = Lead([MANY, *standard_errors_to_lead([markov], late=False)])
    seen = []
    for gain in [0.0] * 30 + [1.0] + [0.0] * 2_700 + [-1.0] * 2:
        lead.learn(np.array([0.0, gain]), 1.0)
        seen.append(lead.leader)
    assert seen == [NOBODY] * 19 + [1] * 2_712 + [NOBODY] * 2
    lead.forget()
    lead.learn(np.zeros(2), 1.0)
    assert lead.leader == NOBODY  # of a new concept so many rows have to be seen, too
    for _ in range(20):
        lead.learn(np.array([1.0, 0.0]), 1.0)
    assert lead.leader == 0  # who is ahead goes before who is level


def test_chance_is_no_lead() -> None:
    generator = np.random.default_rng(0)
    gains = generator.choice([-1.0, 0.0, 1.0], size=(20_000, 1), p=[0.1, 0.8, 0.1])
    seen = np.array(leaders(gains.tolist()))
    assert (seen == 0).mean() < 0.1
    assert leaders([[1.0]] * 4 + [[-1.0]] * 4) == [NOBODY] * 8


def test_a_lead_is_lost_within_some_hundred_rows_once_the_mixture_is_better() -> None:
    generator = np.random.default_rng(1)
    ahead = (generator.random(5_000) < 0.1).astype(float)
    behind = -(generator.random(1_000) < 0.3).astype(float)
    seen = leaders([[gain] for gain in [*ahead, *behind]])
    assert seen[1_000] == seen[4_999] == 0
    assert seen[5_000:].index(NOBODY) < 700


def test_a_lead_does_not_depend_on_the_unit_of_weights() -> None:
    gains = np.random.default_rng(2).normal(0.1, 1.0, size=(2_000, 3)).tolist()
    assert leaders(gains) == leaders(gains, weight=1024.0)
    assert len(set(leaders(gains))) > 1


def test_the_answer_is_the_leaders_though_the_weights_are_with_the_others() -> None:
    mixer = Mixer(num_experts=3, rates=(), share_rate=0.0)  # weights that never move
    answers = []
    for target in [0, 1, 0, 1, 0, 1, 0]:
        p_EK = np.full((3, 3), 0.1)
        p_EK[0, target] = p_EK[1, 1 - target] = p_EK[2, 1 - target] = 0.8
        mixed_K = mixer.mix(p_EK)
        answers.append(int(mixed_K.argmax()) == target)
        np.testing.assert_allclose(sorted(mixed_K), [0.1, 1 / 3, 17 / 30], rtol=1e-12)
        mixer.learn(target, 1.0)
    assert answers == [False] * 5 + [True] * 2
    mixer.hasten()
    assert mixer.mix(p_EK).argmax() == 1


def test_who_led_in_a_burst_behind_an_alarm_leads_no_longer_than_the_burst() -> None:
    mixer = Mixer(num_experts=2, rates=(), share_rate=0.0)
    p_EK = np.array([[0.8, 0.1, 0.1], [0.1, 0.9, 0.0]])
    mixer.hasten()
    answers = []
    for target in [0] * 60 + [1] * 60:
        answers.append(int(mixer.mix(p_EK).argmax()))
        mixer.learn(target, 1.0)
    assert answers[:7] == [1] * 5 + [0] * 2
    assert answers[:60].count(0) == 55
    assert answers[60:80].count(0) < 20
    assert answers[80:] == [1] * 40


def test_an_alarm_ends_a_lead() -> None:
    lead = Lead([MANY])
    for _ in range(10):
        lead.learn(np.ones(1), 1.0)
    assert lead.leader == 0
    lead.forget()
    assert lead.leader == NOBODY
    lead.learn(np.ones(1), 1.0)
    assert lead.leader == NOBODY


@pytest.mark.parametrize("cut", [3, 40])
def test_it_goes_on_identically_after_a_reload(cut: int) -> None:
    gains = np.random.default_rng(4).normal(0.2, 1.0, size=(200, 4))
    whole, first = Lead([MANY] * 4), Lead([MANY] * 4)
    for gain_E in gains:
        whole.learn(gain_E, 1.0)
    for gain_E in gains[:cut]:
        first.learn(gain_E, 1.0)
    second = Lead([MANY] * 4)
    second.load_state_dict(first.state_dict())
    assert second.leader == first.leader
    for gain_E in gains[cut:]:
        second.learn(gain_E, 1.0)
    assert second.state_dict()["sums"].tobytes() == whole.state_dict()["sums"].tobytes()
    assert second.leader == whole.leader


def test_a_regression_repeats_whoever_is_closer_all_along() -> None:
    mixer = RegressionMixer(num_experts=2)
    for row in range(60):
        target = float(row % 7)
        answer = mixer.mix(np.array([target, target + 1.0]))
        mixer.learn(target, 1.0)
    assert answer == target
