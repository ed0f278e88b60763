"""What the experts on a text hold of each hashed word and byte 4-gram, side by side in one table."""

from __future__ import annotations

import numpy as np

from daemon.learning.experts.slots import Cells, Slots, SlotTable
from daemon.learning.features.hashing import BLOCK_SIZE, NUM_FEATURES, Indices
from daemon.learning.features.text import TextFeatures
from daemon.state import State


class TextTable:
    """A `SlotTable` over the features of a text that several experts share: a row is looked up once, and a feature's numbers
    lie beside each other, which is most of what a row of text costs.

    Planes, of which predicting reads those before `squares` alone: R of `weights` of linear softmaxes, one a rate; what naive
    Bayes counted of words, and of words and bytes, as logarithms; the softmaxes' R of `squares`; and the counts themselves.

    One expert holds the table, with its state; the others are given it. Each of them claims the row's slots when it learns,
    and grows the table to its own number of classes: what another has done for the row is not done again.
    """

    def __init__(self, *, text: TextFeatures, num_rates: int = 0, max_bytes: int = 384 << 20) -> None:
        self._text = text
        self.word_log, self.log = num_rates, num_rates + 1
        self.squares = num_rates + 2
        self.word_count, self.count = 2 * num_rates + 2, 2 * num_rates + 3
        self._table = SlotTable(num_features=NUM_FEATURES, num_planes=2 * num_rates + 4, max_bytes=max_bytes)
        self.num_words = 0
        """How many words and pairs of words have a slot."""
        self._row: Indices | None = None  # of which `_slots` are; one that was learned has claimed them
        self._slots: Slots = np.zeros(0, dtype=np.int32)
        self._claimed = False
        self.num_row_words = 0
        """How many of the current row's features are words or pairs of words, which stand first."""

    @property
    def cells(self) -> Cells:
        """(S, P, capacity), as `SlotTable` has them; a claim may move them."""
        return self._table.cells

    @property
    def num_slots(self) -> int:
        return self._table.num_slots

    def find(self) -> Slots:
        """(n,) the slots of the current row's features, words first; -1 where there is none."""
        if self._row is not self._text.indices:
            self._row, self._claimed = self._text.indices, False
            self.num_row_words = int(np.searchsorted(self._row, np.int32(BLOCK_SIZE)))
            self._slots = self._table.find(self._row)
            self._table.fetch(self._slots)
        return self._slots

    def claim(self) -> Slots:
        """(n,) the same, where every feature has one from now on."""
        self.find()
        if not self._claimed:
            num_slots, num_evictions = self._table.num_slots, self._table.num_evictions
            self._slots, self._claimed = self._table.claim(self._text.indices, self._slots), True
            if self._table.num_evictions == num_evictions:
                self.num_words += self._count_words(num_slots)
            else:
                self.num_words = self._count_words(0)
        return self._slots

    def grow_to(self, num_classes: int) -> None:
        if self._table.num_classes < num_classes:
            self._table.grow()
            self._forget_row()

    def _forget_row(self) -> None:
        """The slots have moved."""
        self._row = None
        self.num_words = self._count_words(0)

    def _count_words(self, first_slot: int) -> int:
        return int(np.count_nonzero(self._table.features[first_slot:] < BLOCK_SIZE))

    def num_bytes(self) -> int:
        return self._table.num_bytes()

    def state_dict(self) -> State:
        return self._table.state_dict()

    def load_state_dict(self, state: State) -> None:
        self._table.load_state_dict(state)
        self._forget_row()

    def weights(self) -> State:
        return self._table.weights(self.squares)

    def load_weights(self, state: State) -> None:
        self._table.load_weights(state)
        self._forget_row()
