"""Nearest neighbours among remembered embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert
from daemon.learning.features.text import TextFeatures
from daemon.state import State

Floats32 = NDArray[np.float32]

# Similarities that differ by no more are the same. Products of the same rows differ by 2e-7 with the size of the micro-batch:
# that must not decide which copies of one text vote.
SAME = np.float32(1e-5)


class NearestNeighbours(Expert):
    """The `num_neighbours` rows most similar to this one (by dot product) among the `capacity` remembered.

    p_k is proportional to `pseudo_count` + Σ over neighbours of class k of w · exp(`sharpness` · (s − 1)), s the similarity
    and w the weight of the neighbour.
    When the memory is full, the oldest row of the label that has the most makes room (of equals the first): a label
    that is common now does not crowd out the rest. Without a prior each vote is divided by the weight of its class.

    Similarities to what was stored before the micro-batch, and within it, are each one matrix product. Memory:
    `capacity` · (D + 4) numbers.

    >>> text = TextFeatures(encoder=None)
    >>> text.width, text.embedding = 2, np.array([1.0, 0.0], np.float32)
    >>> text.embeddings_BD = text.embedding[None]
    >>> knn = NearestNeighbours(text=text)
    >>> knn.begin(Batch([""], [{}]))
    >>> knn.grow()
    >>> knn.learn(0, 2.0)
    >>> knn.predict().round(4).tolist()      # 2 + .1 against .1
    [0.9545, 0.0455]
    """

    def __init__(
        self,
        *,
        text: TextFeatures,
        capacity: int = 4096,
        num_neighbours: int = 5,
        pseudo_count: float = 0.1,
        sharpness: float = 4.0,
        name: str = "knn",
    ) -> None:
        self.name = name
        self._text = text
        self._capacity = capacity
        self._num_neighbours = num_neighbours
        self._pseudo_count = pseudo_count
        self._sharpness = sharpness
        self._num_classes = 1
        self._num_stored = 0  # ever
        self._num_filled = 0
        self._stored_ND = np.zeros((0, text.width), dtype=np.float32)
        self._label_N = np.zeros(0, dtype=np.int32)
        self._weight_N = np.zeros(0, dtype=np.float32)
        self._since_N = np.zeros(0, dtype=np.int64)  # how many had been stored before it
        self._rows_K = np.zeros(1, dtype=np.int64)
        self._similarity_BN = np.zeros((0, 0), dtype=np.float32)
        self._within_BB = np.zeros((0, 0), dtype=np.float32)

    def begin(self, batch: Batch) -> None:
        embeddings_BD = self._text.embeddings_BD
        self._similarity_BN = np.full((len(batch), self._capacity), -np.inf, dtype=np.float32)
        filled = self._num_filled
        np.matmul(embeddings_BD, self._stored_ND[:filled].T, out=self._similarity_BN[:, :filled])
        self._within_BB = embeddings_BD @ embeddings_BD.T

    def predict(self) -> NDArray[np.float64]:
        return self._vote(np.ones(self._num_classes))

    def predict_balanced(self) -> NDArray[np.float64]:
        filled = self._num_filled
        weight_K = np.bincount(self._label_N[:filled], self._weight_N[:filled], minlength=self._num_classes)
        return self._vote(weight_K.mean() / np.where(weight_K > 0.0, weight_K, 1.0))

    def _vote(self, vote_K: NDArray[np.float64]) -> NDArray[np.float64]:
        p_K = np.full(self._num_classes, self._pseudo_count)
        similarity_N = self._similarity_BN[self._text.row, : self._num_filled]
        _vote(
            similarity_N, self._label_N, self._weight_N, self._num_neighbours, np.float32(self._sharpness), vote_K, p_K
        )  # fmt: skip
        p_K /= p_K.sum()
        return p_K

    def learn(self, target: float, weight: float) -> None:
        if weight <= 0.0:
            return
        if self._num_filled < self._capacity:
            place = self._num_filled
            self._num_filled += 1
            if place == len(self._stored_ND):
                self._reserve(min(max(2 * place, 64), self._capacity))
        else:
            place = _oldest_of(int(self._rows_K.argmax()), self._label_N, self._since_N)
            self._rows_K[self._label_N[place]] -= 1
        self._stored_ND[place] = self._text.embedding
        self._label_N[place] = int(target)
        self._weight_N[place] = weight
        self._since_N[place] = self._num_stored
        self._similarity_BN[:, place] = self._within_BB[:, self._text.row]
        self._num_stored += 1
        self._rows_K[int(target)] += 1

    def _reserve(self, num_rows: int) -> None:
        missing = num_rows - len(self._stored_ND)
        self._stored_ND = np.pad(self._stored_ND, ((0, missing), (0, 0)))
        self._label_N = np.pad(self._label_N, (0, missing))
        self._weight_N = np.pad(self._weight_N, (0, missing))
        self._since_N = np.pad(self._since_N, (0, missing))

    def grow(self) -> None:
        self._num_classes += 1
        self._rows_K = np.append(self._rows_K, 0)

    def state_dict(self) -> State:
        filled = self._num_filled
        return {
            "embeddings": self._stored_ND[:filled].copy(),
            "labels": self._label_N[:filled].copy(),
            "row_weights": self._weight_N[:filled].copy(),
            "since": self._since_N[:filled].copy(),
            "stored": self._num_stored,
            "num_classes": self._num_classes,
        }

    def load_state_dict(self, state: State) -> None:
        self._stored_ND = np.array(state["embeddings"], dtype=np.float32)
        self._label_N = np.array(state["labels"], dtype=np.int32)
        self._weight_N = np.array(state["row_weights"], dtype=np.float32)
        self._since_N = np.array(state["since"], dtype=np.int64)
        self._num_filled = len(self._label_N)
        self._num_stored = int(state["stored"])
        self._num_classes = int(state["num_classes"])
        self._rows_K = np.bincount(self._label_N, minlength=self._num_classes)

    weights = state_dict
    load_weights = load_state_dict


@compiled
def _vote(
    similarity_N: Floats32,
    label_N: NDArray[np.int32],
    weight_N: Floats32,
    num_neighbours: int,
    sharpness: np.float32,
    vote_K: NDArray[np.float64],
    p_K: NDArray[np.float64],
) -> None:
    """Insertion into the few best so far. Of rows that are equally similar those of later places vote, which are the newer ones
    until the memory is full, and each alike."""
    best = np.full(num_neighbours, -np.inf, dtype=np.float32)
    place = np.full(num_neighbours, -1)
    for n in range(len(similarity_N)):
        at_least = similarity_N[n] + SAME
        if best[num_neighbours - 1] <= at_least:
            at = num_neighbours - 1
            while at > 0 and best[at - 1] <= at_least:
                best[at] = best[at - 1]
                place[at] = place[at - 1]
                at -= 1
            best[at] = similarity_N[n]
            place[at] = n
    similarity = best[0]
    for i in range(num_neighbours):
        if place[i] >= 0:
            if abs(best[i] - similarity) > SAME:
                similarity = best[i]
            label = label_N[place[i]]
            p_K[label] += vote_K[label] * weight_N[place[i]] * np.exp(sharpness * (similarity - np.float32(1.0)))


@compiled
def _oldest_of(label: int, label_N: NDArray[np.int32], since_N: NDArray[np.int64]) -> int:
    """The place of the row that was stored first among those of a label that has some."""
    oldest = -1
    for n in range(len(label_N)):
        if label_N[n] == label and (oldest < 0 or since_N[n] < since_N[oldest]):
            oldest = n
    return oldest
