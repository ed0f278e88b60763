"""Multinomial naive Bayes over the words alone, as they are counted in textbooks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.naive_bayes import add_scores, count
from daemon.learning.experts.tempered import TemperedSoftmax
from daemon.learning.experts.text_table import TextTable, TextTableExpert
from daemon.learning.features.hashing import Values
from daemon.learning.features.text import TextFeatures
from daemon.state import State

Floats = NDArray[np.float64]

SMOOTHING = 1.0


class WordBayes(TextTableExpert):
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

    is_simple = True

    def __init__(self, *, text: TextFeatures, table: TextTable | None = None, name: str = "word_bayes") -> None:
        super().__init__(text=text, table=table, name=name)
        self._softmax = TemperedSoftmax(temperature=1.0, rate=0.1, discounts_new=False)
        self._total_K = np.zeros(1)
        self._rows_K = np.zeros(1)
        self._value_N: Values = np.zeros(0, dtype=np.float32)  # of the words of the row predicted last
        self.score_K = np.zeros(1)
        """What the words of the row predicted last say, without the prior: another expert may add to it."""

    def predict(self) -> Floats:
        words, _ = self._table.find()
        self._value_N = _from_one(words.values)
        self.score_K = np.zeros(len(self._rows_K))
        total_K = self._total_K + (words.table.num_slots + 1)
        add_scores(words.slots, self._value_N, words.cells, self._table.word_log, total_K, SMOOTHING, self.score_K)
        return self._softmax.predict(self.score_K + np.log(self._rows_K + 0.5))

    def learn(self, target: float, weight: float) -> None:
        if weight <= 0.0:
            return
        label = int(target)
        self._softmax.learn(label, weight)
        words, _ = self._table.claim()
        planes = self._table.word_log + words.num_planes, self._table.word_log
        self._total_K[label] += count(words.slots, self._value_N, label, weight, words.cells, planes, SMOOTHING)
        self._rows_K[label] += weight

    def grow(self) -> None:
        self._softmax.grow()
        self._total_K = np.append(self._total_K, 0.0)
        self._rows_K = np.append(self._rows_K, 0.0)
        self._table.grow_to(len(self._rows_K))

    def _own(self) -> State:
        return {"totals": self._total_K.copy(), "rows": self._rows_K.copy(), "softmax": self._softmax.state_dict()}

    def _load_own(self, state: State) -> None:
        self._softmax.load_state_dict(state["softmax"])
        self._total_K = np.array(state["totals"], dtype=np.float64)
        self._rows_K = np.array(state["rows"], dtype=np.float64)


@compiled
def _from_one(value_N: Values) -> Values:
    """The values before the text was scaled, where that of a word that comes once is 1."""
    return value_N / value_N.min() if len(value_N) else value_N.copy()
