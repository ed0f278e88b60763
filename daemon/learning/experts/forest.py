"""A forest of random trees over the rows lately seen, by the values of a table's columns as they are."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts import forest_kernels as kernels
from daemon.learning.experts.base import Expert, array_bytes
from daemon.learning.experts.tempered import TemperedSoftmax
from daemon.learning.features.table import TableFeatures
from daemon.state import State

# Columns that a split chooses among.
NUM_TRIED: Final = 24
# A new tree takes the place of the oldest each time that this part of the rows in memory has come anew.
REGROWN_PART: Final = 64


class Forest(Expert):
    """The mean class shares of `num_trees` trees, each grown on the last `memory` rows, under a learned temperature.

    A split is the best by Gini impurity of 24 random ones: a column, and a threshold between its values in two random rows of
    the node, so that no outlier spoils it. Trees are grown until leaves are of one class or of equal rows; every row is then
    counted in its leaf of each tree, by its weight. As the rows are kept as they came, not standardised by what was known
    then, the first rows are worth as much as later ones. Missing values go one way, and may be split off; categories split by
    their hash.

    >>> forest = Forest(name="forest", table=TableFeatures(), seed=0)
    >>> forest.grow()
    >>> for _ in range(2):
    ...     forest.learn(0, 1.0)
    >>> forest.predict().round(4).tolist()      # 2 rows, and half of one shared by both classes
    [0.9, 0.1]

    Memory: 8 bytes · `memory` a column, and at most about 100 bytes · `memory` a tree.

    After Geurts, Ernst and Wehenkel 2006, "Extremely randomized trees".
    """

    def __init__(self, *, name: str, table: TableFeatures, seed: int, num_trees: int = 32, memory: int = 2000) -> None:
        self.name = name
        self._table = table
        self._seed = seed
        self._softmax = TemperedSoftmax(temperature=1.0, rate=0.1, discounts_new=False)
        self._num_known = 1
        self._num_rows, self._num_grown, self._next_tree = 0, 0, 2
        self._input_DM = np.zeros((0, memory))
        self._target_M = np.zeros(memory, dtype=np.int64)
        self._weight_M = np.zeros(memory)
        # Leaves take in rows until their tree's turn comes again.
        most_nodes, most_entries = 2 * memory, memory + num_trees * (memory // REGROWN_PART + 2) + 2
        self._num_nodes_T, self._num_entries_T = np.zeros(num_trees, np.int64), np.zeros(num_trees, np.int64)
        self._trees: tuple[NDArray[Any], ...] = (
            np.zeros((num_trees, most_nodes), np.int32),  # column
            np.zeros((num_trees, most_nodes)),  # threshold
            np.zeros((num_trees, most_nodes), np.int32),  # child
            np.zeros((num_trees, most_nodes), np.int32),  # head
            np.zeros((num_trees, most_entries), np.int32),  # class
            np.zeros((num_trees, most_entries), np.float32),  # weight
            np.zeros((num_trees, most_entries), np.int32),  # next
        )
        self._leaf_T = np.zeros(0, np.int64)  # of the row predicted last

    @property
    def _num_trees(self) -> int:
        return min(self._num_grown, len(self._num_nodes_T))

    def predict(self) -> NDArray[np.float64]:
        self._leaf_T = np.empty(self._num_trees, np.int64)
        scores_K = kernels.log_shares(self._table.row.raw_N, self._leaf_T, self._num_known, *self._trees)
        return self._softmax.predict(scores_K)

    def learn(self, target: float, weight: float) -> None:
        if weight == 0.0:
            return
        label, value_D = int(target), self._table.row.raw_N
        self._softmax.learn(label, weight)
        self._fit_width()
        place = self._num_rows % len(self._target_M)
        self._input_DM[:, place] = value_D
        self._target_M[place], self._weight_M[place] = label, weight
        self._num_rows += 1
        kernels.learn_row(self._leaf_T, label, weight, self._num_entries_T, *self._trees[3:])
        if self._num_rows >= self._next_tree:
            self._grow_tree()

    def _fit_width(self) -> None:
        missing = len(self._table.row.raw_N) - len(self._input_DM)
        if missing > 0:
            self._input_DM = np.pad(self._input_DM, ((0, missing), (0, 0)), constant_values=np.nan)

    def _grow_tree(self) -> None:
        t, size = self._num_grown % len(self._num_nodes_T), min(self._num_rows, len(self._target_M))
        key = (self._seed << 32 ^ self._num_grown) % (1 << 63)
        self._num_nodes_T[t], self._num_entries_T[t] = kernels.grow_tree(
            t, self._input_DM, self._target_M, self._weight_M, size, self._num_known, key, NUM_TRIED, *self._trees
        )  # fmt: skip
        self._num_grown += 1
        self._next_tree = self._num_rows + max(1, size // REGROWN_PART)

    def grow(self) -> None:
        self._num_known += 1
        self._softmax.grow()

    def num_bytes(self) -> int:
        own = (self._input_DM, self._target_M, self._weight_M, self._num_nodes_T, self._num_entries_T, *self._trees)
        return sum(array.nbytes for array in own) + array_bytes(self._softmax.state_dict())

    def state_dict(self) -> State:
        self._fit_width()
        size = min(self._num_rows, len(self._target_M))
        return self.weights() | {
            "num_rows": self._num_rows,
            "next_tree": self._next_tree,
            "inputs": self._input_DM[:, :size].copy(),
            "targets": self._target_M[:size].copy(),
            "row_weights": self._weight_M[:size].copy(),
        }

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state)
        self._num_rows, self._next_tree = int(state["num_rows"]), int(state["next_tree"])
        num_columns, size = state["inputs"].shape
        self._input_DM = np.zeros((num_columns, len(self._target_M)))
        self._input_DM[:, :size] = state["inputs"]
        self._target_M[:size] = state["targets"]
        self._weight_M[:size] = state["row_weights"]

    def weights(self) -> State:
        """Of each tree what it has of nodes and entries, one tree after the other."""
        columns = {
            name: np.concatenate([array[t, :stop] for t, stop in enumerate(self._stops(name))])
            for name, array in zip(TREE_ARRAYS, self._trees, strict=True)
        }
        return columns | {
            "num_known": self._num_known,
            "num_grown": self._num_grown,
            "num_nodes": self._num_nodes_T.copy(),
            "num_entries": self._num_entries_T.copy(),
            "softmax": self._softmax.state_dict(),
        }

    def load_weights(self, state: State) -> None:
        self._num_known, self._num_grown = int(state["num_known"]), int(state["num_grown"])
        self._num_nodes_T = np.array(state["num_nodes"], dtype=np.int64)
        self._num_entries_T = np.array(state["num_entries"], dtype=np.int64)
        self._softmax.load_state_dict(state["softmax"])
        for name, array in zip(TREE_ARRAYS, self._trees, strict=True):
            start = 0
            for t, stop in enumerate(self._stops(name)):
                array[t, :stop] = state[name][start : start + stop]
                start += stop

    def _stops(self, name: str) -> list[int]:
        """How much of an array each tree uses; entries are numbered from 1."""
        of_entries = name in TREE_ARRAYS[4:]
        return (self._num_entries_T + 1).tolist() if of_entries else self._num_nodes_T.tolist()


TREE_ARRAYS: Final = ("column", "threshold", "child", "head", "entry_class", "entry_weight", "next_entry")
