"""The nearest of the rows lately seen, by the dense inputs of a table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.bank import Bank
from daemon.learning.features.inputs import Dense
from daemon.state import State

# What every class is taken to have beside the votes of the neighbours, which sum to their number.
PSEUDO_VOTES = 0.1


class RankNeighbors(Bank):
    """Votes of the nearest of the last `memory` rows learned, by Euclidean distance, nearer ones for more; the members differ
    in how many neighbours they ask.

    A neighbour's vote is 1 / (distance + mean distance of the neighbours), scaled so that the votes sum to their number, times
    the weight of its row. p_k ∝ votes for k + .1. Memory: 4 bytes · `memory` an input.

    >>> inputs = Dense()
    >>> neighbors, = RankNeighbors(inputs=inputs, members={"neighbors": 1}).experts()
    >>> neighbors.grow()
    >>> neighbors.learn(0, 2.0)
    >>> neighbors.predict().round(4).tolist()      # 2 + .1 against .1
    [0.9545, 0.0455]
    """

    def __init__(self, *, inputs: Dense, members: Mapping[str, int], memory: int = 2000) -> None:
        """`members`: name -> how many neighbours are asked."""
        super().__init__(names=tuple(members))
        self._inputs = inputs
        self._num_neighbors_R = np.array(list(members.values()), dtype=np.int64)
        self._num_known = 1
        self._num_rows = 0
        self._input_DM = np.zeros((0, memory), dtype=np.float32)
        self._target_M = np.zeros(memory, dtype=np.int64)
        self._weight_M = np.zeros(memory)

    def predict(self) -> None:
        self._fit_width()
        size = min(self._num_rows, len(self._target_M))
        self.p_RK = _vote(
            self._inputs.values_D, self._input_DM, self._target_M, self._weight_M, size, self._num_neighbors_R, self._num_known
        )

    def _fit_width(self) -> None:
        missing = self._inputs.width - len(self._input_DM)
        if missing > 0:
            self._input_DM = np.pad(self._input_DM, ((0, missing), (0, 0)))

    def learn(self, target: int, weight: float) -> None:
        if weight == 0.0:
            return
        place = self._num_rows % len(self._target_M)
        self._input_DM[:, place] = self._inputs.values_D[: len(self._input_DM)]
        self._target_M[place] = target
        self._weight_M[place] = weight
        self._num_rows += 1

    def grow(self) -> None:
        self._num_known += 1
        self.predict()

    def num_bytes(self) -> int:
        return self._input_DM.nbytes + self._target_M.nbytes + self._weight_M.nbytes

    def state_dict(self) -> State:
        self._fit_width()
        size = min(self._num_rows, len(self._target_M))
        return {
            "num_known": self._num_known,
            "num_rows": self._num_rows,
            "inputs": self._input_DM[:, :size].copy(),
            "targets": self._target_M[:size].copy(),
            "row_weights": self._weight_M[:size].copy(),
        }

    def load_state_dict(self, state: State) -> None:
        self._num_known = int(state["num_known"])
        self._num_rows = int(state["num_rows"])
        num_inputs, size = state["inputs"].shape
        self._input_DM = np.zeros((num_inputs, len(self._target_M)), dtype=np.float32)
        self._input_DM[:, :size] = state["inputs"]
        self._target_M[:size] = state["targets"]
        self._weight_M[:size] = state["row_weights"]

    weights = state_dict
    load_weights = load_state_dict


@compiled
def _vote(
    value_D: NDArray[np.float32],
    input_DM: NDArray[np.float32],
    target_M: NDArray[np.int64],
    weight_M: NDArray[np.float64],
    size: int,
    num_neighbors_R: NDArray[np.int64],
    num_known: int,
) -> NDArray[np.float64]:
    """(R, K) what each member says, from one look at all rows for the member that asks most."""
    square_M = np.zeros(size, dtype=np.float32)
    for d in range(len(input_DM)):
        value, stored_M = value_D[d], input_DM[d]
        for m in range(size):
            difference = stored_M[m] - value
            square_M[m] += difference * difference
    most = min(num_neighbors_R.max(), size)
    near_N = np.zeros(most, dtype=np.int64)
    found, furthest = 0, np.float32(np.inf)
    for m in range(size):  # the nearest so far, in order; of equals the earlier stored
        if square_M[m] >= furthest:
            continue
        place = min(found, most - 1)
        while place > 0 and square_M[near_N[place - 1]] > square_M[m]:
            near_N[place] = near_N[place - 1]
            place -= 1
        near_N[place] = m
        found = min(found + 1, most)
        if found == most:
            furthest = square_M[near_N[most - 1]]
    p_RK = np.full((len(num_neighbors_R), num_known), PSEUDO_VOTES)
    for r in range(len(num_neighbors_R)):
        count = min(num_neighbors_R[r], size)
        if count > 0:
            mean = 1e-9
            for n in range(count):
                mean += np.sqrt(square_M[near_N[n]]) / count
            total = 0.0
            for n in range(count):
                total += 1.0 / (np.sqrt(square_M[near_N[n]]) + mean)
            for n in range(count):
                vote = count / total / (np.sqrt(square_M[near_N[n]]) + mean)
                p_RK[r, target_M[near_N[n]]] += vote * weight_M[near_N[n]]
        p_RK[r] /= p_RK[r].sum()
    return p_RK
