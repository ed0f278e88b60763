"""Naive Bayes over columns: its scores by hand, identifiers, missing values, and the words of a text beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from daemon.learning.batch import Batch
from daemon.learning.experts.table_bayes import TableBayes
from daemon.learning.experts.word_bayes import WordBayes
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.text import TextFeatures

Row = Mapping[str, float | str]


class Learning:
    """A table and its naive Bayes, row by row; `texts` stand beside the rows where there are words."""

    def __init__(self, *, with_words: bool = False) -> None:
        self.table, self.text = TableFeatures(), TextFeatures(encoder=None)
        self.words = WordBayes(text=self.text) if with_words else None
        self.bayes = TableBayes(name="bayes", table=self.table, words=self.words)
        self.num_classes = 0

    def predict(self, row: Row, text: str = "") -> np.ndarray:
        batch = Batch([text], [row])
        self.table.begin(batch)
        self.table.encode(0)
        if self.words:
            self.text.begin(batch)
            self.text.encode(0)
            self.words.predict()
        return self.bayes.predict()

    def learn(self, row: Row, label: int, text: str = "") -> None:
        self.predict(row, text)
        for expert in (self.bayes, *([self.words] if self.words else [])):
            if self.num_classes <= label:
                expert.grow()
            expert.learn(label, 1.0)
        self.num_classes = max(self.num_classes, label + 1)
        self.table.learn(label, 1.0)


def scores(p_K: np.ndarray) -> np.ndarray:
    return np.log(p_K[:2]) - np.log(p_K[0])


def without_temperature(learning: Learning, row: Row) -> np.ndarray:
    """The log odds of the second class, at temperature 1."""
    temperature = math.exp(float(learning.bayes.state_dict()["softmax"]["log_temperature"][0]))
    odds: np.ndarray = scores(learning.predict(row)) / temperature
    return odds


def test_a_number_is_scored_by_gaussians_that_start_from_the_column() -> None:
    learning = Learning()
    learning.learn({"x": 0.0}, 0)  # the column becomes known with this row, and counts from the next on
    for x, label in ((0.0, 0), (2.0, 1), (4.0, 1)):
        learning.learn({"x": x}, label)
    # Over all rows mean 2, variance 8/3. Classes are as wide as the geometric mean of that and 2, that of class 1.
    within = math.sqrt(8 / 3 * 2)
    ratio = within / (8 / 3)

    def log_density(x: float, *, mean: float, rows: int, squares: float) -> float:
        centre = 2 + (mean - 2) * rows / (rows + ratio)
        variance = (squares + within) / rows * (1 + 1 / (rows + ratio))
        return -0.5 * math.log(variance) - 0.5 * (x - centre) ** 2 / variance

    for x in (0.0, 2.5):
        odds = log_density(x, mean=3, rows=2, squares=2) - log_density(x, mean=0, rows=1, squares=0)
        assert without_temperature(learning, {"x": x})[1] == pytest.approx(odds + math.log(2.5 / 2.5), rel=1e-9)


def test_a_column_that_decides_is_known_after_a_few_rows() -> None:
    """Though nine others tell nothing, and are as far from the middle of a class as they often are."""
    learning, random, wrong = Learning(), np.random.default_rng(0), []
    for label in [0, 1, 2, 3, *random.integers(4, size=300).tolist()]:
        row = {"decides": float(label)} | {f"noise_{i}": float(random.normal()) for i in range(9)}
        answer_K = learning.predict(row)
        wrong.append(learning.num_classes < 2 or int(answer_K[: learning.num_classes].argmax()) != label)
        learning.learn(row, label)
    assert sum(wrong) <= 20
    assert sum(wrong[40:]) == 0


def test_a_narrow_class_is_known_beside_wide_ones() -> None:
    learning, random, wrong = Learning(), np.random.default_rng(0), []
    width_CN = 10 ** random.uniform(-1.5, 1.0, size=(5, 4))
    centre_CN = random.normal(size=(5, 4))
    for label in [*range(5), *random.integers(5, size=300).tolist()]:
        row = {f"x{i}": float(x) for i, x in enumerate(random.normal(centre_CN[label], width_CN[label]))}
        answer_K = learning.predict(row)
        wrong.append(learning.num_classes < 2 or int(answer_K[: learning.num_classes].argmax()) != label)
        learning.learn(row, label)
    assert sum(wrong[100:]) <= 6


def test_a_state_with_other_numbers_a_column_is_refused() -> None:
    learning = Learning()
    for label in (0, 1):
        learning.learn({"x": 1.0}, label)
    state = learning.bayes.state_dict()
    with pytest.raises(ValueError, match="naive Bayes holds"):
        learning.bayes.load_state_dict(state | {"columns": state["columns"][:, :, :-1]})


def test_numbers_of_a_column_that_also_has_categories_are_told_apart() -> None:
    """What is a number now and a category then: the mean is that of the numbers."""
    learning = Learning()
    for label in (0, 1):
        learning.learn({"x": 0.0}, label)
    for i in range(40):
        learning.learn({"x": "unknown"}, i % 2)
    for i in range(40):
        learning.learn({"x": 10.0 * (i % 2) + 0.1 * (i % 4)}, i % 2)
    assert without_temperature(learning, {"x": 9.0})[1] > 5.0
    assert without_temperature(learning, {"x": 0.3})[1] < -5.0


def test_a_category_is_scored_by_its_counts() -> None:
    learning = Learning()
    learning.learn({"c": "a"}, 0)
    for value, label in (("a", 0), ("b", 1), ("b", 1)):
        learning.learn({"c": value}, label)
    # Of class 0 one row with the column and of class 1 two; two categories: (0 + 1) / (1 + 3) and (2 + 1) / (2 + 3).
    odds = without_temperature(learning, {"c": "b"})[1]
    assert odds == pytest.approx(math.log(3 / 5) - math.log(1 / 4) + math.log(2.5 / 2.5), rel=1e-9)


def test_an_identifier_decides_from_its_second_row_on() -> None:
    learning, wrong = Learning(), 0
    random = np.random.default_rng(0)
    label_of = [0, 1, *random.integers(2, size=48).tolist()]
    seen = set[int]()
    for user in [0, 1, *random.integers(50, size=500).tolist()]:
        row = {"user": f"u{user}", "noise": float(random.normal())}
        wrong += user in seen and int(learning.predict(row)[:-1].argmax()) != label_of[user]
        seen.add(user)
        learning.learn(row, label_of[user])
    assert wrong <= 5


def test_the_first_missing_value_says_nothing() -> None:
    learning = Learning()
    for label in (0, 1, 0, 1, 0, 1):
        learning.learn({"x": float(label), "y": 1.0}, label)
    without_column = scores(learning.predict({"y": 1.0}))
    assert abs(without_column[1]) < abs(scores(learning.predict({"x": 1.0, "y": 1.0}))[1])
    np.testing.assert_allclose(scores(learning.predict({})), [0.0, 0.0], atol=1e-12)


def test_where_most_values_are_missing_it_counts_whether_there_is_one() -> None:
    learning = Learning()
    for row, label in [({"x": "a"}, 0), ({"x": "a"}, 0), *[({}, 1)] * 3]:
        learning.learn(row, label)
    np.testing.assert_allclose(without_temperature(learning, {})[1], math.log(3.5 / 2.5), rtol=1e-6)  # three times as often yet
    learning.learn({}, 1)
    # Since x is known it was there in a row of class 0, which was last seen when it had been missing once: 1.5 of 3; of class 1
    # it was missing in 4, when over both it was there in 1.5 of 6. One row more of each class is as the column was.
    prior = math.log(4.5 / 2.5)
    np.testing.assert_allclose(without_temperature(learning, {})[1], prior + math.log(4.75 / 5 / 0.25), rtol=1e-6)
    present, category = math.log(0.25 / 5 / 0.75), math.log((1 / 2) / (2 / 3))
    np.testing.assert_allclose(without_temperature(learning, {"x": "a"})[1], prior + present + category, rtol=1e-6)


def test_what_the_words_say_is_added() -> None:
    def answers(*, with_words: bool) -> Sequence[float]:
        learning = Learning(with_words=with_words)
        for i in range(40):
            learning.learn({"x": float(i % 2)}, i % 2, "sail wind" if i % 2 else "bread yeast")
        return scores(learning.predict({}, "sail wind")).tolist()

    assert answers(with_words=True)[1] > 2.0
    assert answers(with_words=False)[1] == pytest.approx(0.0, abs=1e-12)
