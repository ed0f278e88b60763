from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from daemon.monitoring.baseline import Baseline
from daemon.monitoring.baselines import classification_baselines, regression_baselines
from daemon.monitoring.label_baselines import DecayedPrior, LastLabel, Majority
from daemon.monitoring.metrics.tally import NO_ANSWER, UNKNOWN
from tests.contracts.expert_checks import assert_same_state

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def test_before_any_label_no_class_is_answered_and_the_first_value_is_zero() -> None:
    assert [it.predict() for it in classification_baselines().values()] == [NO_ANSWER] * 3
    assert [it.predict() for it in regression_baselines().values()] == [0.0, 0.0]


def test_decayed_prior_equals_decaying_every_count() -> None:
    labels = np.random.default_rng(0).integers(5, size=20_000).tolist()
    decay = 2 ** (-1 / 32)
    mass = np.zeros(5)
    prior = DecayedPrior()
    for label in labels:
        if mass.min() > 0:
            expected = (mass + 0.5) / (mass.sum() + 2.5)
            assert prior.predict() == int(mass.argmax())
            assert prior.probability(label) == pytest.approx(expected[label], rel=1e-9)
        prior.learn(label)
        mass *= decay
        mass[label] += 1


def test_the_last_label_and_the_majority_give_what_they_have_counted() -> None:
    random = np.random.default_rng(4)
    labels = np.repeat(random.integers(4, size=400), random.integers(1, 4, size=400)).tolist()
    labels = [list(dict.fromkeys(labels)).index(label) for label in labels]
    last, majority = LastLabel(), Majority()
    for row, label in enumerate(labels):
        before = labels[:row]
        count_C = np.bincount(before, minlength=1) + 0.5
        if len(count_C) > 1:
            stays = (sum(one == two for one, two in pairwise(before)) + 0.5) / row
            others_C = np.where(np.arange(len(count_C)) == before[-1], 0.0, count_C)
            expected_C = (1.0 - stays) * others_C / others_C.sum()
            expected_C[before[-1]] = stays
            assert last.predict() == before[-1]
            assert [last.probability(k) for k in range(len(count_C))] == pytest.approx(expected_C)
            assert majority.predict() in np.flatnonzero(count_C == count_C.max())
            assert [majority.probability(k) for k in range(len(count_C))] == pytest.approx(count_C / count_C.sum())
        last.learn(label)
        majority.learn(label)


def test_of_labels_each_gives_those_that_it_knows_all_and_others_nothing() -> None:
    for baseline in classification_baselines().values():
        assert (baseline.probability(0), baseline.probability(UNKNOWN)) == (0.0, 0.0)
        baseline.learn(0.0)
        assert (baseline.probability(0), baseline.probability(1)) == (1.0, 0.0)
        for label in (1.0, 1.0, 2.0):
            baseline.learn(label)
        assert sum(map(baseline.probability, range(3))) == pytest.approx(1.0)
        assert (baseline.probability(3), baseline.probability(UNKNOWN)) == (0.0, 0.0)


@pytest.mark.parametrize("make", [classification_baselines, regression_baselines])
def test_save_load_continue(make: Callable[[], dict[str, Baseline]]) -> None:
    targets = np.random.default_rng(2).integers(4, size=3_000).tolist()
    for name, first in make().items():
        second = make()[name]
        for target in targets[:1_500]:
            first.learn(float(target))
        second.load_state_dict(first.state_dict())
        for target in targets[1_500:]:
            assert first.predict() == second.predict()
            assert first.probability(target) == second.probability(target)
            first.learn(float(target))
            second.learn(float(target))


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("make", [classification_baselines, regression_baselines])
def test_following_is_predicting_and_learning_row_by_row(make: Callable[[], dict[str, Baseline]], size: int) -> None:
    random = np.random.default_rng(3)
    arrived_N = np.minimum(random.integers(6, size=5_000), np.arange(5_000) // 500).astype(np.float64)
    target_N, is_learned_N = np.roll(arrived_N, -3), random.random(5_000) < 0.9
    target_N[::50] = UNKNOWN
    for name, one in make().items():
        batch, expected = make()[name], []
        for target, arrived, is_learned in zip(target_N.tolist(), arrived_N.tolist(), is_learned_N.tolist(), strict=True):
            p = (one.probability(int(target)), one.probability(1)) if one.has_probabilities else (0.0, 0.0)
            expected.append((one.predict(), *p))
            if is_learned:
                one.learn(arrived)
        pieces = [
            batch.follow(target_N[i : i + size], arrived_N[i : i + size], is_learned_N[i : i + size])
            for i in range(0, len(target_N), size)
        ]
        assert np.concatenate([np.stack(piece, axis=1) for piece in pieces]).tolist() == [list(row) for row in expected], name
        assert_same_state(batch.state_dict(), one.state_dict())


def errors(labels: list[str], name: str) -> int:
    index: dict[str, int] = {}
    baseline = classification_baselines()[name]
    num_errors = 0
    for label in labels:
        target = index.setdefault(label, len(index))
        num_errors += baseline.predict() != target
        baseline.learn(float(target))
    return num_errors


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded streams are not on this machine")
@pytest.mark.parametrize(("stream", "name", "expected"), [("spam", "last_label", 783), ("elec2", "last_label", 6_648)])
def test_known_figures_of_recorded_streams(stream: str, name: str, expected: int) -> None:
    # The first row, to which there is no answer yet, is an error: Elec2 changes its label 6,647 times.
    if stream == "spam":
        with gzip.open(DATA / "spamassassin_chrono.jsonl.gz", "rt") as lines:
            labels = [json.loads(line)["label"] for line in lines]
    else:
        with gzip.open(DATA / "elec2.csv.gz", "rt") as lines:
            labels = [row["up"] for row in csv.DictReader(lines)]
    assert errors(labels, name) == expected
