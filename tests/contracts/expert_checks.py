"""What every extractor and expert must hold, as functions over a `Case`; the tests of each area run them over their pools.

@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_contract(case: Case, check: Callable[[Case], None]) -> None:
    check(case)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert, Extractor
from daemon.state import State

Floats = NDArray[np.float64]
Pool = tuple[Sequence[Extractor], Sequence[Expert]]


@dataclass(frozen=True)
class Case:
    """A pool and rows for it. Experts that others read come first; labels must first appear in the order 0, 1, 2 …"""

    name: str
    make: Callable[[], Pool]
    batch: Batch
    target_B: Floats
    is_classification: bool = True

    def __str__(self) -> str:
        return self.name


class Runner:
    """Drives a pool as the mixture does, without the mixer."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.extractors, self.experts = case.make()
        self.num_classes = 0

    def learn(self, start: int, stop: int, *, weight: float = 1.0) -> list[Floats]:
        """Predict, then learn rows [start, stop); returns what was predicted, by row and expert."""
        self._begin(start, stop)
        predicted = []
        for row in range(stop - start):
            predicted += self._predict_row(row)
            target = float(self.case.target_B[start + row])
            if self.case.is_classification and weight > 0.0:
                self.grow_to(int(target) + 1)
            for expert in self.experts:
                expert.learn(target, weight)
            for extractor in self.extractors:
                extractor.learn(target, weight)
        return predicted

    def predict(self, start: int, stop: int) -> list[Floats]:
        self._begin(start, stop)
        return [p for row in range(stop - start) for p in self._predict_row(row)]

    def grow_to(self, num_classes: int) -> None:
        while self.num_classes < num_classes:
            for expert in self.experts:
                expert.grow()
            self.num_classes += 1

    def _begin(self, start: int, stop: int) -> None:
        batch = Batch(self.case.batch.texts[start:stop], self.case.batch.features[start:stop])
        for part in (*self.extractors, *self.experts):
            part.begin(batch)

    def _predict_row(self, row: int) -> list[Floats]:
        for extractor in self.extractors:
            extractor.encode(row)
        return [expert.predict().copy() for expert in self.experts]

    def state(self) -> State:
        return {
            "extractors": {str(i): extractor.state_dict() for i, extractor in enumerate(self.extractors)},
            "experts": {expert.name: expert.state_dict() for expert in self.experts},
        }

    def load(self, state: State, *, num_classes: int) -> None:
        self.num_classes = num_classes
        for i, extractor in enumerate(self.extractors):
            extractor.load_state_dict(state["extractors"][str(i)])
        for expert in self.experts:
            expert.load_state_dict(state["experts"][expert.name])

    def load_weights_of(self, other: Runner) -> None:
        for mine, theirs in zip((*self.extractors, *self.experts), (*other.extractors, *other.experts), strict=True):
            mine.load_weights(theirs.weights())


def assert_same_state(one: State, two: State, where: str = "state") -> None:
    """Equal bit for bit, dtypes and shapes included."""
    assert one.keys() == two.keys(), where
    for key, value in one.items():
        other, place = two[key], f"{where}.{key}"
        if isinstance(value, dict):
            assert_same_state(value, other, place)
        elif isinstance(value, np.ndarray):
            assert value.dtype == other.dtype, place
            assert value.shape == other.shape, place
            assert value.tobytes() == other.tobytes(), place
        else:
            assert value == other, place


def states_differ(one: State, two: State) -> bool:
    try:
        assert_same_state(one, two)
    except AssertionError:
        return True
    return False


def check_predictions_are_distributions(case: Case) -> None:
    runner = Runner(case)
    for p_K in runner.learn(0, len(case.batch)):
        assert p_K.dtype == np.float64
        assert np.isfinite(p_K).all()
        if case.is_classification:
            assert (p_K > 0.0).all()
            assert abs(p_K.sum() - 1.0) < 1e-9
    if case.is_classification:
        assert runner.num_classes == int(case.target_B.max()) + 1
        assert all(len(p_K) == runner.num_classes + 1 for p_K in runner.predict(0, 1))


def check_saved_and_loaded_it_goes_on_identically(case: Case) -> None:
    half, end = len(case.batch) // 2, len(case.batch)
    whole, resumed = Runner(case), Runner(case)
    whole.learn(0, half)
    resumed.load(whole.state(), num_classes=whole.num_classes)
    first, second = whole.learn(half, end), resumed.learn(half, end)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True))
    assert_same_state(whole.state(), resumed.state())


def check_a_state_is_a_copy(case: Case) -> None:
    """A checkpoint is written beside learning: what `state_dict` returned must not move on."""
    half = len(case.batch) // 2
    runner, witness = Runner(case), Runner(case)
    runner.learn(0, half)
    witness.learn(0, half)
    saved = runner.state()
    runner.learn(half, len(case.batch))
    assert_same_state(saved, witness.state())
    fresh = Runner(case)
    fresh.load(saved, num_classes=witness.num_classes)
    fresh.learn(half, len(case.batch))
    assert_same_state(saved, witness.state())


def check_weight_zero_changes_nothing(case: Case) -> None:
    half = len(case.batch) // 2
    runner = Runner(case)
    runner.learn(0, half)
    before = runner.state()
    runner.learn(0, half, weight=0.0)
    assert_same_state(before, runner.state())


def check_predicting_changes_nothing(case: Case) -> None:
    half, end = len(case.batch) // 2, len(case.batch)
    quiet, asked = Runner(case), Runner(case)
    quiet.learn(0, half)
    asked.learn(0, half)
    asked.predict(0, end)
    assert_same_state(quiet.state(), asked.state())
    quiet.learn(half, end)
    asked.learn(half, end)
    assert_same_state(quiet.state(), asked.state())


def check_weights_alone_answer_identically(case: Case) -> None:
    half, end = len(case.batch) // 2, len(case.batch)
    learner, server = Runner(case), Runner(case)
    learner.learn(0, half)
    server.load_weights_of(learner)
    first, second = learner.predict(half, end), server.predict(half, end)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True))


def check_the_cut_changes_nothing_but_rounding(case: Case) -> None:
    end = len(case.batch)
    one_by_one, whole = Runner(case), Runner(case)
    singles = [p for row in range(end) for p in one_by_one.learn(row, row + 1)]
    for a, b in zip(singles, whole.learn(0, end), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def check_a_new_label_takes_half_of_the_spare(case: Case) -> None:
    """Where a class is grown, it and the fresh spare predict alike: the class inherited the spare."""
    if not case.is_classification:
        return
    runner = Runner(case)
    runner.learn(0, len(case.batch))
    runner.grow_to(runner.num_classes + 1)
    for p_K in runner.predict(0, len(case.batch)):
        assert len(p_K) == runner.num_classes + 1
        np.testing.assert_allclose(p_K[-2], p_K[-1], rtol=1e-6)


CHECKS: tuple[Callable[[Case], None], ...] = (
    check_predictions_are_distributions,
    check_saved_and_loaded_it_goes_on_identically,
    check_a_state_is_a_copy,
    check_weight_zero_changes_nothing,
    check_predicting_changes_nothing,
    check_weights_alone_answer_identically,
    check_the_cut_changes_nothing_but_rounding,
    check_a_new_label_takes_half_of_the_spare,
)
