"""The rank windows of a table's columns, against sorting anew."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.learning.batch import Batch
from daemon.learning.features.hash_text import hash_text
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
    assert features.row.raw_N.tolist() == [5e6]
    features.encode(101)
    assert np.isnan(features.row.raw_N).all()


@pytest.mark.parametrize(("num_ones", "of_zero", "of_one"), [(1, 0.5, 0.975), (5, 0.4375, 0.875), (10, 0.25, 0.75)])
def test_the_watch_on_inputs_sees_ranks_but_of_what_a_column_nearly_always_has(
    num_ones: int, of_zero: float, of_one: float
) -> None:
    features = TableFeatures(window=20)
    rows: list[dict[str, float | str]] = [{"x": float(i < num_ones)} for i in range(20)]
    features.begin(Batch([""] * 24, [*rows, {"x": 0.0}, {"x": 1.0}, {"x": "blue"}, {}]))
    for row in range(20):
        features.encode(row)
        features.learn(0.0, 1.0)
    seen = []
    for row in range(20, 24):
        features.encode(row)
        seen.append(float(features.summary()[0]))
        assert np.isnan(features.summary()[1:]).all()
    assert seen[:3] == pytest.approx([of_zero, of_one, hash_text("x\0blue") / 2.0**64])
    assert np.isnan(seen[3])


def marks(features: TableFeatures, row: dict[str, float | str]) -> set[int]:
    features.begin(Batch([""], [row]))
    features.encode(0)
    found = set(features.row.marks_T.tolist())
    features.learn(0.0, 1.0)
    return found


def test_columns_that_are_new_rare_or_past_the_limit_are_marked() -> None:
    features = TableFeatures(max_columns=3)
    for _ in range(5):
        assert marks(features, {"a": 1.0}) == set()  # not in the first row either, of which all columns are new
    assert marks(features, {"a": 1.0, "b": 7.0, "c": "x"}) == {hash_text("b"), hash_text("c\0x")}
    assert marks(features, {"a": 1.0, "b": 7.0, "c": "x"}) == {hash_text("b")}  # missing in 5 rows, there in 1
    assert marks(features, {"a": 1.0, "b": 7.0, "d": 5.0}) == {hash_text("d")}  # there in 2
    assert marks(features, {"a": 1.0, "b": 7.0, "d": "y"}) == {hash_text("d\0y")}
