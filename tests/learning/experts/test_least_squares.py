"""Recursive least squares: what a weight and forgetting do to what it knows of its rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts.least_squares import LeastSquares

Floats = NDArray[np.float64]
RANDOM = np.random.default_rng(8)
ROWS_BF, TARGETS = RANDOM.normal(size=(30, 4)), RANDOM.normal(size=30)


def learned(*, forgetting: float, weights: list[float]) -> LeastSquares:
    """The first rows, and the one after them once for each weight."""
    squares = LeastSquares(num_features=4, num_outputs=1, forgetting=forgetting, ridge=0.5)
    for row, weight in [*((row, 1.0) for row in range(25)), *((25, weight) for weight in weights)]:
        squares.learn(ROWS_BF[row], TARGETS[row : row + 1] - squares.predict(ROWS_BF[row]), weight)
    return squares


def gram(squares: LeastSquares) -> Floats:
    """Σ weight · φφᵀ of its rows, as far as it remembers them, and the ridge."""
    state = squares.state_dict()
    inverse_FF = state["scale"] * (state["inverse"] - state["pending"].T @ state["pending"])
    return np.linalg.inv(inverse_FF)


def test_without_forgetting_a_weight_of_two_is_the_row_twice() -> None:
    double, twice = learned(forgetting=1.0, weights=[2.0]), learned(forgetting=1.0, weights=[1.0, 1.0])
    np.testing.assert_allclose(double.weight_KF, twice.weight_KF, rtol=1e-9)
    np.testing.assert_allclose(gram(double), gram(twice), rtol=1e-9)


def test_a_row_counts_its_weight_and_earlier_ones_are_forgotten_once() -> None:
    before = learned(forgetting=0.9, weights=[])
    x_F = ROWS_BF[25]
    for weight in (0.5, 1.0, 2.0):
        after = learned(forgetting=0.9, weights=[weight])
        np.testing.assert_allclose(gram(after), 0.9 * gram(before) + weight * np.outer(x_F, x_F), rtol=1e-9)
        # The exact fit: Gram · w = Σ weight · target · φ.
        expected = 0.9 * gram(before) @ before.weight_KF[0] + weight * TARGETS[25] * x_F
        np.testing.assert_allclose(gram(after) @ after.weight_KF[0], expected, rtol=1e-8)
