"""Trees of a forest: what they split by, what a leaf says, and what they stand."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.learning.batch import Batch
from daemon.learning.experts.forest import Forest
from daemon.learning.features.table import TableFeatures
from tests.contracts.expert_checks import assert_same_state

Row = dict[str, float | str]


class Table:
    """A forest on its own table, fed row by row."""

    def __init__(self, *, num_classes: int, num_trees: int = 32, memory: int = 2000) -> None:
        self.features = TableFeatures()
        self.forest = Forest(name="forest", table=self.features, seed=1, num_trees=num_trees, memory=memory)
        for _ in range(num_classes):
            self.forest.grow()

    def predict(self, row: Row) -> list[float]:
        self.features.begin(Batch([""], [row]))
        self.features.encode(0)
        return [float(p) for p in self.forest.predict()]

    def learn(self, row: Row, label: int, weight: float = 1.0) -> bool:
        """Learn a row; returns whether it was told right before."""
        p_K = self.predict(row)
        self.forest.learn(float(label), weight)
        self.features.learn(float(label), weight)
        return int(np.argmax(p_K[:-1])) == label


def test_it_finds_what_no_single_column_tells() -> None:
    random = np.random.default_rng(3)
    table = Table(num_classes=2)
    right = []
    for _ in range(600):
        x, y = random.uniform(-1, 1, size=2)
        right.append(table.learn({"x": float(x), "y": float(y)}, int(x * y > 0)))
    assert np.mean(right[300:]) > 0.9


def test_equal_rows_are_told_by_their_shares() -> None:
    table = Table(num_classes=2)
    for i in range(400):
        table.learn({"x": 1.0}, int(i % 4 == 0))
    no, yes, spare = table.predict({"x": 1.0})
    assert yes == pytest.approx(0.25, abs=0.05)
    assert no + yes > 0.99 > spare


def test_a_weight_counts_as_that_many_rows() -> None:
    table = Table(num_classes=2, num_trees=1)
    for _ in range(2):
        table.learn({"x": 1.0}, 0)
    table.learn({"x": 1.0}, 1, weight=2.0)
    weights = table.forest.state_dict()["entry_weight"]
    assert sorted(weights[1:].tolist()) == [2.0, 2.0]


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_neither_unit_nor_offset_matters(scale: float) -> None:
    random = np.random.default_rng(5)
    table = Table(num_classes=2)
    right = [table.learn({"x": scale * (7.0 + x)}, int(x > 0.5)) for x in random.uniform(size=400)]
    assert np.mean(right[200:]) > 0.97


def test_values_missing_and_values_far_off_are_split_from_the_others() -> None:
    random = np.random.default_rng(6)
    table = Table(num_classes=2)
    right = []
    for i in range(400):
        row: Row = {"noise": float(random.normal()), "huge": 1e90 if i == 50 else float(random.normal())}
        if i % 3:
            row["hole"] = float(random.normal())
        right.append(table.learn(row, int("hole" in row)))
    assert np.mean(right[200:]) > 0.97


def test_categories_and_columns_that_come_later_are_split_by() -> None:
    table = Table(num_classes=3)
    colours = ["red", "green", "blue"]
    right = []
    for i in range(500):
        row: Row = {"constant": 1.0}
        if i >= 100:
            row["colour"] = colours[i * 7 % 3]
        right.append(table.learn(row, i * 7 % 3))
    assert np.mean(right[300:]) > 0.97


def test_it_follows_a_change_once_its_memory_has() -> None:
    random = np.random.default_rng(8)
    table = Table(num_classes=2, memory=300)
    right = [table.learn({"x": float(x)}, int((x > 0.5) != (i >= 600))) for i, x in enumerate(random.uniform(size=1500))]
    assert np.mean(right[400:600]) > 0.95
    assert np.mean(right[1100:]) > 0.95


def test_a_tree_that_replaced_another_leaves_nothing_of_it_in_the_state() -> None:
    random = np.random.default_rng(5)
    rows = [{"x": float(x), "y": float(y)} for x, y in random.uniform(-1, 1, size=(600, 2))]
    whole, resumed = Table(num_classes=2), Table(num_classes=2)
    for start in range(0, 600, 150):
        # A restart: fresh arrays, and in them what was saved.
        fresh = Table(num_classes=2)
        fresh.features.load_state_dict(resumed.features.state_dict())
        fresh.forest.load_state_dict(resumed.forest.state_dict())
        resumed = fresh
        for row in rows[start : start + 150]:
            label = int(row["x"] * row["y"] > 0)
            whole.learn(row, label)
            resumed.learn(row, label)
    assert_same_state(whole.forest.state_dict(), resumed.forest.state_dict())
