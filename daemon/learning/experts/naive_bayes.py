"""Multinomial naive Bayes over the hashed features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.compiled import compiled
from daemon.learning.experts.base import Expert
from daemon.learning.experts.slots import Cells, Slots
from daemon.learning.experts.text_table import TextTable
from daemon.learning.features.text import TextFeatures
from daemon.state import State

Floats = NDArray[np.float64]
Values = NDArray[np.float32]


class NaiveBayes(Expert):
    """score_k = ln(prior_k) + Σ_j x_j ln((n_jk + α) / (n_k + α V)), with n_jk the x_j of class k's rows, V the features seen.

    x is the value of a feature in its row, not its raw count, which keeps long texts from being certain. α is small: what
    one label alone has had counts for much, which is what the linear experts say least about. `table` is one that another
    expert of the pool holds; without it, its own.

    >>> text = TextFeatures(encoder=None)
    >>> text.indices, text.values = np.array([7], np.int32), np.ones(1, np.float32)
    >>> bayes = NaiveBayes(text=text, smoothing=0.5)
    >>> bayes.grow()
    >>> bayes.learn(0, 1.0)
    >>> bayes.predict().round(4).tolist()      # 1.5 rows · 1.5 / 2 against .5 · .5 / 1
    [0.8182, 0.1818]
    """

    def __init__(
        self, *, text: TextFeatures, smoothing: float = 0.001, table: TextTable | None = None, name: str = "naive_bayes"
    ) -> None:
        self.name = name
        self._text = text
        self._smoothing = smoothing
        self._is_holder = table is None
        self._table = table or TextTable(text=text)
        self._total_K = np.zeros(1)  # Σ_j n_jk
        self._rows_K = np.zeros(1)

    def predict(self) -> Floats:
        return self._predict(np.log(self._rows_K + 0.5))

    def predict_balanced(self) -> Floats:
        return self._predict(np.zeros(len(self._rows_K)))

    def _predict(self, p_K: Floats) -> Floats:
        """The distribution, into the logarithms of a prior."""
        total_K = self._total_K + self._smoothing * (self._table.num_slots + 1)
        slots, values = self._table.find(), self._text.values
        add_scores(slots, values, self._table.cells, self._table.log, total_K, self._smoothing, p_K)
        _to_distribution(p_K)
        return p_K

    def learn(self, target: float, weight: float) -> None:
        if weight <= 0.0:
            return
        label = int(target)
        slots, planes = self._table.claim(), (self._table.count, self._table.log)  # which may move the cells
        self._total_K[label] += count(slots, self._text.values, label, weight, self._table.cells, planes, self._smoothing)
        self._rows_K[label] += weight

    def grow(self) -> None:
        self._total_K = np.append(self._total_K, 0.0)
        self._rows_K = np.append(self._rows_K, 0.0)
        self._table.grow_to(len(self._rows_K))

    def num_bytes(self) -> int:
        return self._total_K.nbytes + self._rows_K.nbytes + (self._table.num_bytes() if self._is_holder else 0)

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
        return {"totals": self._total_K.copy(), "rows": self._rows_K.copy()}

    def _load_counts(self, state: State) -> None:
        self._total_K = np.array(state["totals"], dtype=np.float64)
        self._rows_K = np.array(state["rows"], dtype=np.float64)


@compiled
def add_scores(
    slots: Slots, values: Values, cells: Cells, log_plane: int, total_K: Floats, smoothing: float, score_K: Floats
) -> None:
    """Add Σ_j x_j ln((n_jk + smoothing) / total_k) to each class's score; a feature without a slot has been in no class."""
    num_classes = len(score_K)
    table = cells.reshape(cells.shape[0], -1)
    start = log_plane * cells.shape[2]
    length = 0.0
    for i in range(len(slots)):
        x = float(values[i])
        length += x
        if slots[i] >= 0:
            row_K = table[slots[i], start : start + num_classes]
            for k in range(num_classes):
                score_K[k] += x * row_K[k]
    for k in range(num_classes):
        score_K[k] += length * (np.log(smoothing) - np.log(total_K[k]))


@compiled
def _to_distribution(p_K: Floats) -> None:
    top = p_K.max()
    total = 0.0
    for k in range(len(p_K)):
        p_K[k] = np.exp(p_K[k] - top) + 1e-12
        total += p_K[k]
    p_K /= total


@compiled
def count(
    slots: Slots, values: Values, label: int, weight: float, cells: Cells, planes: tuple[int, int], smoothing: float
) -> float:
    """Count a row's features for its class, in the first of `planes`; in the second, how far the logarithm of a count is
    above that of none: ln((n + smoothing) / smoothing), so that predicting takes none. Returns what was counted in all."""
    total = 0.0
    for i in range(len(slots)):
        counted = cells[slots[i], planes[0], label] + np.float32(weight) * values[i]
        cells[slots[i], planes[0], label] = counted
        cells[slots[i], planes[1], label] = np.log(counted / smoothing + 1.0)
        total += weight * values[i]
    return total
