"""The table that the experts on a text share: to each as if it were its own."""

from __future__ import annotations

import numpy as np

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert
from daemon.learning.experts.naive_bayes import NaiveBayes
from daemon.learning.experts.softmax import SoftmaxBank
from daemon.learning.experts.text_table import TextTable
from daemon.learning.experts.word_bayes import WordBayes
from daemon.learning.features.hashing import BLOCK_SIZE
from daemon.learning.features.text import TextFeatures
from tests.learning.texts import topic_rows


def learn_row(experts: list[Expert], target: int, num_known: int) -> list[np.ndarray]:
    said = [expert.predict().copy() for expert in experts]
    for expert in experts:
        for _ in range(num_known, target + 1):
            expert.grow()
    for expert in experts:
        expert.learn(target, 1.0)
    return said


def test_an_expert_says_the_same_on_a_table_of_its_own_and_on_one_that_it_shares() -> None:
    text = TextFeatures(encoder=None)
    bank = SoftmaxBank(text=text, lda=None)
    shared = [*bank.experts(), NaiveBayes(text=text, table=bank.table), WordBayes(text=text, table=bank.table)]
    alone = [*SoftmaxBank(text=text, lda=None).experts(), NaiveBayes(text=text), WordBayes(text=text)]
    batch, target_B = topic_rows(60, seed=1)
    text.begin(batch)
    num_known = 0
    for row, target in enumerate(target_B.astype(int)):
        text.encode(row)
        for ours, own in zip(learn_row(shared, target, num_known), learn_row(alone, target, num_known), strict=True):
            np.testing.assert_array_equal(ours, own)
        num_known = max(num_known, target + 1)


def test_a_row_learned_by_several_takes_its_slots_once() -> None:
    text = TextFeatures(encoder=None)
    table = TextTable(text=text)
    text.begin(Batch(["wind and sail", "wind and bread"], [{}] * 2))
    for row in (0, 1):
        text.encode(row)
        assert (table.find() < 0).any()
        first = table.claim()
        assert (first >= 0).all()
        assert table.claim() is first
        assert table.find() is first
    assert table.state_dict()["clock"] == 2
    assert table.num_row_words == 5
    assert table.num_words == 7  # wind, and, sail, bread; wind and, and sail, and bread


def test_the_words_of_the_table_are_counted_through_evictions_growth_and_a_reload() -> None:
    text = TextFeatures(encoder=None)
    table = TextTable(text=text, max_bytes=1)  # 1,024 slots at least
    counted = []
    for row in range(200):
        text.begin(Batch([" ".join(f"w{row}x{i}" for i in range(4))], [{}]))
        text.encode(0)
        table.claim()
        if row == 100:
            table.grow_to(2)
        counted.append(table.num_words == np.count_nonzero(table.state_dict()["features"] < BLOCK_SIZE))
    assert all(counted)
    assert 0 < table.num_words < 1024
    resumed = TextTable(text=text, max_bytes=1)
    resumed.load_state_dict(table.state_dict())
    assert resumed.num_words == table.num_words


def test_a_text_with_more_features_than_the_table_has_slots_is_learned() -> None:
    text = TextFeatures(encoder=None)
    table = TextTable(text=text, max_bytes=1)
    for row in range(3):
        text.begin(Batch([" ".join(f"{row}w{i}" for i in range(600))], [{}]))
        text.encode(0)
        slots = table.claim()
        assert len(slots) > 1024
        assert len(np.unique(slots)) == len(slots)
        assert slots.max() < len(table.cells)
        table.cells[slots] += 1.0
    assert table.num_slots == len(slots)
