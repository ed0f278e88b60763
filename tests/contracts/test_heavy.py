"""However heavy a row, what learned it stays finite and goes on learning.

1e12 is the most that a row counts: the largest weight that is decoded times the largest class weight.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from daemon.assembly import models
from daemon.learning.anchor import Anchor
from daemon.learning.batch import Batch
from daemon.learning.mixer import Mixer
from daemon.learning.regression_mixer import RegressionMixer
from daemon.learning.stale_prior import StalePrior
from daemon.settings import Settings
from daemon.storage.tensors import all_finite
from tests.contracts.expert_checks import Case, Runner
from tests.learning import test_regressors, test_tables
from tests.learning.experts import test_text_experts

CASES = [
    case
    for case in (*test_text_experts.CASES, *test_tables.CASES, *test_regressors.CASES)
    if case.name in ("all", "text and table")
]
BEYOND_ALL = (1e2, 1e4, 1e30)
WITHIN = (1e2, 1e4, 1e12)


@pytest.mark.parametrize("weight", BEYOND_ALL)
def test_the_mixer(weight: float) -> None:
    mixer = Mixer(num_experts=2, kept=(0.998,), shares=(1e-3, 1e-5), max_total=1.4, share_rate=0.25)
    right_first = np.array([[0.8, 0.2], [0.3, 0.7]])
    for target, row_weight in [(0, 1.0)] * 50 + [(1, weight)] + [(0, 1.0)] * 100:
        mixer.mix(right_first)
        mixer.learn(target, row_weight)
    assert all_finite(mixer.state_dict())
    assert mixer.expert_weights[0] > mixer.expert_weights[1]


@pytest.mark.parametrize("weight", BEYOND_ALL)
@pytest.mark.parametrize("target", [2.0, 20.0, 1e9])
def test_the_mixer_of_a_regression(target: float, weight: float) -> None:
    mixer, rng = RegressionMixer(num_experts=3), np.random.default_rng(0)
    for row in range(700):
        y = float(rng.normal())
        mixer.mix(np.array([0.0, y + 0.1, 0.5]))
        mixer.learn(target if row == 300 else y, weight if row == 300 else 1.0)
    assert all_finite(mixer.state_dict())
    assert mixer.expert_weights.argmax() == 1


@pytest.mark.parametrize("weight", BEYOND_ALL)
def test_the_anchor(weight: float) -> None:
    anchor, mixer = Anchor(make_experts=list), Mixer(num_experts=1)
    anchor.drop(experts=(), mixer=mixer, num_classes=1)
    answer_K, other_AK = np.array([0.9, 0.1]), np.array([[0.6, 0.4]])
    for target, row_weight, likelier in [(1, weight, 0.4), (0, weight, 0.9), (0, 1.0, 0.9)]:
        anchor.join(answer_K, other_AK)
        anchor.learn(target, row_weight, mixer)
        # Whoever gave more to a heavy row has all the weight but the half of a hundredth.
        assert anchor.join(answer_K, other_AK)[target] == pytest.approx(likelier, abs=0.01)


@pytest.mark.parametrize("weight", BEYOND_ALL)
def test_the_stale_prior(weight: float) -> None:
    prior = StalePrior()
    sure, unsure = np.array([0.9, 0.1, 0.0]), np.array([0.2, 0.8, 0.0])
    prior.learn(sure, unsure, 2, weight)
    assert prior.state_dict()["weight"] == pytest.approx(0.5)
    prior.learn(sure, unsure, 1, weight)
    assert 0.5 < prior.state_dict()["weight"] < 1.0


@pytest.mark.parametrize("weight", WITHIN)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_expert(case: Case, weight: float) -> None:
    runner, half, end = Runner(case), len(case.batch) // 2, len(case.batch)
    runner.learn(0, half)
    runner.learn(half, half + 1, weight=weight)
    for p_K in runner.learn(half + 1, end):
        assert np.isfinite(p_K).all()
    for expert in runner.experts:
        assert all_finite(expert.weights()), expert.name


def rows(task: str, num_rows: int, seed: int) -> tuple[Batch, np.ndarray]:
    rng = np.random.default_rng(seed)
    x_B, class_B = rng.normal(size=num_rows), (rng.random(num_rows) < 0.5) * 1.0
    if task == "classification":
        return Batch([""] * num_rows, [{"x": float(x)} for x in x_B + 4.0 * class_B]), class_B
    return Batch([""] * num_rows, [{"x": float(x)} for x in x_B]), 3.0 * x_B


@pytest.mark.parametrize("weight", WITHIN)
@pytest.mark.parametrize("kind", ["mixture", "linear"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_model_learns_on(task: str, kind: str, weight: float) -> None:
    """One heavy row that is wrong."""
    chosen = {"source": {"kind": "files", "paths": ["x"]}, "task": {"kind": task}}
    settings = Settings.model_validate(chosen | {"model": {"kind": kind, "inputs": "features", "encoder": "none"}})
    model = models.model(settings, encoder=models.NO_ENCODER, device=torch.device("cpu"))
    batch, target_B = rows(task, 200, 1)
    model.learn(batch, target_B, np.ones(200))
    batch, target_B = rows(task, 1, 2)
    model.learn(batch, 1.0 - target_B if task == "classification" else np.array([1000.0]), np.array([weight]))
    batch, target_B = rows(task, 300, 3)
    output = model.learn(batch, target_B, np.ones(300))
    assert np.isfinite(output).all()
    assert all_finite(model.weights())
    if kind == "mixture":  # a single linear model has nothing else to turn to
        wrong_B = output.argmax(axis=1) != target_B if task == "classification" else abs(output - target_B) > 2.0
        assert wrong_B[-100:].mean() < 0.25
