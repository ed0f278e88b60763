"""The served weights are scored beside the learner: on rows they never learned, and for little of the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.guard import SAVED_S, SHARE, SHARE_HELD, GateGuard
from daemon.learning.experts.prior import DecayedPrior
from daemon.learning.learner import Learner
from daemon.learning.mixer import Mixer
from daemon.learning.models.mixture import Mixture
from daemon.learning.tasks.classification import Classification
from daemon.monitoring.evaluation import Evaluation
from daemon.monitoring.gate import Gate
from daemon.storage.tensors import host_copy
from streams.record import Example
from tests.monitoring.test_health import Clock

Floats = NDArray[np.float64]


class Listening(Gate):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.served: list[list[float] | None] = []
        self.told: list[int] = []

    def observe(
        self,
        *,
        candidate_loss_B: Floats,
        served_loss_B: Floats | None,
        baseline_loss_B: Mapping[str, Floats],
        slices: Sequence[Mapping[str, str]] | None = None,
    ) -> None:
        self.served.append(None if served_loss_B is None else served_loss_B.tolist())
        super().observe(
            candidate_loss_B=candidate_loss_B, served_loss_B=served_loss_B, baseline_loss_B=baseline_loss_B, slices=slices
        )

    def published(self, *, decided_at: int) -> None:
        self.told.append(self.rows)
        super().published(decided_at=decided_at)


class House:
    """A learner that follows the labels' shares, under a guard."""

    def __init__(self, *, cost_s: float = 0.0) -> None:
        self.clock, self.gate = Clock(), Listening()
        self.learner = Learner(task=Classification(max_labels=10), model=self.model())
        self.evaluation = Evaluation(task="classification", detectors={}, window_rows=100)
        clock = self.clock

        class Costly(Mixture):
            def predict(self, batch: object) -> Floats:
                clock.now += cost_s
                return super().predict(batch)  # type: ignore[arg-type] # it reads the length alone

        self.guard = GateGuard(gate=self.gate, make_model=lambda: self.model(Costly), task="classification", clock=clock)

    @staticmethod
    def model(kind: type[Mixture] = Mixture) -> Mixture:
        return kind(extractors={}, experts=[DecayedPrior(half_life=8.0, pseudo_count=0.1)], mixer=Mixer(num_experts=1))

    def feed(self, *labels: str) -> None:
        examples = [Example(id=str(i), text="", features={}, target=label) for i, label in enumerate(labels)]
        scored = self.learner.learn(examples)
        alarms = self.evaluation.observe(scored)
        self.guard.observe(examples, scored, evaluation=self.evaluation, alarms=alarms)

    def publish(self) -> None:
        assert self.guard.decide(finite=True).publish
        self.guard.serve(host_copy(self.learner.model.weights()), rows=self.evaluation.rows)


def test_nothing_is_scored_until_something_is_served() -> None:
    house = House()
    house.feed("a", "a")
    assert house.gate.served == [None]


def test_what_is_served_does_not_move_with_the_learner() -> None:
    house = House()
    house.feed(*"aaaaaaaa")
    house.publish()
    house.feed(*"bbbbbbbbbbbbbbbb")
    house.feed(*"bbaa")
    assert house.gate.served[1:] == [[1.0] * 16, [1.0, 1.0, 0.0, 0.0]]
    assert house.evaluation.loss_B.tolist() == [0.0, 0.0, 1.0, 1.0]


def test_a_restart_scores_the_served_weights_on_no_row_that_they_have_learned() -> None:
    before = House()
    before.feed(*"aabb")
    checkpoint = before.guard.state_dict()
    before.feed(*"aabb")
    before.publish()
    after = House()
    after.feed(*"aabb")
    after.guard.load_state_dict(checkpoint)
    after.guard.serve(before.learner.model.weights(), rows=8)
    after.feed(*"aabb")
    assert after.gate.told == []
    after.feed(*"aa")
    assert after.gate.told == [8]
    assert [served is not None for served in after.gate.served] == [False, False, True]


def scored_and_elapsed_s(house: House) -> tuple[float, float]:
    """Seconds of scoring, of which each row costs one, while a row comes every half a second."""
    began = house.clock.now
    for _ in range(400):
        house.clock.now += 0.5
        house.feed("a")
    return sum(served is not None for served in house.gate.served) * 1.0, house.clock.now - began


def test_scoring_takes_its_share_of_the_time_and_no_more() -> None:
    house = House(cost_s=1.0)
    house.feed("a", "a")
    house.publish()
    scored_s, elapsed_s = scored_and_elapsed_s(house)
    assert 0.9 * SHARE * elapsed_s <= scored_s <= SHARE * elapsed_s + SAVED_S + 1.0


def test_while_an_alarm_holds_publishing_scoring_takes_more_of_the_time() -> None:
    house = House(cost_s=1.0)
    house.feed("a", "a")
    house.publish()
    house.feed("a")
    house.gate.alarm()
    scored_s, elapsed_s = scored_and_elapsed_s(house)
    assert 2 * SHARE * elapsed_s < scored_s <= SHARE_HELD * elapsed_s + SAVED_S + 1.0


def test_a_decision_does_not_outlive_an_alarm() -> None:
    house = House()
    house.feed("a", "a")
    house.publish()
    house.feed("a", "a")
    assert house.guard.decide(finite=True).publish
    assert house.guard.stands()
    house.feed("a")
    house.gate.alarm()
    assert not house.guard.stands()
    house.guard.serve(house.learner.model.weights(), rows=4)
    house.feed("a")
    assert house.guard.decide(finite=True).reason == "alarm"


def test_an_alarm_holds_though_a_snapshot_from_before_it_comes_to_answer_after_it() -> None:
    house = House()
    house.feed("a", "a")
    house.publish()
    house.feed("a", "a")
    assert house.guard.decide(finite=True).publish
    house.feed("b")
    house.gate.alarm()
    # Its files were in place before the alarm, and the loop hears of that now.
    house.guard.serve(house.learner.model.weights(), rows=4)
    assert house.guard.decide(finite=True).reason == "alarm"
    house.feed("b")
    assert house.guard.decide(finite=True).reason == "alarm"
