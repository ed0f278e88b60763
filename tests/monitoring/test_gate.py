from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.monitoring.gate import Decision, Gate
from tests.monitoring.metrics.test_classification import canonical
from tests.monitoring.test_health import Clock

SMALL = 20  # rows between two decisions


class Stream:
    """A gate that is fed with errors at given rates."""

    def __init__(self, *, seed: int = 0, publish: bool = True) -> None:
        self.clock = Clock()
        self.gate = Gate(clock=self.clock)
        self.rng = np.random.default_rng(seed)
        self.publish = publish
        self.gate.published(decided_at=self.gate.rows)

    def errors(self, rate: float) -> NDArray[np.float64]:
        return (self.rng.random(SMALL) < rate).astype(float)

    def feed(
        self,
        num_rows: int,
        *,
        candidate: float,
        served: float,
        baseline: float = 1.0,
        slices: list[dict[str, str]] | None = None,
        finite: bool = True,
    ) -> list[Decision]:
        """Decide every `SMALL` rows, which take 2 seconds; publish where the gate says so."""
        decisions = []
        for _ in range(num_rows // SMALL):
            self.gate.observe(
                candidate_loss_B=self.errors(candidate),
                served_loss_B=self.errors(served),
                baseline_loss_B={"last_label": self.errors(baseline)},
                slices=slices,
            )
            self.clock.now += 2.0
            decisions.append(self.gate.decide(finite=finite))
            if self.publish and decisions[-1].publish:
                self.gate.published(decided_at=self.gate.rows)
        return decisions


def reasons(decisions: list[Decision]) -> set[str]:
    return {decision.reason for decision in decisions}


@pytest.mark.parametrize("seed", range(5))
def test_a_burst_right_after_a_publish_is_held_by_the_level_of_what_was_learned_before(seed: int) -> None:
    """What is served was scored on rows of the burst alone: they are no level to be back at."""
    gate, random = Gate(), np.random.default_rng(seed)
    clean = (random.random(1_000) < 0.1).astype(float)
    gate.observe(candidate_loss_B=clean, served_loss_B=None, baseline_loss_B={})
    gate.published(decided_at=gate.rows)
    wrong = (random.random(500) < 0.9).astype(float)
    gate.observe(candidate_loss_B=wrong[:40], served_loss_B=wrong[:40], baseline_loss_B={})
    gate.alarm()
    for start in range(40, 500, 20):  # the candidate has taken the flipped labels for a new concept
        right, served = (random.random(20) < 0.2).astype(float), wrong[start : start + 20]
        gate.observe(candidate_loss_B=right, served_loss_B=served, baseline_loss_B={})
        assert gate.decide(finite=True).reason == "alarm"


def test_first_snapshot_goes_out_even_after_an_alarm() -> None:
    gate = Gate()
    gate.alarm()
    assert gate.decide(finite=True) == Decision(True, "first", "nothing is served yet")


def test_equal_and_better_candidates_go_out_at_once() -> None:
    decisions = Stream().feed(20_000, candidate=0.1, served=0.1)
    held = [decision.reason for decision in decisions if not decision.publish]
    assert len(held) < len(decisions) / 20
    assert set(held) == {"surge"}
    assert reasons(Stream().feed(2_000, candidate=0.05, served=0.3)) == {"not_worse"}


def test_worse_candidate_is_held_once_it_shows_and_goes_out_when_it_has_recovered() -> None:
    stream = Stream(publish=False)
    assert stream.feed(400, candidate=0.4, served=0.1)[-1].reason == "worse"
    assert stream.feed(1_000, candidate=0.05, served=0.1)[-1] == Decision(
        True, "not_worse", "not significantly worse than what is served"
    )


def test_a_candidate_that_is_worse_in_one_slice_only_is_held() -> None:
    stream = Stream(publish=False)
    slices = [{"country": "fr"}] * 4 + [{"country": "de"}] * 16
    for _ in range(25):
        candidate, served = stream.errors(0.0), stream.errors(0.0)
        candidate[:4], served[4:12] = 1.0, 1.0  # wrong on every French row, yet better overall
        stream.gate.observe(candidate_loss_B=candidate, served_loss_B=served, baseline_loss_B={}, slices=slices)
    decision = stream.gate.decide(finite=True)
    assert (decision.publish, decision.reason) == (False, "worse_slice")
    assert decision.detail == "worse than what is served over 100 rows of country 'fr'"


def decision_beside_a_perfect_baseline(*, candidate_errors: int, served_errors: int) -> str:
    candidate, served = np.zeros(500), np.zeros(500)
    candidate[:candidate_errors] = 1.0
    served[500 - served_errors :] = 1.0
    gate = Gate()
    gate.published(decided_at=gate.rows)
    gate.observe(candidate_loss_B=candidate, served_loss_B=served, baseline_loss_B={"last_label": np.zeros(500)})
    return gate.decide(finite=True).reason


def test_losing_to_a_baseline_holds_only_where_the_served_weights_do_not_lose_to_it() -> None:
    assert decision_beside_a_perfect_baseline(candidate_errors=15, served_errors=5) == "worse_than_baseline"
    assert decision_beside_a_perfect_baseline(candidate_errors=15, served_errors=15) == "not_worse"
    assert decision_beside_a_perfect_baseline(candidate_errors=5, served_errors=5) == "not_worse"


def test_weights_that_are_not_finite_never_go_out() -> None:
    assert Gate().decide(finite=False).publish is False
    stream = Stream()
    stream.feed(100, candidate=0.1, served=0.1)
    stream.gate.alarm()
    stream.clock.now += 10_000.0
    assert reasons(stream.feed(3_000, candidate=0.1, served=0.9, finite=False)) == {"not_finite"}


def test_false_alarm_holds_for_some_two_hundred_rows() -> None:
    stream = Stream()
    stream.feed(1_000, candidate=0.1, served=0.1)
    stream.gate.alarm()
    decisions = stream.feed(600, candidate=0.1, served=0.1)
    first = next(i for i, decision in enumerate(decisions) if decision.publish)
    assert decisions[first].reason == "won_after_alarm"
    assert 200 <= (first + 1) * SMALL <= 400
    assert reasons(decisions[:first]) == {"alarm"}
    assert reasons(decisions[first + 1 :]) == {"not_worse"}


@pytest.mark.parametrize("seed", range(5))
def test_burst_of_wrong_labels_never_reaches_the_answers(seed: int) -> None:
    stream = Stream(seed=seed)
    stream.feed(1_000, candidate=0.05, served=0.05)
    stream.gate.observe(
        candidate_loss_B=np.ones(SMALL), served_loss_B=np.ones(SMALL), baseline_loss_B={"last_label": np.ones(SMALL)}
    )
    stream.gate.alarm()
    burst = stream.feed(480, candidate=0.1, served=0.95)  # the learner has taken the flipped labels for a new concept
    assert reasons(burst) == {"alarm"}
    wrong = stream.feed(60, candidate=0.9, served=0.05)  # the labels are right again, the learner is not
    stream.gate.alarm()
    relearning = stream.feed(100, candidate=0.3, served=0.05)
    assert reasons(wrong + relearning) == {"alarm"}
    after = stream.feed(2_000, candidate=0.05, served=0.05)
    assert not after[0].publish
    assert after[-1].reason == "not_worse"
    first = next(decision for decision in after if decision.publish)
    assert first.reason in ("won_after_alarm", "stale")


def test_true_change_of_concept_goes_out_at_the_limit_of_rows_and_time_and_says_so() -> None:
    stream = Stream()
    stream.feed(1_000, candidate=0.05, served=0.05)
    stream.gate.alarm()
    assert reasons(stream.feed(1_500, candidate=0.05, served=0.6)) == {"alarm"}  # the rows have passed, the minutes have not
    stream.clock.now += 600.0
    decision = stream.feed(SMALL, candidate=0.05, served=0.6)[0]
    assert (decision.publish, decision.reason) == (True, "stale")
    assert decision.detail == "held for 1520 rows since an alarm, which is the limit: a new concept"
    assert reasons(stream.feed(200, candidate=0.05, served=0.05)) == {"not_worse"}


def test_minutes_alone_do_not_end_a_hold() -> None:
    stream = Stream()
    stream.feed(1_000, candidate=0.05, served=0.05)
    stream.gate.alarm()
    stream.clock.now += 10_000.0
    assert reasons(stream.feed(980, candidate=0.05, served=0.6)) == {"alarm"}
    assert stream.feed(SMALL, candidate=0.05, served=0.6)[0].reason == "stale"


def test_candidate_that_is_still_worse_at_the_limit_stays_held() -> None:
    stream = Stream()
    stream.feed(1_000, candidate=0.05, served=0.05)
    stream.gate.alarm()
    stream.clock.now += 600.0
    assert stream.feed(1_200, candidate=0.6, served=0.3)[-1].reason == "worse"


def test_without_losses_of_what_is_served_an_alarm_holds_until_its_limit() -> None:
    stream = Stream()
    one = np.zeros(SMALL)
    for _ in range(10):
        stream.gate.observe(candidate_loss_B=one, served_loss_B=None, baseline_loss_B={})
    assert stream.gate.decide(finite=True).reason == "not_worse"
    stream.gate.alarm()
    for _ in range(60):
        assert stream.gate.decide(finite=True).reason == "alarm"
        stream.gate.observe(candidate_loss_B=one, served_loss_B=None, baseline_loss_B={})
    stream.clock.now += 600.0
    assert stream.gate.decide(finite=True).reason == "stale"


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1e300])
def test_losses_that_are_no_numbers_count_as_huge(loss: float) -> None:
    gate = Gate()
    gate.published(decided_at=gate.rows)
    gate.observe(candidate_loss_B=np.full(20, loss), served_loss_B=np.ones(20), baseline_loss_B={})
    assert gate.decide(finite=True).reason == "worse"
    gate.observe(candidate_loss_B=np.full(480, loss), served_loss_B=np.full(480, loss), baseline_loss_B={})
    assert gate.decide(finite=True).reason == "worse"
    gate.observe(candidate_loss_B=np.ones(500), served_loss_B=np.full(500, loss), baseline_loss_B={})
    assert gate.decide(finite=True).publish


@pytest.mark.parametrize("alarm", [False, True])
def test_save_load_continue(alarm: bool) -> None:
    first, second = Stream(publish=False), Stream(publish=False)
    first.feed(700, candidate=0.1, served=0.1, slices=[{"country": "de", "size": "s"}] * SMALL)
    if alarm:
        first.gate.alarm()
        first.feed(120, candidate=0.1, served=0.1)
    state = first.gate.state_dict()
    arrays = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
    plain = json.loads(json.dumps({key: value for key, value in state.items() if key not in arrays}, allow_nan=False))
    second.gate.load_state_dict({**plain, **arrays})
    second.clock.now = first.clock.now
    first.rng, second.rng = np.random.default_rng(5), np.random.default_rng(5)
    assert first.feed(1_000, candidate=0.2, served=0.1) == second.feed(1_000, candidate=0.2, served=0.1)
    assert canonical(first.gate.state_dict()) == canonical(second.gate.state_dict())
