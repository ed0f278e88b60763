"""Multinomial naive Bayes over the hashed features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.compiled import compiled
from daemon.learning.experts.base import Expert
from daemon.learning.experts.slots import Cells, Slots, SlotTable
from daemon.learning.features.hashing import NUM_FEATURES
from daemon.learning.features.text import TextFeatures
from daemon.state import State

Floats = NDArray[np.float64]


class NaiveBayes(Expert):
    """score_k = ln(prior_k) + Σ_j x_j ln((n_jk + α) / (n_k + α V)), with n_jk the x_j of class k's rows, V the features seen.

    x is the value of a feature in its row, not its raw count, which keeps long texts from being certain. α is small: what
    one label alone has had counts for much, which is what the linear experts say least about. Memory is bounded by
    `max_bytes` (see `SlotTable`).

    >>> text = TextFeatures(encoder=None)
    >>> text.indices, text.values = np.array([7], np.int32), np.ones(1, np.float32)
    >>> bayes = NaiveBayes(text=text, smoothing=0.5)
    >>> bayes.grow()
    >>> bayes.learn(0, 1.0)
    >>> bayes.predict().round(4).tolist()      # 1.5 rows · 1.5 / 2 against .5 · .5 / 1
    [0.8182, 0.1818]
    """

    def __init__(
        self, *, text: TextFeatures, smoothing: float = 0.001, max_bytes: int = 64 << 20, name: str = "naive_bayes"
    ) -> None:
        self.name = name
        self._text = text
        self._smoothing = smoothing
        self._table = SlotTable(num_features=NUM_FEATURES, num_planes=1, max_bytes=max_bytes)
        self._total_K = np.zeros(1)  # Σ_j n_jk
        self._rows_K = np.zeros(1)

    def predict(self) -> Floats:
        return self._predict(np.log(self._rows_K + 0.5))

    def predict_balanced(self) -> Floats:
        return self._predict(np.zeros(len(self._rows_K)))

    def _predict(self, p_K: Floats) -> Floats:
        """The distribution, into the logarithms of a prior."""
        slots = self._table.find(self._text.indices)
        total_K = self._total_K + self._smoothing * (self._table.num_slots + 1)
        add_scores(slots, self._text.values, self._table.cells, total_K, self._smoothing, p_K)
        _to_distribution(p_K)
        return p_K

    def learn(self, target: float, weight: float) -> None:
        if weight <= 0.0:
            return
        label = int(target)
        slots = self._table.claim(self._text.indices)
        count(slots, self._text.values, label, weight, self._table.cells)
        self._total_K[label] += weight * float(self._text.values.sum(dtype=np.float64))
        self._rows_K[label] += weight

    def grow(self) -> None:
        self._table.grow()
        self._total_K = np.append(self._total_K, 0.0)
        self._rows_K = np.append(self._rows_K, 0.0)

    def num_bytes(self) -> int:
        return self._total_K.nbytes + self._rows_K.nbytes + self._table.num_bytes()

    def state_dict(self) -> State:
        return {"table": self._table.state_dict(), "totals": self._total_K.copy(), "rows": self._rows_K.copy()}

    def weights(self) -> State:
        return {"table": self._table.weights(1), "totals": self._total_K.copy(), "rows": self._rows_K.copy()}

    def load_state_dict(self, state: State) -> None:
        self._table.load_state_dict(state["table"])
        self._load_counts(state)

    def load_weights(self, state: State) -> None:
        self._table.load_weights(state["table"])
        self._load_counts(state)

    def _load_counts(self, state: State) -> None:
        self._total_K = np.array(state["totals"], dtype=np.float64)
        self._rows_K = np.array(state["rows"], dtype=np.float64)


@compiled
def add_scores(
    slots: Slots, values: NDArray[np.float32], cells: Cells, total_K: Floats, smoothing: float, score_K: Floats
) -> None:
    """Add Σ_j x_j ln((n_jk + smoothing) / total_k) to each class's score; a feature without a slot has been in no class."""
    num_classes = len(score_K)
    length = 0.0
    never = np.log(smoothing)  # of most features in most classes: a logarithm costs more than all else here
    for i in range(len(slots)):
        x = float(values[i])
        length += x
        for k in range(num_classes):
            counted = float(cells[slots[i], 0, k]) if slots[i] >= 0 else 0.0
            score_K[k] += x * (never if counted == 0.0 else np.log(counted + smoothing))
    for k in range(num_classes):
        score_K[k] -= length * np.log(total_K[k])


@compiled
def _to_distribution(p_K: Floats) -> None:
    top = p_K.max()
    total = 0.0
    for k in range(len(p_K)):
        p_K[k] = np.exp(p_K[k] - top) + 1e-12
        total += p_K[k]
    p_K /= total


@compiled
def count(slots: Slots, values: NDArray[np.float32], label: int, weight: float, cells: Cells) -> None:
    """Count a row's features for its class."""
    for i in range(len(slots)):
        cells[slots[i], 0, label] += np.float32(weight) * values[i]
