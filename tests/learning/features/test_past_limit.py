from __future__ import annotations

import numpy as np
import pytest

from daemon.learning.batch import Batch
from daemon.learning.features.table import TableFeatures
from daemon.learning.models.linear import Linear
from tests.learning.test_tables import make_mixture


def read(features: TableFeatures, row: dict[str, float | str], *, learns: bool = True) -> list[int]:
    features.begin(Batch([""], [row]))
    features.encode(0)
    tokens: list[int] = features.tiles.hashes_T.tolist()
    if learns:
        features.learn(0.0, 1.0)
    return tokens


def test_columns_past_the_limit_give_tokens_and_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    features = TableFeatures(max_columns=2)
    read(features, {"a": 1.0, "b": "x"})
    assert not caplog.records
    without = read(features, {"a": 1.0, "b": "x"})
    one = read(features, {"a": 1.0, "b": "x", "c": 5.0, "d": "y"})
    other = read(features, {"a": 1.0, "b": "x", "c": 5.5, "d": "z"})
    shared = set(one) & set(other)
    # The exact number and the category differ; of the number's sign and size both tokens are the same.
    assert len(one) == len(other) == len(without) + 4
    assert len(shared - set(without)) == 2
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "column 'c' is one more than 2:" in record.getMessage()


def test_what_comes_past_the_limit_is_read_alike_after_a_restart() -> None:
    first, second = TableFeatures(max_columns=1), TableFeatures(max_columns=1)
    read(first, {"a": 1.0})
    second.load_state_dict(first.state_dict())
    row: dict[str, float | str] = {"b": -0.0, "c": "x"}
    assert read(first, row) == read(second, row) == read(second, {"c": "x", "b": 0.0})


def test_a_table_is_learned_by_a_column_past_the_limit() -> None:
    target_B = np.random.default_rng(0).integers(2, size=200).astype(np.float64)
    model = make_mixture(max_columns=3)
    junk = Batch([""] * 3, [{f"junk {i}": 1.0} for i in range(3)])
    model.learn(junk, np.array([0.0, 1.0, 0.0]), np.ones(3))
    output_BC = model.learn(Batch([""] * 200, [{"good": float(target)} for target in target_B]), target_B, np.ones(200))
    assert (output_BC.argmax(axis=1) != target_B)[50:].sum() == 0


def test_the_linear_model_tells_the_column_that_it_does_not_read(caplog: pytest.LogCaptureFixture) -> None:
    model = Linear(classifies=True, max_columns=1)
    row: dict[str, float | str] = {"a": 1.0, "b": 2.0}
    for _ in range(2):
        model.learn(Batch([""], [row]), np.array([0.0]), np.ones(1))
    [record] = caplog.records
    assert (
        "column 'b' is one more than 1: of it, and of others that come later, the numbers are not read" in record.getMessage()
    )
