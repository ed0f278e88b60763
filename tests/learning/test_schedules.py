from __future__ import annotations

from typing import Literal, get_args, get_type_hints

import pytest

from daemon.errors import StateError
from daemon.learning import schedules
from daemon.learning.schedules import Schedule, constant, cosine, linear_warmup
from tests.contracts.discovery import has_example

DECAYS = ("constant", "cosine")


def test_every_schedule_is_tested_here_and_has_an_example() -> None:
    found = {value for value in vars(schedules).values() if getattr(value, "__module__", "") == schedules.__name__}
    assert found == {constant, linear_warmup, cosine, Schedule}
    assert all(has_example(value) for value in found)
    assert get_args(get_type_hints(Schedule.__init__)["decay"]) == DECAYS


def test_every_step_of_the_multipliers() -> None:
    assert [constant(step) for step in range(3)] == [1.0, 1.0, 1.0]
    assert [linear_warmup(step, num_warmup_steps=4) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert [linear_warmup(step, num_warmup_steps=0) for step in range(2)] == [1.0, 1.0]
    expected = [1.0, 0.8535533905932737, 0.5, 0.14644660940672627, 0.0, 0.0]
    assert [cosine(step, num_steps=4, floor=0.0) for step in range(6)] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ("constant", [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]),
        ("cosine", [1.0, 2.0, 2.0, 1.75, 1.25, 1.0, 1.0]),
    ],
)
def test_every_step_of_a_schedule(decay: Literal["constant", "cosine"], expected: list[float]) -> None:
    schedule = Schedule(learning_rate=2.0, num_warmup_steps=2, decay=decay, num_decay_steps=3, floor=0.5)
    assert [schedule.rate(step) for step in range(7)] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("decay", DECAYS)
def test_re_warming_starts_the_course_again(decay: Literal["constant", "cosine"]) -> None:
    schedule = Schedule(learning_rate=2.0, num_warmup_steps=2, decay=decay, num_decay_steps=3, floor=0.5)
    first = [schedule.rate(step) for step in range(7)]
    for _ in range(10):
        schedule.advance()
    schedule.rewarm()
    assert [schedule.rate(step) for step in range(10, 17)] == first


def test_a_new_base_rate_counts_from_the_next_step() -> None:
    schedule = Schedule(learning_rate=1.0)
    schedule.set_rate(0.5)
    assert schedule.rate(schedule.step) == 0.5


@pytest.mark.parametrize("decay", DECAYS)
def test_reload_goes_on(decay: Literal["constant", "cosine"]) -> None:
    first = Schedule(learning_rate=1.0, num_warmup_steps=4, decay=decay, num_decay_steps=6)
    for _ in range(3):
        first.advance()
    first.rewarm()
    first.set_rate(0.25)
    first.advance()
    second = Schedule(learning_rate=1.0, num_warmup_steps=4, decay=decay, num_decay_steps=6)
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == {"learning_rate": 0.25, "step": 4, "rewarmed_at": 3}
    assert second.rate(second.step) == first.rate(first.step) == 0.125
    assert [second.rate(step) for step in range(4, 20)] == [first.rate(step) for step in range(4, 20)]


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_no_rate_is_refused_and_changes_nothing(rate: float, decay: Literal["constant", "cosine"]) -> None:
    with pytest.raises(ValueError, match="must be positive and finite"):
        Schedule(learning_rate=rate, decay=decay)
    schedule = Schedule(learning_rate=0.5, decay=decay)
    schedule.advance()
    before = schedule.state_dict()
    with pytest.raises(ValueError, match="must be positive and finite"):
        schedule.set_rate(rate)
    with pytest.raises(StateError, match="must be positive and finite"):
        schedule.load_state_dict({"learning_rate": rate, "step": 7, "rewarmed_at": 7})
    assert schedule.state_dict() == before


def test_a_state_that_does_not_fit_is_refused() -> None:
    with pytest.raises(StateError, match="use the checkpoint before it"):
        Schedule(learning_rate=1.0).load_state_dict({"learning_rate": 1.0, "step": 3})


def test_lengths_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="num_decay_steps=0 >= 1"):
        Schedule(learning_rate=1.0, num_decay_steps=0)


@pytest.mark.parametrize("floor", [-0.1, 1.1, float("nan")])
def test_a_floor_that_is_no_share_is_refused(floor: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Schedule(learning_rate=1.0, floor=floor)
