"""Experts and extractors whose memories are full are saved and loaded like any other.

The checks of each area end long before a memory of 2,000 rows is full. Here those of saving and loading run over the whole
pools, with memories so small (see `bounds.py`) that each is full when half of the rows have been learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from daemon import learning
from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert, Extractor
from daemon.learning.experts.forest import TREE_ARRAYS
from daemon.learning.experts.slots import SlotTable
from daemon.learning.features.text import TextFeatures
from daemon.learning.texts import text_experts
from daemon.state import State
from tests.contracts.bounds import SLOTS, make_small
from tests.contracts.discovery import classes_of
from tests.contracts.expert_checks import (
    Case,
    Pool,
    Runner,
    check_a_state_is_a_copy,
    check_saved_and_loaded_it_goes_on_identically,
    check_weights_alone_answer_identically,
)
from tests.learning import test_regressors, test_tables
from tests.learning.experts import test_finetuned
from tests.learning.texts import HashedEncoder, topic_rows
from tests.learning.tiny import tiny_bert

NUM_ROWS = 400
HALF = NUM_ROWS // 2
ROWS, TARGETS = test_tables.odd_rows(NUM_ROWS)
TOPICS, TOPIC_TARGETS = topic_rows(NUM_ROWS, seed=5)
# A word that never came before in each.
TEXTS = [f"{text} word{i}" for i, text in enumerate(TOPICS.texts)]
NUMBERS = np.random.default_rng(8).normal(size=NUM_ROWS).cumsum() + np.array([float(row["x"]) for row in ROWS])
# The arrays of trees, which are grown anew; and rows that least squares take in a few at a time.
COME_AND_GO = {*TREE_ARRAYS, "pending"}


def text_pool() -> Pool:
    text = TextFeatures(encoder=HashedEncoder())
    return [text], text_experts(text)


CASES = (
    Case("tables", test_tables.make_pool, Batch([""] * NUM_ROWS, ROWS), np.array(TARGETS, dtype=np.float64)),
    Case("texts", text_pool, Batch(TEXTS, TOPICS.features), TOPIC_TARGETS),
    Case("numbers", lambda: test_regressors.make_pool(text=True), Batch(TEXTS, ROWS), NUMBERS, is_classification=False),
)


@pytest.fixture(autouse=True)
def tables(monkeypatch: pytest.MonkeyPatch) -> list[SlotTable]:
    """Those made in the test, in small memories."""
    return make_small(monkeypatch)


def test_every_expert_and_extractor_is_in_one_of_the_pools(tmp_path: Path) -> None:
    """That which is fine-tuned has a replay so small that the rows of its own contract fill it."""
    finetuned = test_finetuned.case(tiny_bert(tmp_path, test_finetuned.TOPICS.texts))
    pools = [case.make() for case in (*CASES, finetuned)]
    assert {type(expert) for _, pool in pools for expert in pool} == classes_of(Expert, learning)
    assert {type(extractor) for extractors, _ in pools for extractor in extractors} == classes_of(Extractor, learning)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_half_of_the_rows_fill_every_memory(case: Case, tables: list[SlotTable]) -> None:
    """Each table of slots that can have too many features has forgotten some, and nothing else grows any more."""
    runner = Runner(case)
    bounded = [table for table in tables if len(table.slot_F) > SLOTS]
    most, forgot = [0] * len(bounded), [False] * len(bounded)
    for row in range(HALF):
        runner.learn(row, row + 1)
        for i, table in enumerate(bounded):
            forgot[i] |= table.num_slots < most[i]
            most[i] = max(most[i], table.num_slots)
    assert all(forgot), most
    half = dict(sizes(runner.state()))
    runner.learn(HALF, NUM_ROWS)
    assert {path: size for path, size in sizes(runner.state()) if size > half[path]} == {}


def sizes(state: State, where: str = "") -> Iterator[tuple[str, int]]:
    """Path -> numbers of each array, but those of tables of slots and those that come and go."""
    is_of_slots = {"features", "cells", "used"} <= state.keys()
    for key, value in state.items():
        if isinstance(value, dict):
            yield from sizes(value, f"{where}{key}.")
        elif isinstance(value, np.ndarray) and not is_of_slots and key not in COME_AND_GO:
            yield f"{where}{key}", value.size


@pytest.mark.parametrize(
    "check",
    [check_saved_and_loaded_it_goes_on_identically, check_a_state_is_a_copy, check_weights_alone_answer_identically],
    ids=lambda check: check.__name__,
)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_contract(case: Case, check: Callable[[Case], None]) -> None:
    check(case)
