"""Logistic regressions over words, numbers and categories: their contract, a step by hand, and what they read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from daemon.learning.batch import Batch
from daemon.learning.experts.logistic import DAMPING, LogisticBank
from daemon.learning.experts.text_table import TextTable
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.text import TextFeatures
from tests.contracts.expert_checks import CHECKS, Case, Pool, Runner
from tests.contracts.weight_checks import check_weight_two_doubles_the_step
from tests.learning.texts import topic_rows

TEXTS, TARGETS = topic_rows(60, seed=5)
ROWS: Sequence[Mapping[str, float | str]] = [
    {"x": float(i % 7), "y": float(i * i % 11)} | ({"colour": f"c{i % 5}"} if i % 3 else {}) for i in range(len(TARGETS))
]


def pool(*, text: bool, table: bool) -> Pool:
    texts, columns = TextFeatures(encoder=None) if text else None, TableFeatures() if table else None
    extractors = [extractor for extractor in (texts, columns) if extractor]
    return extractors, LogisticBank(text=texts, table=columns).experts()


BATCH = Batch(TEXTS.texts, ROWS)
CASES = (
    Case("words", lambda: pool(text=True, table=False), BATCH, TARGETS),
    Case("columns", lambda: pool(text=False, table=True), BATCH, TARGETS),
    Case("both", lambda: pool(text=True, table=True), BATCH, TARGETS),
)


@pytest.mark.parametrize("check", [*CHECKS, check_weight_two_doubles_the_step], ids=lambda check: check.__name__)
@pytest.mark.parametrize("example", CASES, ids=str)
def test_contract(example: Case, check: Callable[[Case], None]) -> None:
    check(example)


def test_a_first_step_by_hand() -> None:
    """Of a category and the bias, both 1, by class and rate: g / √(g² + damping), with g from (½, ½) to the label."""
    rows = [{"colour": "red"}] * 2
    runner = Runner(Case("step", lambda: pool(text=False, table=True), Batch([""] * 2, rows), np.zeros(2)))
    runner.learn(0, 1)  # the column is known after this row; it stepped the bias alone
    step = 0.5 / np.sqrt(0.25 + DAMPING)
    for rate, p_K in zip((0.1, 0.5), runner.predict(0, 1), strict=True):
        np.testing.assert_allclose(np.log(p_K[0] / p_K[1]), 2 * rate * step, rtol=1e-5)
    runner.learn(1, 2)
    before, after = np.exp(2 * 0.1 * step), runner.predict(0, 1)[0]
    g = 1.0 / (1.0 + before)
    logit = step + g / np.sqrt(0.25 + g * g + DAMPING) + g / np.sqrt(g * g + DAMPING)
    np.testing.assert_allclose(np.log(after[0] / after[1]), 2 * 0.1 * logit, rtol=1e-5)


@pytest.mark.parametrize(("text", "row"), [("ship", {}), ("", {"x": 6.0}), ("", {"colour": "c1"})])
def test_words_numbers_and_categories_all_count(text: str, row: Mapping[str, float | str]) -> None:
    runner = Runner(CASES[2])
    runner.learn(0, 60)
    for batch, changes in ((Batch([text], [row]), True), (Batch(["unheard"], [{"colour": "unseen"}]), False)):
        runner.case = Case("row", CASES[2].make, Batch(["", *batch.texts], [{}, *batch.features]), TARGETS)
        empty_K, full_K = runner.predict(0, 2)[::2]
        assert (empty_K.tobytes() != full_K.tobytes()) == changes


def test_it_stays_within_its_bytes() -> None:
    text = TextFeatures(encoder=None)
    words = TextTable(text=text, num_logistic=2, word_bytes=1)
    member = LogisticBank(text=text, table=None, words=words).experts()[0]
    member.grow()
    for row in range(2_000):
        text.begin(Batch([f"word{row} word{row + 1} word{row + 2}"], [{}]))
        text.encode(0)
        member.predict()
        member.learn(0, 1.0)
    assert words.words.table.num_slots <= 1024  # the least that a table of slots holds
    assert np.isfinite(member.predict()).all()


def test_it_adds_up_what_a_sum_of_many_columns_decides() -> None:
    rng = np.random.default_rng(0)
    x_BD, w_D = rng.normal(size=(1500, 20)), rng.normal(size=20)
    target_B = (x_BD @ w_D > 0.0).astype(np.float64)
    _, first = np.unique(target_B, return_index=True)
    target_B = target_B if first[0] < first[1] else 1.0 - target_B
    rows = [{f"x{d}": float(x) for d, x in enumerate(x_D)} for x_D in x_BD]
    runner = Runner(Case("sum", lambda: pool(text=False, table=True), Batch([""] * 1500, rows), target_B))
    runner.learn(0, 1000)
    predicted = np.array([p_K[:2].argmax() for p_K in runner.predict(1000, 1500)[::2]])
    assert (predicted == target_B[1000:]).mean() > 0.9
