from __future__ import annotations

import numpy as np
import pytest

from daemon.learning.replay.balanced import Balanced
from daemon.learning.replay.base import Rows, concatenate
from daemon.learning.replay.reservoir import Reservoir


def numbered(target: list[int], start: int = 0) -> Rows:
    return {"target": np.array(target, np.float64), "number": np.arange(start, start + len(target))}


def test_the_reservoir_keeps_early_and_late_rows_alike() -> None:
    # 400 seeds, each keeping 15 of 40 rows: a row is kept 150 times, standard deviation 9.7.
    kept_N = np.zeros(40)
    for seed in range(400):
        replay = Reservoir(capacity=15, seed=seed)
        replay.update(numbered([0] * 40))
        kept_N[replay.state_dict()["rows"]["number"]] += 1
    assert kept_N.sum() == 400 * 15
    assert np.abs(kept_N - 150).max() < 4 * 9.7
    quarters = kept_N.reshape(4, 10).mean(axis=1) / 400
    assert quarters == pytest.approx([0.375] * 4, abs=0.02)


def test_a_sample_of_the_reservoir_is_uniform() -> None:
    replay = Reservoir(capacity=10, seed=0)
    replay.update(numbered([0] * 10))
    drawn = np.concatenate([replay.sample(3, ordinal)["number"] for ordinal in range(1000)])
    # Each of 10 rows is in 300 of 1,000 samples, standard deviation 14.5.
    assert np.abs(np.bincount(drawn, minlength=10) - 300).max() < 4 * 14.5


def test_balanced_keeps_a_rare_class_whole_and_common_ones_in_equal_parts() -> None:
    replay = Balanced(capacity=80, recent_share=0.25, seed=0)
    generator = np.random.default_rng(0)
    target = generator.choice([0, 1, 2], 3000, p=[0.798, 0.2, 0.002])
    replay.update(numbered(target.tolist()))
    rare = int((target == 2).sum())
    assert rare == 4
    assert replay.class_counts() == {0: 28, 1: 28, 2: 4}


def test_balanced_keeps_a_uniform_sample_of_a_common_class() -> None:
    # Rows of one class that is among the largest are kept alike, early or late: 20 of 100, standard deviation 8 of 400 seeds.
    kept_N = np.zeros(100)
    for seed in range(400):
        replay = Balanced(capacity=21, recent_share=0.05, seed=seed)
        replay.update(numbered([0] * 100))
        kept_N[replay.state_dict()["balanced"]["number"]] += 1
    assert kept_N.sum() == 400 * 20
    assert kept_N.reshape(4, 25).mean(axis=1) == pytest.approx([80.0] * 4, abs=4.0)


def test_a_balanced_sample_takes_turns_between_the_classes() -> None:
    replay = Balanced(capacity=100, recent_share=0.2, seed=0)
    replay.update(numbered([0] * 500 + [1] * 3 + [2] * 497))
    counts = [np.bincount(replay.sample(15, ordinal)["target"].astype(int), minlength=3) for ordinal in range(50)]
    # 3 of 15 come from the ring, which by then holds class 2 alone; the other 12 are 4, 3 (all there are) and 4 + 1 more.
    assert {tuple(count) for count in counts} == {(5, 3, 7), (4, 3, 8)}


def test_after_a_drift_only_recent_rows_are_replayed_until_the_ring_has_turned_over() -> None:
    replay = Balanced(capacity=40, recent_share=0.25, seed=0)
    replay.update(numbered([0] * 100))
    replay.prefer_recent()
    assert replay.sample(8, 0)["number"].min() >= 90
    replay.update(numbered([1] * 9, start=100))
    assert replay.sample(8, 1)["number"].min() >= 99
    replay.update(numbered([1], start=109))
    assert replay.sample(8, 2)["number"].min() < 99


def test_no_rows_are_no_rows() -> None:
    rows = numbered([1, 2])
    assert concatenate({}, rows)["target"].tolist() == [1, 2]
    assert concatenate(rows, numbered([]))["target"].tolist() == [1, 2]
    assert concatenate(numbered([]), {}) == {}
    assert concatenate(rows, rows)["target"].tolist() == [1, 2, 1, 2]
