"""The pool for regression: the contract of its experts, references and keys by hand, bounded memory, and real streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray
from river import datasets

from daemon.errors import StateError
from daemon.learning.batch import Batch
from daemon.learning.experts.base import Extractor
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.target_history import TargetHistory
from daemon.learning.features.text import TextFeatures
from daemon.learning.models.regression import RegressionMixture
from daemon.learning.regression_mixer import RegressionMixer
from daemon.learning.regressors import regression_experts
from daemon.storage.tensors import all_finite
from tests.contracts.expert_checks import CHECKS, Case, Pool, assert_same_state
from tests.contracts.weight_checks import check_weight_two_doubles_the_step

Floats = NDArray[np.float64]

NUM_ROWS = 60
RANDOM = np.random.default_rng(5)
TARGETS = RANDOM.normal(size=NUM_ROWS).cumsum() * 3.0 + 100.0
ROWS = [
    {"x": float(RANDOM.normal()), "shop": f"shop {i % 3}"}
    | ({"late": float(i)} if i > 20 else {})
    | ({"hole": 1.0} if i % 2 else {})
    for i in range(NUM_ROWS)
]
BATCH = Batch([f"{'good' if target > 100.0 else 'bad'} row {i}" for i, target in enumerate(TARGETS)], ROWS)


def make_pool(*, history: bool = True, text: bool = False, table: bool = True, max_columns: int = 512) -> Pool:
    rows = TableFeatures(label_history=False, max_columns=max_columns) if table else None
    texts = TextFeatures(encoder=None) if text else None
    targets = TargetHistory(table=rows, enabled=history)
    extractors: list[Extractor] = [part for part in (texts, rows, targets) if part]
    return extractors, regression_experts(history=targets, table=rows, text=texts, seed=2)


def make_model(*, history: bool = True, text: bool = False, table: bool = True, max_columns: int = 512) -> RegressionMixture:
    extractors, experts = make_pool(history=history, text=text, table=table, max_columns=max_columns)
    named = {type(extractor).__name__: extractor for extractor in extractors}
    return RegressionMixture(extractors=named, experts=experts, mixer=RegressionMixer(num_experts=len(experts)))


def mean_absolute_error(model: RegressionMixture, rows: Iterable[tuple[dict[str, float], float]]) -> tuple[float, float]:
    """Of the model, and of repeating the last target, from the second row on."""
    features, targets = zip(*rows, strict=True)
    target_B = np.array(targets, dtype=np.float64)
    output_B = model.learn(Batch([""] * len(features), features), target_B, np.ones(len(target_B)))
    return float(abs(output_B - target_B)[1:].mean()), float(abs(np.diff(target_B)).mean())


CASES = (
    Case("table and history", make_pool, BATCH, TARGETS, is_classification=False),
    Case("no history", lambda: make_pool(history=False), BATCH, TARGETS, is_classification=False),
    Case("text and table", lambda: make_pool(text=True), BATCH, TARGETS, is_classification=False),
    Case("text alone", lambda: make_pool(text=True, table=False, history=False), BATCH, TARGETS, is_classification=False),
    Case("no columns", make_pool, Batch([""] * NUM_ROWS, [{}] * NUM_ROWS), TARGETS, is_classification=False),
    Case("a target that never moves", make_pool, BATCH, np.full(NUM_ROWS, 7.0), is_classification=False),
)


@pytest.mark.parametrize("check", [*CHECKS, check_weight_two_doubles_the_step], ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_contract(case: Case, check: Callable[[Case], None]) -> None:
    check(case)


def test_no_cut_of_the_stream_changes_a_bit() -> None:
    one_by_one, whole = make_model(text=True), make_model(text=True)
    together = whole.learn(BATCH, TARGETS, np.ones(NUM_ROWS))
    singly = [
        one_by_one.learn(Batch(BATCH.texts[i : i + 1], ROWS[i : i + 1]), TARGETS[i : i + 1], np.ones(1))[0]
        for i in range(NUM_ROWS)
    ]
    assert together.tolist() == singly
    assert_same_state(one_by_one.state_dict(), whole.state_dict())


def test_saved_and_loaded_the_model_goes_on_identically_and_predicting_changes_nothing() -> None:
    whole, resumed = make_model(text=True), make_model(text=True)
    first = Batch(BATCH.texts[:30], ROWS[:30])
    second = Batch(BATCH.texts[30:], ROWS[30:])
    whole.learn(first, TARGETS[:30], np.ones(30))
    resumed.load_state_dict(whole.state_dict())
    server = make_model(text=True)
    server.load_weights(whole.weights())
    assert server.predict(second).tolist() == whole.predict(second).tolist()
    resumed.predict(first)
    assert whole.learn(second, TARGETS[30:], np.ones(30)).tolist() == resumed.learn(second, TARGETS[30:], np.ones(30)).tolist()
    assert_same_state(whole.state_dict(), resumed.state_dict())


def test_rows_of_weight_zero_leave_the_state_as_if_they_had_not_come() -> None:
    with_them, without = make_model(), make_model()
    weight_B = np.array([float(i % 3 > 0) for i in range(NUM_ROWS)])
    kept = np.flatnonzero(weight_B)
    with_them.learn(BATCH, TARGETS, weight_B)
    without.learn(Batch([""] * len(kept), [ROWS[i] for i in kept]), TARGETS[kept], np.ones(len(kept)))
    one, two = with_them.state_dict(), without.state_dict()
    for part in ("extractors", "experts", "mixer"):
        assert_same_state(one[part], two[part])
    assert one["loss"] == two["loss"]


def test_a_linear_target_that_changes_every_280_rows_is_followed() -> None:
    """The noise alone is .4 off; with no expert that forgets sooner than in a hundred rows it would be 1.1."""
    rng = np.random.default_rng(0)
    x_RD, weight_RD = rng.normal(size=(1400, 8)), np.repeat(rng.normal(size=(5, 8)), 280, axis=0)
    target_R = (x_RD * weight_RD).sum(axis=1) + 0.5 * rng.normal(size=1400)
    rows = [{f"x{column}": float(x) for column, x in enumerate(x_D)} for x_D in x_RD]
    output_R = make_model().learn(Batch([""] * 1400, rows), target_R, np.ones(1400))
    assert abs(output_R - target_R).mean() < 0.8


def test_a_state_of_another_pool_is_refused() -> None:
    with pytest.raises(StateError, match="experts"):
        make_model().load_state_dict(make_model(history=False).state_dict())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_target_that_is_no_number_is_refused_before_anything_is_learned(bad: float) -> None:
    model, witness = make_model(), make_model()
    with pytest.raises(ValueError, match="not a finite number"):
        model.learn(Batch(["", ""], ROWS[:2]), np.array([1.0, bad]), np.ones(2))
    assert_same_state(model.state_dict(), witness.state_dict())


def test_the_last_target_of_a_key_is_found_among_columns() -> None:
    """Two meters in turn: by `meter` the target repeats itself, by `hour` it does not."""
    table = TableFeatures(label_history=False)
    history = TargetHistory(table=table)
    for i in range(40):
        batch = Batch([""], [{"hour": float(i // 2), "meter": float(i % 2)}])
        for extractor in (table, history):
            extractor.begin(batch)
            extractor.encode(0)
        if i == 39:
            assert history.key.value == 500.0
            assert history.last.value == 10.0
        for extractor in (table, history):
            extractor.learn(500.0 if i % 2 else 10.0, 1.0)


def test_memory_stays_bounded_with_a_key_that_never_repeats() -> None:
    model = make_model()

    def feed(start: int, stop: int) -> int:
        rows: list[dict[str, float | str]] = [{"user": f"user {i}"} for i in range(start, stop)]
        model.learn(Batch([""] * len(rows), rows), np.arange(start, stop) % 7.0, np.ones(len(rows)))
        return sum(model.state_bytes().values())

    feed(0, 2100)
    # A slot of the one column of keys takes 48 bytes; 16,384 of them are all there can be.
    assert feed(2100, 2200) <= 40_000_000


def test_a_wild_target_does_not_break_the_answers() -> None:
    model = make_model()
    rows = [{"x": float(i % 5)} for i in range(600)]
    target_B = np.array([row["x"] for row in rows])
    target_B[300] = 1e12
    output_B = model.learn(Batch([""] * 600, rows), target_B, np.ones(600))
    assert all_finite(model.weights())
    assert abs(output_B - target_B)[500:].mean() < 0.5


def test_trump_approval_is_better_than_repeating_the_last_value() -> None:
    model, last = mean_absolute_error(make_model(), islice(datasets.TrumpApproval(), 600))
    assert model < last


def test_chick_weights_are_followed_chick_by_chick() -> None:
    model, last = mean_absolute_error(make_model(), datasets.ChickWeights())
    assert model < 6.0
    assert last > 30.0


def test_water_flow_is_better_than_repeating_the_last_value() -> None:
    model, last = mean_absolute_error(make_model(), (({}, flow) for _, flow in datasets.WaterFlow()))
    assert model < 0.96 * last


def additive(num_rows: int = 900) -> tuple[list[str], list[dict[str, float | str]], Floats]:
    """What two words of 60 are worth, beside what the values of two columns of 40 categories are, or one of numbers."""
    random = np.random.default_rng(11)
    worth_V, worth_CV = random.normal(size=60), random.normal(size=(2, 40))
    words = random.integers(60, size=(num_rows, 2))
    categories, numbers = random.integers(40, size=(num_rows, 2)), random.normal(size=num_rows)
    texts = [f"w{a} w{b}" for a, b in words]
    rows: list[dict[str, float | str]] = [
        {"x": float(x), "a": f"v{a}", "b": f"v{b}"} for x, (a, b) in zip(numbers, categories, strict=True)
    ]
    of_words, of_categories = worth_V[words].sum(axis=1), worth_CV[0, categories[:, 0]] + worth_CV[1, categories[:, 1]]
    return texts, rows, np.stack([of_words, of_categories, 2.0 * numbers], axis=1)


@pytest.mark.parametrize(("with_text", "parts"), [(True, [0, 2]), (False, [1]), (False, [1, 2])])
def test_what_words_and_columns_add_is_learned_together(with_text: bool, parts: list[int]) -> None:
    texts, rows, worth_RP = additive()
    target_B = worth_RP[:, parts].sum(axis=1)
    model = make_model(text=with_text, history=False)
    output_B = model.learn(Batch(texts if with_text else [""] * len(rows), rows), target_B, np.ones(len(rows)))
    assert abs(output_B - target_B)[600:].mean() < 0.25 * abs(target_B - target_B.mean()).mean()
