"""The rank windows of a table's columns, against sorting anew."""

from __future__ import annotations

import numpy as np

from daemon.learning.batch import Batch
from daemon.learning.features.table import TableFeatures


def test_ranks_are_those_among_the_last_values_whatever_left_the_window() -> None:
    """Ties, values below and above all others, and a window that was refilled several times."""
    features = TableFeatures(window=20)
    x_B = np.random.default_rng(3).integers(-8, 8, 200).astype(float)
    batch = Batch([""] * 200, [{"x": float(x)} for x in x_B])
    features.begin(batch)
    for row, x in enumerate(x_B):
        features.encode(row)
        last = x_B[max(0, row - 20) : row]
        if row:
            rank = ((last < x).sum() + 0.5 * (last == x).sum()) / len(last)
            assert features.current.values_D[1] == np.float32((rank - 0.5) * 12.0**0.5)
        features.learn(float(row % 2), 1.0)


def test_the_first_other_value_of_a_constant_column_is_read_and_an_absurd_one_is_not() -> None:
    features = TableFeatures()
    rows: list[dict[str, float | str]] = [{"x": 0.0}] * 100 + [{"x": 5e6}, {"x": 1e30}]
    features.begin(Batch([""] * 102, rows))
    for row in range(100):
        features.encode(row)
        features.learn(0.0, 1.0)
    features.encode(100)
    assert features.raw_N.tolist() == [5e6]
    features.encode(101)
    assert np.isnan(features.raw_N).all()
