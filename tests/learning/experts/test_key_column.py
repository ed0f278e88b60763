"""The key column: by hand, which column it is, values that push each other out, and what a pool gains by it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from daemon.learning.batch import Batch
from daemon.learning.experts import key_column
from daemon.learning.experts.key_column import MAX_COLUMNS, SLOTS, KeyColumn
from daemon.learning.experts.key_column_kernels import KEPT, LEAST
from daemon.learning.features.table import TableFeatures

Row = Mapping[str, float | str]


class Learning:
    """A table and its key column, row by row."""

    def __init__(self) -> None:
        self.table = TableFeatures()
        self.key = KeyColumn(name="key", table=self.table)
        self.num_classes = 0

    def predict(self, row: Row) -> np.ndarray:
        self.table.begin(Batch([""], [row]))
        self.table.encode(0)
        return self.key.predict()

    def learn(self, row: Row, label: int, *, weight: float = 1.0) -> int:
        """Whether the likeliest known label was another one."""
        p_K = self.predict(row)
        wrong = label == self.num_classes or int(p_K[:-1].argmax()) != label
        if label == self.num_classes:
            self.key.grow()
            self.num_classes += 1
        self.key.learn(label, weight)
        self.table.learn(label, weight)
        return int(wrong)


def known(*names: str) -> Learning:
    """The table knows the columns from a first row on, whose values never come again."""
    learning = Learning()
    learning.learn(dict.fromkeys(names, "first"), 0)
    return learning


def test_a_value_that_came_again_repeats_its_label_as_often_as_it_and_its_column_did() -> None:
    learning = known("who")
    for who, label in (*3 * (("ann", 0), ("bob", 1)), ("eve", 1), ("eve", 0)):
        learning.learn({"who": who}, label)
    # Of the values that came again, but the last one, each repeated its label.
    same, again = (sum(weight * KEPT**age for age, weight in enumerate(weights)) for weights in ((0, 1, 1, 1, 1), 5 * (1,)))
    repeats = (2.0 + 2.0 * (same + 1.0) / (again + 2.0)) / (2.0 + 2.0)  # "bob" came again twice, and repeated its label
    prior_K = np.array([5.5, 4.5, 0.5]) / 10.5
    np.testing.assert_allclose(learning.predict({"who": "bob"}), (1.0 - repeats) * prior_K + repeats * np.array([0, 1, 0]))
    np.testing.assert_allclose(learning.predict({"who": "joe"}), prior_K)
    np.testing.assert_allclose(learning.predict({}), prior_K)


def test_a_category_that_decides_costs_an_error_for_each_of_its_values_whatever_stands_beside_it() -> None:
    random = np.random.default_rng(1)
    learning, wrong, labels = known("colour", "noise", "place"), 0, dict[int, int]()
    for _ in range(500):
        place = int(random.integers(20))
        row = {"colour": f"c{random.integers(3)}", "noise": random.normal(), "place": f"p{place}"}
        wrong += learning.learn(row, labels.setdefault(place % 4, len(labels)))
    assert wrong <= 20 + 5


def test_the_key_changes_when_another_column_tells_more() -> None:
    learning, wrong = known("old", "new"), []
    random = np.random.default_rng(2)
    for i in range(1200):
        old, new = (int(value) for value in random.integers(8, size=2))
        label = (old if i < 600 else new) % 2
        wrong.append(learning.learn({"old": f"o{old}", "new": f"n{new}"}, min(label, learning.num_classes)))
    assert sum(wrong[100:600]) == 0
    assert sum(wrong[-300:]) == 0
    assert sum(wrong[600:900]) > 10


def test_where_no_column_tells_anything_labels_are_as_likely_as_they_are_often() -> None:
    random = np.random.default_rng(3)
    learning = known("noise")
    for _ in range(400):
        learning.learn({"noise": f"n{random.integers(5)}"}, int(random.uniform() < 0.2))
    counts = np.array(learning.key.state_dict()["counts"]) + 0.5
    np.testing.assert_allclose(learning.predict({"noise": "n1"}), counts / counts.sum())


def test_a_number_is_a_key_to_its_last_digit() -> None:
    learning = known("x")
    for x, label in ((0.1, 0), (0.2, 1), (0.1, 0), (0.2, 1)):
        learning.learn({"x": x}, label)
    assert learning.predict({"x": 0.2})[1] > 0.8
    assert learning.predict({"x": 0.2000001})[0] > learning.predict({"x": 0.2000001})[1]


def test_values_push_each_other_out_and_columns_past_the_limit_are_no_keys() -> None:
    learning = known(*(f"x{n}" for n in range(MAX_COLUMNS + 4)))
    for i in range(2 * SLOTS):
        learning.learn({f"x{n}": float(i) for n in (0, MAX_COLUMNS)}, 0)
    state = learning.key.state_dict()
    assert len(state["losses"]) == MAX_COLUMNS
    assert SLOTS // 2 < len(state["slots"]) <= SLOTS + MAX_COLUMNS
    assert learning.key.num_bytes() == MAX_COLUMNS * (SLOTS * 28 + 24) + 8 * 3


def test_of_values_in_the_same_slots_the_one_that_came_again_least_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_column, "SLOTS", 4)  # so that all values meet
    learning = known("who")
    for who in ("ann", "bob", "cyd", "dan", "ann", "ann", "bob", "bob", "dan", "dan", "cyd"):
        learning.learn({"who": who}, 0)
    learning.learn({"who": "eve"}, 0)
    state = learning.key.state_dict()
    assert sorted(state["values"][:, 0]) == [0.0, 2.0, 2.0, 2.0]  # "cyd" came again once, "eve" has not yet
    assert (state["values"][:, 0] == state["values"][:, 1]).all()
    tags = set(state["tags"].tolist())
    learning.learn({"who": "eve"}, 0)
    assert set(learning.key.state_dict()["tags"].tolist()) == tags
    learning.learn({"who": "cyd"}, 0)  # which is new again: "eve" came again once
    assert sorted(learning.key.state_dict()["values"][:, 0]) == [0.0, 2.0, 2.0, 2.0]


def test_a_label_that_was_held_next_to_impossible_counts_the_same_for_every_column_and_for_none() -> None:
    learning = known("who", "what")
    for _ in range(40):
        learning.learn({"who": "ann"}, 0, weight=1e6)
    losses = [learning.key.state_dict()[name].copy() for name in ("losses", "prior_loss")]
    learning.learn({"who": "ann"}, 1)  # as unlikely by how often labels came as by the value
    after = [learning.key.state_dict()[name] for name in ("losses", "prior_loss")]
    who, what = (after[0] - KEPT * losses[0]).tolist()
    (none,) = (after[1] - KEPT * losses[1]).tolist()
    assert who == pytest.approx(-np.log(LEAST), rel=1e-3)
    assert what == pytest.approx(none)
    assert none == pytest.approx(-np.log(LEAST), rel=1e-3)


def test_a_column_that_comes_later_is_no_key_before_it_told_more_than_the_others() -> None:
    learning = known("decides")
    random = np.random.default_rng(4)
    for i in range(600):
        decides = int(random.integers(6))
        row: dict[str, float | str] = {"decides": f"d{decides}"} | ({"later": f"l{random.integers(4)}"} if i >= 300 else {})
        wrong = learning.learn(row, min(decides % 2, learning.num_classes))
        assert not (wrong and i >= 50), i


@pytest.mark.parametrize("weight", [1e-300, 1e300])
def test_no_weight_makes_a_probability_that_is_none(weight: float) -> None:
    learning = known("who")
    for i in range(20):
        learning.learn({"who": "ab"[i % 2]}, i % 2 if learning.num_classes > 1 or i % 2 else 0, weight=weight)
    p_K = learning.predict({"who": "a"})
    assert (p_K > 0.0).all()
    assert p_K.sum() == pytest.approx(1.0)
