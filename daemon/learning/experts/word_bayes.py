"""Multinomial naive Bayes over the words alone, as they are counted in textbooks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts.base import Expert, array_bytes
from daemon.learning.experts.naive_bayes import Values, add_scores, count
from daemon.learning.experts.tempered import TemperedSoftmax
from daemon.learning.experts.text_table import TextTable
from daemon.learning.features.text import TextFeatures
from daemon.state import State

Floats = NDArray[np.float64]

SMOOTHING = 1.0


class WordBayes(Expert):
    """score_k = ln(rows_k + ½) + Σ_j x_j ln((n_jk + 1) / (n_k + V)) over words and pairs of words, under a learned temperature.

    x is 1 + ln of how often a word is in the text, V the words seen. Where short texts are a few words of a topic no learner
    is quicker; `NaiveBayes` looks at bytes too, and trusts a feature seen once far more. `table` is one that another expert
    of the pool holds; without it, its own.

    >>> text = TextFeatures(encoder=None)
    >>> text.indices, text.values = np.array([7], np.int32), np.ones(1, np.float32)
    >>> bayes = WordBayes(text=text)
    >>> bayes.grow()
    >>> _ = bayes.predict()
    >>> bayes.learn(0, 1.0)
    >>> bayes.predict().round(4).tolist()      # 1.5 rows · 2 / 3 against .5 · 1 / 2
    [0.8, 0.2]
    """

    def __init__(self, *, text: TextFeatures, table: TextTable | None = None, name: str = "word_bayes") -> None:
        self.name = name
        self._text = text
        self._is_holder = table is None
        self._table = table or TextTable(text=text)
        self._softmax = TemperedSoftmax(temperature=1.0, rate=0.1, discounts_new=False)
        self._total_K = np.zeros(1)
        self._rows_K = np.zeros(1)
        self._value_N: Values = np.zeros(0, dtype=np.float32)  # of the words of the row predicted last
        self.score_K = np.zeros(1)
        """What the words of the row predicted last say, without the prior: another expert may add to it."""

    def predict(self) -> Floats:
        slots, num_words = self._table.find(), self._table.num_row_words
        self._value_N = self._text.values[:num_words]
        if num_words:
            self._value_N = self._value_N / self._value_N.min()
        self.score_K = np.zeros(len(self._rows_K))
        total_K = self._total_K + (self._table.num_words + 1)
        add_scores(slots[:num_words], self._value_N, self._table.cells, self._table.word_log, total_K, SMOOTHING, self.score_K)
        return self._softmax.predict(self.score_K + np.log(self._rows_K + 0.5))

    def learn(self, target: float, weight: float) -> None:
        if weight <= 0.0:
            return
        label, planes = int(target), (self._table.word_count, self._table.word_log)
        self._softmax.learn(label, weight)
        slots = self._table.claim()[: len(self._value_N)]  # which may move the cells
        self._total_K[label] += count(slots, self._value_N, label, weight, self._table.cells, planes, SMOOTHING)
        self._rows_K[label] += weight

    def grow(self) -> None:
        self._softmax.grow()
        self._total_K = np.append(self._total_K, 0.0)
        self._rows_K = np.append(self._rows_K, 0.0)
        self._table.grow_to(len(self._rows_K))

    def num_bytes(self) -> int:
        return array_bytes(self._counts()) + (self._table.num_bytes() if self._is_holder else 0)

    def state_dict(self) -> State:
        return self._counts() | ({"table": self._table.state_dict()} if self._is_holder else {})

    def weights(self) -> State:
        return self._counts() | ({"table": self._table.weights()} if self._is_holder else {})

    def load_state_dict(self, state: State) -> None:
        if self._is_holder:
            self._table.load_state_dict(state["table"])
        self._load_counts(state)

    def load_weights(self, state: State) -> None:
        if self._is_holder:
            self._table.load_weights(state["table"])
        self._load_counts(state)

    def _counts(self) -> State:
        return {"totals": self._total_K.copy(), "rows": self._rows_K.copy(), "softmax": self._softmax.state_dict()}

    def _load_counts(self, state: State) -> None:
        self._softmax.load_state_dict(state["softmax"])
        self._total_K = np.array(state["totals"], dtype=np.float64)
        self._rows_K = np.array(state["rows"], dtype=np.float64)
