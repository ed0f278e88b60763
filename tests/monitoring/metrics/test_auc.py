from __future__ import annotations

import numpy as np
import pytest
from river import metrics as river_metrics

from daemon.monitoring.metrics.auc import BinaryScores, auc


def pairwise(targets: np.ndarray, scores: np.ndarray) -> float:
    positive, negative = scores[targets == 1], scores[targets == 0]
    gaps = positive[:, None] - negative[None, :]
    return float(((gaps > 0) + 0.5 * (gaps == 0)).mean())


def test_equals_the_count_over_all_pairs_ties_included() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(2, size=400)
    scores = np.round(rng.random(400) * 0.6 + targets * 0.3, 1)
    assert auc(targets, scores) == pytest.approx(pairwise(targets, scores), abs=1e-14)


def test_equals_rivers_to_its_bins() -> None:
    rng = np.random.default_rng(1)
    targets = rng.integers(2, size=2_000)
    scores = np.clip(rng.normal(0.4 + 0.2 * targets, 0.2), 0, 1)
    binned = river_metrics.ROCAUC(n_thresholds=500)
    for target, score in zip(targets.tolist(), scores.tolist(), strict=True):
        binned.update(bool(target), score)
    assert auc(targets, scores) == pytest.approx(binned.get(), abs=2e-3)


@pytest.mark.parametrize(
    ("targets", "scores", "expected"), [([], [], None), ([1, 1], [0.2, 0.3], None), ([0, 1], [0.5, 0.5], 0.5)]
)
def test_edges(targets: list[int], scores: list[float], expected: float | None) -> None:
    assert auc(targets, scores) == expected


def test_collection_survives_the_second_class_and_ends_at_the_third() -> None:
    collected = BinaryScores()
    collected.extend(np.array([0.0]), np.array([[0.0]]))
    collected.extend(np.array([1.0, 0.0, np.nan]), np.array([[1.0, 0.0], [0.3, 0.7], [0.5, 0.5]]))
    assert collected.auc() == 0.25  # positive row scored 0 against negatives of 0 and .7
    reloaded = BinaryScores()
    reloaded.load_state_dict(collected.state_dict())
    assert reloaded.auc() == 0.25
    collected.extend(np.array([2.0]), np.array([[0.2, 0.8, 0.0]]))
    collected.extend(np.array([1.0]), np.array([[0.2, 0.8]]))
    assert collected.auc() is None
