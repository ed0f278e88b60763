"""Naive Bayes over the columns of a table: each class's Gaussian for numbers, each class's counts for categories."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.base import Expert, array_bytes
from daemon.learning.experts.slots import Cells, Slots, SlotTable
from daemon.learning.experts.tempered import TemperedSoftmax
from daemon.learning.experts.word_bayes import WordBayes
from daemon.learning.features.column_kernels import RARE
from daemon.learning.features.sparse_row import CATEGORY_BITS, MAX_SLOTS
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.table_kernels import CATEGORY, MISSING, NUMBER
from daemon.state import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Each class's counts of categories are kept within these bytes.
MAX_BYTES = 64 << 20
# The narrowest Gaussian, as a share of the column's own variance over all classes; and of a column that is constant.
NARROWEST = 1e-3
LOG_NARROWEST = math.log(NARROWEST)
LEAST_VARIANCE = 1e-12
NO_FEATURES = np.empty(0, np.int32)
# Of a column and class: of its numbers the weight, the mean, the sum of squares about it and the logarithm of their variance;
# and as predicting reads them, centre, precision, constant. The weight of its categories. Then how much weight had a value, how
# much had none, and the logarithms of both shares.
WEIGHT, MEAN, SQUARES, LOG_VARIANCE, CENTRE, PRECISION, CONSTANT = range(7)
CATEGORIES, PRESENT, ABSENT, LOG_PRESENT, LOG_ABSENT, NUM_STATS = range(7, 13)


class TableBayes(Expert):
    """score_k = ln(rows_k + ½) + Σ_n ln p(x_n | k) over the columns with a value, under a learned temperature.

    A number's Gaussian is what n rows tell of the next one (empirical Bayes): the mean of a class is one of many around that of
    the column, and its variance is that of its rows and of one more, which is as wide as classes are:

        mean m + (m_k - m) · n / (n + w / v), variance ((n - 1) · s_k² + w) / n · (1 + 1 / (n + w / v)),

    m and v of the column over all classes; w the geometric mean of v and the s_k², each with its degrees of freedom. So a
    column that decides the class is told from one that does not by a few rows, and no class is certain by its first. A category
    has (its count in the class + 1) of (the column's categories in the class + how many there are + 1). It forgets nothing, and
    a category seen once counts at once: what an identifier decides is known from its second row on. With `words`, which stand
    before it in the pool, what they say of the row's text is added. Without ln(rows_k + ½) the answer is a balanced one: what
    was learned of a class does not fade while others come.

    Where a column has no value in most rows, whether it has one counts, too: p(present | k) is its share among the class's rows
    and one more, which is as the column is over all classes.

    Memory: 96 bytes a column and class, and the 2¹⁸ categories that came last within 64 MiB (see `SlotTable`).

    >>> bayes = TableBayes(name="bayes", table=TableFeatures())
    >>> bayes.grow()
    >>> bayes.learn(0, 1.0)
    >>> bayes.predict().round(4).tolist()      # no columns: 1.5 rows against .5
    [0.75, 0.25]
    """

    is_simple = True

    def __init__(self, *, name: str, table: TableFeatures, words: WordBayes | None = None) -> None:
        self.name = name
        self._table, self._words = table, words
        self._softmax = TemperedSoftmax(temperature=1.0, rate=0.1, discounts_new=False)
        self._slots = SlotTable(num_features=1 << CATEGORY_BITS, num_planes=1, max_bytes=MAX_BYTES, max_slots=MAX_SLOTS)
        self._rows_K = np.zeros(1)
        # The last of the classes is not the spare but all of them together.
        self._column_NKS = np.zeros((0, 2, NUM_STATS))
        self._num_categories_N = np.zeros(0)

    def predict(self) -> Floats:
        return self._softmax.predict(self._score(np.log(self._rows_K + 0.5)))

    def predict_balanced(self) -> Floats:
        return self._softmax.of(self._score(np.zeros(len(self._rows_K))))

    def _score(self, prior_K: Floats) -> Floats:
        """(K,) the logarithms of a prior, of what each column and of what the words say."""
        features = self._features()
        slots = self._slots.find(features) if len(features) else features
        score_K = _scores(
            prior_K, self._table.row.known_N, self._table.row.value_N, slots, self._slots.cells, self._num_categories_N,
            self._column_NKS,
        )  # fmt: skip
        if self._words:
            score_K += self._words.score_K
        return score_K

    def learn(self, target: float, weight: float) -> None:
        if weight == 0.0:
            return
        label, known_N = int(target), self._table.row.known_N
        self._softmax.learn(label, weight)
        self._fit_width(len(known_N))
        if len(features := self._features()):
            self._num_categories_N[np.flatnonzero(known_N == CATEGORY)[self._slots.find(features) < 0]] += 1.0
            slots = self._slots.claim(features)  # which may move the cells
            self._slots.cells[slots, 0, label] += np.float32(weight)
        _learn(known_N, self._table.row.value_N, label, weight, self._column_NKS)
        self._rows_K[label] += weight

    def _features(self) -> NDArray[np.int32]:
        """The hashed categories of the current row, in the order of their columns."""
        if not self._table.row.categorical:
            return NO_FEATURES
        category_N = self._table.row.category_N[self._table.row.known_N == CATEGORY]
        features: NDArray[np.int32] = (category_N >> np.uint64(64 - CATEGORY_BITS)).astype(np.int32)
        return features

    def _fit_width(self, num_columns: int) -> None:
        missing = num_columns - len(self._column_NKS)
        if missing > 0:
            self._column_NKS = np.pad(self._column_NKS, ((0, missing), (0, 0), (0, 0)))
            self._num_categories_N = np.pad(self._num_categories_N, (0, missing))

    def grow(self) -> None:
        self._softmax.grow()
        self._slots.grow()
        self._rows_K = np.append(self._rows_K, 0.0)
        spare = self._column_NKS.shape[1] - 2
        self._column_NKS = np.insert(self._column_NKS, spare, self._column_NKS[:, spare], axis=1)

    def num_bytes(self) -> int:
        return array_bytes(self._counts()) + self._slots.num_bytes()

    def state_dict(self) -> State:
        return self._counts() | {"slots": self._slots.state_dict()}

    def weights(self) -> State:
        return self._counts() | {"slots": self._slots.weights(1)}

    def load_state_dict(self, state: State) -> None:
        self._slots.load_state_dict(state["slots"])
        self._load_counts(state)

    def load_weights(self, state: State) -> None:
        self._slots.load_weights(state["slots"])
        self._load_counts(state)

    def _counts(self) -> State:
        return {
            "rows": self._rows_K.copy(),
            "columns": self._column_NKS.copy(),
            "num_categories": self._num_categories_N.copy(),
            "softmax": self._softmax.state_dict(),
        }

    def _load_counts(self, state: State) -> None:
        expected = len(state["rows"]) + 1, NUM_STATS
        if state["columns"].shape[1:] != expected:  # kernels would read beside it, and see nothing wrong
            raise ValueError(f"naive Bayes holds {state['columns'].shape[1:]} numbers a column, not {expected}")
        self._rows_K = np.array(state["rows"], dtype=np.float64)
        self._column_NKS = np.array(state["columns"], dtype=np.float64)
        self._num_categories_N = np.array(state["num_categories"], dtype=np.float64)
        self._softmax.load_state_dict(state["softmax"])


@compiled
def _scores(
    prior_K: Floats, known_N: Ints, value_N: Floats, slots: Slots, cells: Cells, num_categories_N: Floats, column_NKS: Floats
) -> Floats:
    """(K,) the logarithms of the prior and of each column, summed."""
    score_K: Floats = prior_K.copy()
    next_slot, every = 0, column_NKS.shape[1] - 1
    for n in range(min(len(known_N), len(column_NKS))):
        if column_NKS[n, every, ABSENT] > RARE * column_NKS[n, every, PRESENT]:
            which = LOG_ABSENT if known_N[n] == MISSING else LOG_PRESENT
            for k in range(len(score_K)):
                score_K[k] += column_NKS[n, k, which]
        if known_N[n] == NUMBER:
            for k in range(len(score_K)):
                apart = value_N[n] - column_NKS[n, k, CENTRE]
                score_K[k] += column_NKS[n, k, CONSTANT] - 0.5 * apart * apart * column_NKS[n, k, PRECISION]
        elif known_N[n] == CATEGORY:
            slot = slots[next_slot]
            next_slot += 1
            for k in range(len(score_K)):
                count = float(cells[slot, 0, k]) if slot >= 0 else 0.0
                score_K[k] += np.log((count + 1.0) / (column_NKS[n, k, CATEGORIES] + num_categories_N[n] + 1.0))
    return score_K


@compiled
def _learn(known_N: Ints, value_N: Floats, label: int, weight: float, column_NKS: Floats) -> None:
    """Welford 1962, for the class and for all together; then what predicting reads."""
    every = column_NKS.shape[1] - 1
    for n in range(len(known_N)):
        _learn_presence(known_N[n] != MISSING, label, weight, column_NKS[n])
        if known_N[n] == CATEGORY:
            column_NKS[n, label, CATEGORIES] += weight
        elif known_N[n] == NUMBER:
            for k in (label, every):
                column_S = column_NKS[n, k]
                column_S[WEIGHT] += weight
                apart = value_N[n] - column_S[MEAN]
                column_S[MEAN] += apart * (weight / column_S[WEIGHT])
                column_S[SQUARES] += weight * apart * (value_N[n] - column_S[MEAN])
            freedom = column_NKS[n, label, WEIGHT] - 1.0
            if freedom > 0.0:
                column_NKS[n, label, LOG_VARIANCE] = np.log(max(column_NKS[n, label, SQUARES] / freedom, LEAST_VARIANCE))
            _fit_gaussians(column_NKS[n])


@compiled
def _fit_gaussians(column_KS: Floats) -> None:
    """What predicting reads of each class, and of the spare, whose weight is 0."""
    every = len(column_KS) - 1
    mean = column_KS[every, MEAN]
    variance = max(column_KS[every, SQUARES] / column_KS[every, WEIGHT], LEAST_VARIANCE)
    log_variance = np.log(variance)
    log_within, rows_within = log_variance, 1.0
    for k in range(every):
        freedom = max(column_KS[k, WEIGHT] - 1.0, 0.0)
        log_within += freedom * min(max(column_KS[k, LOG_VARIANCE], log_variance + LOG_NARROWEST), log_variance)
        rows_within += freedom
    within = np.exp(log_within / rows_within)
    prior = within / variance
    for k in range(every):
        rows = column_KS[k, WEIGHT]
        column_KS[k, CENTRE] = mean + (column_KS[k, MEAN] - mean) * (rows / (rows + prior))
        own = (column_KS[k, SQUARES] + within) / max(rows, 1.0) * (1.0 + 1.0 / (rows + prior))
        own = max(own, NARROWEST * variance)
        column_KS[k, PRECISION] = 1.0 / own
        column_KS[k, CONSTANT] = -0.5 * np.log(own)


@compiled
def _learn_presence(present: bool, label: int, weight: float, column_KS: Floats) -> None:
    """Count the row for the class and for all together; then the logarithms of the class and of the spare, or, where a value
    is missing for the first time, of every class."""
    every = len(column_KS) - 1
    first = column_KS[every, ABSENT] == 0.0
    for k in (label, every):
        column_KS[k, PRESENT if present else ABSENT] += weight
    absent = column_KS[every, ABSENT]
    if absent == 0.0:
        return
    share = (column_KS[every, PRESENT] + 0.5) / (column_KS[every, PRESENT] + absent + 1.0)
    for k in range(every):
        if first or k == label or k == every - 1:
            rows = column_KS[k, PRESENT] + column_KS[k, ABSENT] + 1.0
            column_KS[k, LOG_PRESENT] = np.log((column_KS[k, PRESENT] + share) / rows)
            column_KS[k, LOG_ABSENT] = np.log((column_KS[k, ABSENT] + 1.0 - share) / rows)
