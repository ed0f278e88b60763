from __future__ import annotations

import numpy as np
import pytest

from daemon.errors import StateError
from daemon.learning.tasks.classification import Classification
from daemon.learning.tasks.regression import Regression


def test_labels_are_numbered_in_order_of_first_appearance() -> None:
    task = Classification(max_labels=10)
    assert task.encode(["b", "a", "b", "c"], np.ones(4)).tolist() == [0, 1, 0, 2]
    assert task.encode(["c", "d"], np.ones(2)).tolist() == [2, 3]
    assert task.labels == ("b", "a", "c", "d")


def test_admits_counts_the_new_labels_before_it_and_changes_nothing() -> None:
    task = Classification(max_labels=2)
    assert task.admits(["a", "b", "c", "a"], np.ones(4)) == [True, True, False, True]
    assert task.labels == ()


def test_a_fixed_set_refuses_others_and_still_numbers_by_appearance() -> None:
    task = Classification(max_labels=10, labels=["ham", "spam"])
    assert task.admits(["spam", "eggs", "ham"], np.ones(3)) == [True, False, True]
    assert task.encode(["spam", "ham"], np.ones(2)).tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"label 'eggs' is not in the fixed set of 2 labels"):
        task.encode(["eggs"], np.ones(1))


def test_one_label_too_many_is_refused_with_the_remedy() -> None:
    task = Classification(max_labels=1)
    with pytest.raises(ValueError, match=r"label 'b' would be number 2; max_labels is 1: raise it"):
        task.encode(["a", "b"], np.ones(2))


def test_a_number_is_no_label() -> None:
    task = Classification(max_labels=1)
    assert task.admits([1.0], np.ones(1)) == [False]
    with pytest.raises(ValueError, match=r"label 1.0 is not a string"):
        task.encode([1.0], np.ones(1))


def test_a_row_of_weight_zero_teaches_no_label() -> None:
    task = Classification(max_labels=10)
    target_B = task.encode(["a", "b", "a", "b"], np.array([1.0, 0.0, 0.0, 1.0]))
    assert target_B.tolist()[0] == 0
    assert np.isnan(target_B[1])
    assert target_B.tolist()[2:] == [0, 1]
    assert task.labels == ("a", "b")


def test_a_row_of_weight_zero_takes_no_place_of_the_labels() -> None:
    labels, weight_B = ["a", "b", "c", "c"], np.array([1.0, 0.0, 1.0, 0.0])
    whole, cut = Classification(max_labels=2), Classification(max_labels=2)
    assert whole.admits(labels, weight_B) == [True] * 4
    assert whole.admits([*labels, "b"], np.append(weight_B, 0.0)) == [True] * 4 + [False]
    for row, label in enumerate(labels):
        assert cut.admits([label], weight_B[row : row + 1]) == [True]
        cut.encode([label], weight_B[row : row + 1])
    whole.encode(labels, weight_B)
    assert whole.labels == cut.labels == ("a", "c")


def test_class_weights_multiply_those_of_the_examples() -> None:
    task = Classification(max_labels=3, class_weights={"spam": 2.0, "junk": 0.0})
    weights = np.array([0.5, 0.5, 1.0, 0.0])
    assert task.weigh(["spam", "ham", "junk", "spam"], weights).tolist() == [1.0, 0.5, 0.0, 0.0]
    assert Classification(max_labels=3).weigh(["spam"], weights[:1]).tolist() == [0.5]
    assert Regression().weigh([1.0], weights[:1]).tolist() == [0.5]


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_a_class_weight_that_is_no_weight_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="the class weight of 'spam' is"):
        Classification(max_labels=3, class_weights={"spam": weight})


def test_saved_labels_go_on() -> None:
    first, second = Classification(max_labels=5), Classification(max_labels=5)
    first.encode(["x", "y"], np.ones(2))
    second.load_state_dict(first.state_dict())
    assert second.encode(["y", "z"], np.ones(2)).tolist() == [1, 2]


@pytest.mark.parametrize("labels", [["a", "b", "c"], ["a", "a"], "ab", None, ["d"]])
def test_labels_that_do_not_fit_are_refused(labels: object) -> None:
    task = Classification(max_labels=2, labels=["a", "b", "c"])
    with pytest.raises(StateError):
        task.load_state_dict({"labels": labels})


def test_answers_before_the_first_label_and_with_fewer_classes_than_labels() -> None:
    task = Classification(max_labels=5)
    assert task.decode(np.zeros((1, 0))) == [{"label": None, "scores": {}}]
    task.encode(["a", "b", "c"], np.ones(3))
    assert task.decode(np.array([[0.5, 0.5]])) == [{"label": "a", "scores": {"a": 0.5, "b": 0.5}}]


def test_regression_takes_finite_numbers_alone() -> None:
    task = Regression()
    assert task.admits([1, float("inf"), "1"], np.ones(3)) == [True, False, False]
    with pytest.raises(ValueError, match="target nan is not a finite number"):
        task.encode([1.0, float("nan")], np.ones(2))
    task.load_state_dict(task.state_dict())
    assert task.labels == ()
