from __future__ import annotations

import numpy as np
import pytest

from daemon.monitoring.paired import significantly_above_zero


@pytest.mark.parametrize("seed", [0, 1])
def test_equal_predictors_are_called_worse_no_more_often_than_alpha(seed: int) -> None:
    rng = np.random.default_rng(seed)
    difference_TN = (rng.random((20_000, 60)) < 0.2).astype(float) - (rng.random((20_000, 60)) < 0.2)
    share = np.mean([significantly_above_zero(row_N, alpha=0.05) for row_N in difference_TN])
    assert 0 < share <= 0.05


def test_heavy_tails_do_not_raise_the_error_rate() -> None:
    difference_TN = np.random.default_rng(2).standard_cauchy((20_000, 30))
    assert np.mean([significantly_above_zero(row_N, alpha=0.05) for row_N in difference_TN]) <= 0.05


def test_one_huge_loss_proves_nothing_and_ten_prove_much() -> None:
    assert not significantly_above_zero(np.array([1e100, -0.1, 0.2]), alpha=0.05)
    assert significantly_above_zero(np.full(10, 1e100), alpha=0.01)
    assert not significantly_above_zero(np.full(9, 1e100), alpha=0.01)


def test_a_real_loss_of_ten_points_is_seen_within_500_rows() -> None:
    rng = np.random.default_rng(3)
    found = [
        significantly_above_zero((rng.random(500) < 0.2).astype(float) - (rng.random(500) < 0.1), alpha=0.01)
        for _ in range(200)
    ]
    assert np.mean(found) > 0.8


def test_no_difference_and_no_rows_are_not_worse() -> None:
    assert not significantly_above_zero(np.zeros(500), alpha=0.5)
    assert not significantly_above_zero(np.empty(0), alpha=0.5)
