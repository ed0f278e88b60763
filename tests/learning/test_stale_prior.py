from __future__ import annotations

import numpy as np
import pytest

from daemon.learning.stale_prior import StalePrior

SURE, UNSURE = np.array([0.9, 0.1]), np.array([0.2, 0.8])


def weight_of(prior: StalePrior) -> float:
    return float(prior.state_dict()["weight"])


def test_errors_move_the_weight_and_agreement_does_not() -> None:
    prior = StalePrior(rate=np.log(3.0), share=0.0)
    prior.learn(SURE, SURE, 1, 1.0)
    assert weight_of(prior) == pytest.approx(0.5)
    prior.learn(SURE, UNSURE, 0, 1.0)
    assert weight_of(prior) == pytest.approx(0.25)
    prior.learn(SURE, UNSURE, 1, 2.0)  # a weight of 2 counts for two rows
    assert weight_of(prior) == pytest.approx(0.75)


def test_a_share_keeps_the_loser_in_play() -> None:
    prior = StalePrior(rate=1.0, share=0.01)
    for _ in range(1000):
        prior.learn(SURE, UNSURE, 0, 1.0)
    assert 0.005 < weight_of(prior) < 0.01


def test_an_answer_of_no_chance_is_not_final() -> None:
    blended = StalePrior().blend(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert blended.tolist() == [0.5, 0.5]


def test_a_class_that_neither_knew_is_an_error_of_both() -> None:
    prior = StalePrior()
    prior.learn(SURE, UNSURE, 2, 1.0)
    assert weight_of(prior) == pytest.approx(0.5)


def test_reload_goes_on() -> None:
    first, second = StalePrior(), StalePrior()
    first.learn(SURE, UNSURE, 0, 1.0)
    second.load_state_dict(first.state_dict())
    assert second.blend(SURE, UNSURE).tobytes() == first.blend(SURE, UNSURE).tobytes()
