"""The table that the experts on a text share: to each as if it were its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert
from daemon.learning.experts.logistic import LogisticBank
from daemon.learning.experts.naive_bayes import NaiveBayes
from daemon.learning.experts.softmax import SoftmaxBank
from daemon.learning.experts.text_table import TextTable
from daemon.learning.experts.word_bayes import WordBayes
from daemon.learning.features.text import TextFeatures
from tests.contracts.expert_checks import assert_same_state
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
    bank = SoftmaxBank(text=text, lda=None, num_logistic=2)
    table = bank.table
    shared = [*bank.experts(), NaiveBayes(text=text, table=table), WordBayes(text=text, table=table)]
    shared += LogisticBank(text=text, table=None, words=table).experts()
    alone = [*SoftmaxBank(text=text, lda=None).experts(), NaiveBayes(text=text), WordBayes(text=text)]
    alone += LogisticBank(text=text, table=None).experts()
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
        words, grams = table.find()
        assert (words.slots < 0).any()
        assert (grams.slots < 0).any()
        table.claim()
        first = words.slots, grams.slots
        assert all((slots >= 0).all() for slots in first)
        table.claim()
        table.find()
        assert (words.slots, grams.slots) == first  # the very arrays
    assert words.table.state_dict()["clock"] == grams.table.state_dict()["clock"] == 2
    assert len(words.slots) == 5
    assert words.table.num_slots == 7  # wind, and, sail, bread; wind and, and sail, and bread


def test_words_and_bytes_are_forgotten_apart_and_what_is_left_goes_on_after_a_reload() -> None:
    text = TextFeatures(encoder=None)
    table, resumed = (TextTable(text=text, word_bytes=1, gram_bytes=1) for _ in range(2))  # 1,024 slots at least

    def claim(tables: Sequence[TextTable], row: int) -> None:
        text.begin(Batch([" ".join(f"w{row}x{i}" for i in range(4)) if row % 5 else "abcd" * row], [{}]))
        text.encode(0)
        for each in tables:
            for block in each.claim():
                block.cells[block.slots] += 1.0

    numbers = set()
    for row in range(300):
        claim([table], row)
        if row == 100:
            table.grow_to(2)
        numbers.add(table.grams.table.num_slots)
    claimed = 300 * 7 * 4 // 5  # four words and their pairs, in four of five rows
    assert 512 < table.words.table.num_slots <= 1024 < claimed
    assert table.grams.table.num_slots == max(numbers) <= 1024  # of which none was forgotten
    resumed.load_state_dict(table.state_dict())
    for row in range(300, 500):
        claim([table, resumed], row)
    assert_same_state(table.state_dict(), resumed.state_dict())


def test_a_text_with_more_features_than_the_table_has_slots_is_learned() -> None:
    text = TextFeatures(encoder=None)
    table = TextTable(text=text, word_bytes=1, gram_bytes=1)
    for row in range(3):
        text.begin(Batch([" ".join(f"{row}w{i}" for i in range(600))], [{}]))
        text.encode(0)
        for block in table.claim():
            assert len(block.slots) > 1024
            assert len(np.unique(block.slots)) == len(block.slots) <= block.table.num_slots
            assert block.slots.max() < len(block.cells)
            block.cells[block.slots] += 1.0
