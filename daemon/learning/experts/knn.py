"""Nearest neighbours among the last embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.compiled import compiled
from daemon.learning.experts.base import Expert
from daemon.learning.features.text import TextFeatures
from daemon.state import State

Floats32 = NDArray[np.float32]


class NearestNeighbours(Expert):
    """The `num_neighbours` rows most similar to this one (by dot product) among the last `capacity` learned.

    p_k is proportional to `pseudo_count` + Σ over neighbours of class k of exp(`sharpness` · (s − 1)), s the similarity.
    Similarities to what was stored before the micro-batch, and within it, are each one matrix product. Memory:
    `capacity` · (D + 1) numbers.
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
        self._num_stored = 0  # ever; the next goes to this modulo the capacity
        self._stored_ND = np.zeros((0, text.width), dtype=np.float32)
        self._label_N = np.zeros(0, dtype=np.int32)
        self._similarity_BN = np.zeros((0, 0), dtype=np.float32)
        self._within_BB = np.zeros((0, 0), dtype=np.float32)

    def begin(self, batch: Batch) -> None:
        embeddings_BD = self._text.embeddings_BD
        self._similarity_BN = np.full((len(batch), self._capacity), -np.inf, dtype=np.float32)
        filled = min(self._num_stored, self._capacity)
        np.matmul(embeddings_BD, self._stored_ND[:filled].T, out=self._similarity_BN[:, :filled])
        self._within_BB = embeddings_BD @ embeddings_BD.T

    def predict(self) -> NDArray[np.float64]:
        p_K = np.full(self._num_classes, self._pseudo_count)
        filled = min(self._num_stored, self._capacity)
        _vote(
            self._similarity_BN[self._text.row], filled, self._label_N, self._num_neighbours, np.float32(self._sharpness), p_K
        )
        p_K /= p_K.sum()
        return p_K

    def learn(self, target: float, weight: float) -> None:
        """A row is stored or not; its weight has no other meaning to a neighbour."""
        if weight <= 0.0:
            return
        place = self._num_stored % self._capacity
        if place == len(self._stored_ND):
            self._reserve(min(max(2 * place, 64), self._capacity))
        self._stored_ND[place] = self._text.embedding
        self._label_N[place] = int(target)
        self._similarity_BN[:, place] = self._within_BB[:, self._text.row]
        self._num_stored += 1

    def _reserve(self, num_rows: int) -> None:
        missing = num_rows - len(self._stored_ND)
        self._stored_ND = np.pad(self._stored_ND, ((0, missing), (0, 0)))
        self._label_N = np.pad(self._label_N, (0, missing))

    def grow(self) -> None:
        self._num_classes += 1

    def state_dict(self) -> State:
        filled = min(self._num_stored, self._capacity)
        return {
            "embeddings": self._stored_ND[:filled].copy(),
            "labels": self._label_N[:filled].copy(),
            "stored": self._num_stored,
            "num_classes": self._num_classes,
        }

    def load_state_dict(self, state: State) -> None:
        self._stored_ND = np.array(state["embeddings"], dtype=np.float32)
        self._label_N = np.array(state["labels"], dtype=np.int32)
        self._num_stored = int(state["stored"])
        self._num_classes = int(state["num_classes"])

    weights = state_dict
    load_weights = load_state_dict


@compiled
def _vote(
    similarity_N: Floats32,
    filled: int,
    label_N: NDArray[np.int32],
    num_neighbours: int,
    sharpness: np.float32,
    p_K: NDArray[np.float64],
) -> None:
    """Insertion into the few best so far; equally similar rows go in the order of their places."""
    best = np.full(num_neighbours, -np.inf, dtype=np.float32)
    place = np.full(num_neighbours, -1)
    for n in range(filled):
        if similarity_N[n] > best[num_neighbours - 1]:
            at = num_neighbours - 1
            while at > 0 and best[at - 1] < similarity_N[n]:
                best[at] = best[at - 1]
                place[at] = place[at - 1]
                at -= 1
            best[at] = similarity_N[n]
            place[at] = n
    for i in range(num_neighbours):
        if place[i] >= 0:
            p_K[label_N[place[i]]] += np.exp(sharpness * (best[i] - np.float32(1.0)))
