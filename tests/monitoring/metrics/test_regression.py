from __future__ import annotations

import math

import numpy as np
import pytest
from river import metrics as river_metrics

from daemon.monitoring.metrics.regression import RegressionMetrics


def test_figures_equal_rivers() -> None:
    rng = np.random.default_rng(0)
    metrics = RegressionMetrics(window_rows=10)
    mae, rmse = river_metrics.MAE(), river_metrics.RMSE()
    for target, answer in rng.normal(size=(500, 2)).tolist():
        metrics.update(target, answer, 0.0)
        mae.update(target, answer)
        rmse.update(target, answer)
    figures = metrics.since_start()
    assert figures["mae"] == pytest.approx(mae.get(), rel=1e-12)
    assert figures["rmse"] == pytest.approx(rmse.get(), rel=1e-12)


def test_window_forgets_old_rows_without_leaving_rounding() -> None:
    metrics = RegressionMetrics(window_rows=3)
    for error in (1e16, 0.1, 0.2, 0.3):
        metrics.update(error, 0.0, 0.0)
    assert metrics.window()["mae"] == math.fsum((0.1, 0.2, 0.3)) / 3


@pytest.mark.parametrize("answer", [math.nan, math.inf, -math.inf, 1e200])
def test_wild_answer_is_counted_and_blinds_nothing(answer: float) -> None:
    metrics = RegressionMetrics(window_rows=3)
    assert metrics.update_all(np.zeros(1), np.array([answer]), np.zeros(1)) == [math.inf]
    metrics.update(2.0, 0.0, 0.0)
    assert metrics.since_start() == {"examples": 2, "nonfinite": 1, "mae": 2.0, "rmse": 2.0}


def test_save_load_continue() -> None:
    rows = np.random.default_rng(1).normal(size=(200, 2)).tolist()
    first, second = RegressionMetrics(window_rows=20), RegressionMetrics(window_rows=20)
    for target, answer in rows[:90]:
        first.update(target, answer, 0.0)
    second.load_state_dict(first.state_dict())
    for target, answer in rows[90:]:
        assert first.update(target, answer, 0.0) == second.update(target, answer, 0.0)
    assert (first.since_start(), first.window()) == (second.since_start(), second.window())
