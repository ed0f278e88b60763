"""What the experts on a text hold of each hashed word and byte 4-gram, side by side in one table."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from daemon.learning.experts.base import Expert, array_bytes
from daemon.learning.experts.slots import Cells, Slots, SlotTable
from daemon.learning.features.hashing import BLOCK_SIZE, Indices, Values
from daemon.learning.features.text import TextFeatures
from daemon.state import State

# Words are held to their full number where there are few classes; there are more of them than of 4-grams in a text's language.
WORD_BYTES, GRAM_BYTES = 384 << 20, 128 << 20
_FIRST_GRAM = np.int32(BLOCK_SIZE)


class Block:
    """The words of texts, or their byte 4-grams: a `SlotTable`, and where the features of the current row stand in it.

    Predicting reads the first `num_planes` planes alone. As many more hold what each of them was learned from: plane
    `p + num_planes` has the sum of squared gradients beside a weight, the count beside its logarithm.
    """

    def __init__(self, *, first_feature: int, num_planes: int, max_bytes: int) -> None:
        self._first_feature = first_feature
        self.num_planes = num_planes
        self.log = num_planes - 1
        """The plane of the logarithms of what naive Bayes counted over words and bytes."""
        self.table = SlotTable(num_features=BLOCK_SIZE, num_planes=2 * num_planes, max_bytes=max_bytes)
        self.values: Values = np.zeros(0, dtype=np.float32)
        self.slots: Slots = np.zeros(0, dtype=np.int32)
        """(n,) of the current row's features; -1 where there is none."""
        self._indices: Indices = np.zeros(0, dtype=np.int32)

    @property
    def cells(self) -> Cells:
        """(S, P, capacity), as `SlotTable` has them; a claim may move them."""
        return self.table.cells

    def find(self, indices: Indices, values: Values) -> None:
        self._indices, self.values = indices - np.int32(self._first_feature), values
        self.slots = self.table.find(self._indices)

    def claim(self) -> None:
        self.slots = self.table.claim(self._indices, self.slots)


class TextTable:
    """The features of a text that several experts share: a row is looked up once, and a feature's numbers lie beside each
    other, which is most of what a row of text costs.

    Planes of both blocks are `num_softmaxes` of weights, one a rate, and what naive Bayes counted of words and bytes, as
    logarithms; `words` has those of `num_logistic` logistic regressions and of `WordBayes` besides.

    One expert holds the table, with its state; the others are given it. Each of them claims the row's slots when it learns,
    and grows the table to its own number of classes: what another has done for the row is not done again.
    """

    def __init__(
        self,
        *,
        text: TextFeatures,
        num_softmaxes: int = 0,
        num_logistic: int = 0,
        word_bytes: int = WORD_BYTES,
        gram_bytes: int = GRAM_BYTES,
    ) -> None:
        self._text = text
        self.logistic, self.word_log = num_softmaxes, num_softmaxes + num_logistic
        """Planes of `words`: the first of the logistic regressions, and the logarithms of what `WordBayes` counted."""
        self.words = Block(first_feature=0, num_planes=self.word_log + 2, max_bytes=word_bytes)
        self.grams = Block(first_feature=BLOCK_SIZE, num_planes=num_softmaxes + 1, max_bytes=gram_bytes)
        self._blocks = (self.words, self.grams)
        self._row: Indices | None = None  # which was looked up; one that was learned has claimed its slots
        self._claimed = False

    @property
    def num_slots(self) -> int:
        return self.words.table.num_slots + self.grams.table.num_slots

    def find(self) -> tuple[Block, Block]:
        """Words and 4-grams, looked up for the current row."""
        if self._row is not self._text.indices:
            self._row, self._claimed = self._text.indices, False
            num_words = int(self._row.searchsorted(_FIRST_GRAM))  # which stand first
            self.words.find(self._row[:num_words], self._text.values[:num_words])
            self.grams.find(self._row[num_words:], self._text.values[num_words:])
        return self._blocks

    def claim(self) -> tuple[Block, Block]:
        """The same, where every feature has a slot from now on."""
        self.find()
        if not self._claimed:
            self._claimed = True
            for block in self._blocks:
                block.claim()
        return self._blocks

    def grow_to(self, num_classes: int) -> None:
        if self.words.table.num_classes < num_classes:
            for block in self._blocks:
                block.table.grow()
            self._row = None  # its slots have moved

    def num_bytes(self) -> int:
        return sum(block.table.num_bytes() for block in self._blocks)

    def state_dict(self) -> State:
        return {"words": self.words.table.state_dict(), "grams": self.grams.table.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.words.table.load_state_dict(state["words"])
        self.grams.table.load_state_dict(state["grams"])
        self._row = None

    def weights(self) -> State:
        words, grams = self._blocks
        return {"words": words.table.weights(words.num_planes), "grams": grams.table.weights(grams.num_planes)}

    def load_weights(self, state: State) -> None:
        self.words.table.load_weights(state["words"])
        self.grams.table.load_weights(state["grams"])
        self._row = None


class TextTableExpert(Expert):
    """An expert on a table that another expert of the pool holds; without one, on its own."""

    def __init__(self, *, text: TextFeatures, table: TextTable | None, name: str) -> None:
        self.name = name
        self._text = text
        self._is_holder = table is None
        self._table = table or TextTable(text=text)

    @abstractmethod
    def _own(self) -> State:
        """What it holds beside the table, which predicting needs."""

    @abstractmethod
    def _load_own(self, state: State) -> None: ...

    def num_bytes(self) -> int:
        return array_bytes(self._own()) + (self._table.num_bytes() if self._is_holder else 0)

    def state_dict(self) -> State:
        return self._own() | ({"table": self._table.state_dict()} if self._is_holder else {})

    def load_state_dict(self, state: State) -> None:
        if self._is_holder:
            self._table.load_state_dict(state["table"])
        self._load_own(state)

    def weights(self) -> State:
        return self._own() | ({"table": self._table.weights()} if self._is_holder else {})

    def load_weights(self, state: State) -> None:
        if self._is_holder:
            self._table.load_weights(state["table"])
        self._load_own(state)
