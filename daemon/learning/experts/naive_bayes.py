"""Multinomial naive Bayes over the hashed features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.slots import Cells, Slots
from daemon.learning.experts.text_table import TextTable, TextTableExpert
from daemon.learning.features.hashing import Values
from daemon.learning.features.text import TextFeatures
from daemon.state import State

Floats = NDArray[np.float64]

# So many classes are few, to a loop over them for each feature.
FEW = 16


class NaiveBayes(TextTableExpert):
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
        super().__init__(text=text, table=table, name=name)
        self._smoothing = smoothing
        self._total_K = np.zeros(1)  # Σ_j n_jk
        self._rows_K = np.zeros(1)

    def predict(self) -> Floats:
        return self._predict(np.log(self._rows_K + 0.5))

    def predict_balanced(self) -> Floats:
        return self._predict(np.zeros(len(self._rows_K)))

    def _predict(self, p_K: Floats) -> Floats:
        """The distribution, into the logarithms of a prior."""
        total_K = self._total_K + self._smoothing * (self._table.num_slots + 1)
        for block in self._table.find():
            add_scores(block.slots, block.values, block.cells, block.log, total_K, self._smoothing, p_K)
        _to_distribution(p_K)
        return p_K

    def learn(self, target: float, weight: float) -> None:
        if weight <= 0.0:
            return
        label = int(target)
        for block in self._table.claim():
            planes = block.log + block.num_planes, block.log
            self._total_K[label] += count(block.slots, block.values, label, weight, block.cells, planes, self._smoothing)
        self._rows_K[label] += weight

    def grow(self) -> None:
        self._total_K = np.append(self._total_K, 0.0)
        self._rows_K = np.append(self._rows_K, 0.0)
        self._table.grow_to(len(self._rows_K))

    def _own(self) -> State:
        return {"totals": self._total_K.copy(), "rows": self._rows_K.copy()}

    def _load_own(self, state: State) -> None:
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
        length += float(values[i])
    if num_classes > FEW:
        for i in range(len(slots)):
            if slots[i] >= 0:
                row_K = table[slots[i], start : start + num_classes]
                for k in range(num_classes):
                    score_K[k] += float(values[i]) * row_K[k]
    else:  # a loop over few classes would cost more than what it does
        for k in range(num_classes):
            score = score_K[k]
            for i in range(len(slots)):
                if slots[i] >= 0:
                    score += float(values[i]) * table[slots[i], start + k]
            score_K[k] = score
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
