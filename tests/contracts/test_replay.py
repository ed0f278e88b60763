"""What every replay policy keeps to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from daemon import learning
from daemon.errors import StateError
from daemon.learning.batch import Batch
from daemon.learning.replay.balanced import Balanced
from daemon.learning.replay.base import Replay, Rows, num_rows, take
from daemon.learning.replay.none import NoReplay
from daemon.learning.replay.reservoir import Reservoir
from tests.contracts.discovery import classes_of, has_example
from tests.learning.tiny import tiny_bert
from tests.learning.transformers import transformer


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[int], Replay]
    """From a seed."""
    kept: int
    """Rows kept of 1,000."""
    sampled: int
    """Rows of a sample of 8."""


CASES = [
    Case("none", lambda seed: NoReplay(), kept=0, sampled=0),
    Case("reservoir", lambda seed: Reservoir(capacity=40, seed=seed), kept=40, sampled=8),
    Case("balanced", lambda seed: Balanced(capacity=40, recent_share=0.25, seed=seed), kept=40, sampled=8),
]
every_policy = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def stream(start: int, end: int) -> Rows:
    """Rows of three classes, the third rare and late; every column tells which row it came from."""
    number = np.arange(start, end)
    target = np.where((number > 500) & (number % 50 == 0), 2, number % 2).astype(np.float64)
    tokens = np.repeat(number[:, None], 4, axis=1).astype(np.int32)
    return {"tokens": tokens, "length": number % 4 + 1, "target": target, "weight": number / 1000}


def same_state(first: object, second: object) -> bool:
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same_state(first[key], second[key]) for key in first)
    return np.array_equal(np.asarray(first), np.asarray(second))


def test_every_policy_is_a_case() -> None:
    assert {type(case.make(0)) for case in CASES} == classes_of(Replay, learning)


@every_policy
def test_documented_example_is_there(case: Case) -> None:
    assert has_example(type(case.make(0)))


@every_policy
def test_memory_is_bounded(case: Case) -> None:
    replay = case.make(1)
    replay.update(stream(0, 500))
    before = replay.state_bytes()
    replay.update(stream(500, 1000))
    assert (len(replay), replay.state_bytes()) == (case.kept, before)
    assert len(replay) <= replay.capacity


@every_policy
def test_a_sample_is_whole_rows_and_the_same_for_the_same_ordinal(case: Case) -> None:
    replay = case.make(1)
    assert replay.sample(8, ordinal=0) == {}
    replay.update(stream(0, 1000))
    first = replay.sample(8, ordinal=3)
    assert num_rows(first) == case.sampled
    assert same_state(first, replay.sample(8, ordinal=3))
    if case.sampled:
        whole = take(stream(0, 1000), first["tokens"][:, 0].astype(np.intp))
        assert same_state(first, whole)
        assert not same_state(first, replay.sample(8, ordinal=4))


@every_policy
def test_a_sample_holds_no_more_than_is_kept(case: Case) -> None:
    replay = case.make(1)
    replay.update(stream(0, 3))
    assert num_rows(replay.sample(100, ordinal=0)) <= len(replay)


@every_policy
def test_sampling_changes_nothing(case: Case) -> None:
    replay = case.make(1)
    replay.update(stream(0, 100))
    before = replay.state_dict()
    for column in replay.sample(8, ordinal=0).values():
        column[:] = 0
    assert same_state(replay.state_dict(), before)


@every_policy
def test_cuts_of_the_stream_do_not_matter(case: Case) -> None:
    states = []
    for size in (1, 7, 1000):
        replay = case.make(1)
        for start in range(0, 1000, size):
            replay.update(stream(start, min(start + size, 1000)))
        states.append(replay.state_dict())
    assert same_state(states[0], states[1])
    assert same_state(states[0], states[2])


@every_policy
def test_reload_continues_identically(case: Case) -> None:
    first, second = case.make(1), case.make(1)
    first.update(stream(0, 300))
    first.prefer_recent()
    saved = first.state_dict()
    second.load_state_dict(saved)
    first.update(stream(300, 1000))
    second.update(stream(300, 1000))
    assert same_state(first.state_dict(), second.state_dict())
    assert same_state(first.sample(8, ordinal=5), second.sample(8, ordinal=5))
    third = case.make(1)
    third.update(stream(0, 300))
    third.prefer_recent()
    assert same_state(saved, third.state_dict()), "a saved state is a copy"


@every_policy
def test_another_seed_makes_other_choices(case: Case) -> None:
    first, second = case.make(1), case.make(2)
    first.update(stream(0, 1000))
    second.update(stream(0, 1000))
    assert same_state(first.state_dict(), second.state_dict()) == (case.kept == 0)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("encoder"), ["a row"])


@every_policy
def test_a_row_of_weight_zero_is_never_kept(case: Case, encoder: Path) -> None:
    texts, target_B = [f"row {i}" for i in range(30)], np.arange(30) % 2.0
    weight_B = np.where(np.arange(30) % 5 == 3, 0.0, 1.0)
    learned = np.flatnonzero(weight_B)
    told, spared = (transformer(encoder, replay=case.make(1), rows_per_step=4, replayed_per_step=4) for _ in range(2))
    told.learn(Batch(texts, [{}] * 30), target_B, weight_B)
    spared.learn(Batch([texts[i] for i in learned], [{}] * len(learned)), target_B[learned], np.ones(len(learned)))
    assert same_state(told.state_dict()["replay"], spared.state_dict()["replay"])
    assert (told.stats()["replay_rows"] > 0) == (case.kept > 0)


@every_policy
def test_a_weight_of_two_is_replayed_as_two_and_changes_no_choice(case: Case) -> None:
    once, twice, rows = case.make(1), case.make(1), stream(0, 1000)
    once.update(rows)
    twice.update({**rows, "weight": 2.0 * rows["weight"]})
    first, second = once.sample(8, ordinal=3), twice.sample(8, ordinal=3)
    assert num_rows(second) == case.sampled
    assert same_state(second, {name: column * (2.0 if name == "weight" else 1) for name, column in first.items()})


@every_policy
def test_a_state_that_does_not_fit_is_refused(case: Case) -> None:
    larger = {"reservoir": Reservoir(capacity=80, seed=1), "balanced": Balanced(capacity=80, recent_share=0.25, seed=1)}
    if case.name not in larger:
        pytest.skip("it keeps nothing")
    larger[case.name].update(stream(0, 1000))
    with pytest.raises(StateError, match="resume with the saved capacity"):
        case.make(1).load_state_dict(larger[case.name].state_dict())


@pytest.mark.parametrize("capacity", [0, -1])
def test_no_room_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Reservoir(capacity=capacity, seed=0)
    with pytest.raises(ValueError, match="at least 1"):
        Balanced(capacity=capacity, recent_share=0.5, seed=0)
