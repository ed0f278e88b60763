"""The label that a value had last, by the column whose values tell it best."""

from __future__ import annotations

import numpy as np

from daemon.learning.experts.base import Expert
from daemon.learning.experts.key_column_kernels import Floats, learn, say
from daemon.learning.features.table import TableFeatures
from daemon.state import State

# Columns that are compared, the first ones of a table, and values that are known of each.
MAX_COLUMNS, SLOTS = 16, 1 << 12


class KeyColumn(Expert):
    """p = ρ on the label that came last with this very value of the *key*, else as often as each label came.

    The key is the column with the least log loss of late, half of which is forgotten in 300 rows. Where how often labels came
    would alone have lost less, or the row's value is not known, that is the answer. ρ is the share of rows that repeated the
    label of the last one with their value: (same + 2q) / (again + 2) of this value, with q = (same + 1) / (again + 2) of the
    whole column of late. A category that decides the label is thus known once it came, but for the row that made its column
    known; so is a number that comes again to the last digit.

    Memory: 16 columns · 4,096 values · 28 bytes at most; of the values that are known a state holds 36 bytes each. Counts and
    losses of a row are multiplied by its weight.

    >>> from daemon.learning.batch import Batch
    >>> table = TableFeatures()
    >>> key = KeyColumn(name="key", table=table)
    >>> for target in (0, 1, 0, 1, 0, 1):      # the very first row makes the column known, and no more
    ...     table.begin(Batch([""], [{"who": "ab"[target]}]))
    ...     table.encode(0)
    ...     p_K = key.predict()
    ...     if target == len(p_K) - 1:
    ...         key.grow()
    ...     key.learn(target, 1.0)
    ...     table.learn(target, 1.0)
    >>> p_K.round(2).tolist()      # "b" repeated its label once, the values of the column twice
    [0.09, 0.9, 0.01]

    After Holte 1993 (rules of one attribute).
    """

    def __init__(self, *, name: str, table: TableFeatures) -> None:
        self.name = name
        self._table = table
        self._count_K = np.zeros(1)
        self._prior_loss = np.zeros(1)  # what how often labels came alone lost
        self._key_N = np.zeros(0, dtype=np.uint64)
        self._clear(0)

    def _clear(self, num_columns: int) -> None:
        self._loss_N = np.zeros(num_columns)
        self._column_N2 = np.zeros((num_columns, 2))
        self._tag_NS = np.zeros((num_columns, SLOTS), dtype=np.uint64)
        self._label_NS = np.zeros((num_columns, SLOTS), dtype=np.int32)
        self._value_NS2 = np.zeros((num_columns, SLOTS, 2))

    def predict(self) -> Floats:
        self._key_N = self._table.exact_keys()[:MAX_COLUMNS]
        return say(
            self._key_N, self._tag_NS, self._label_NS, self._value_NS2, self._column_N2, self._loss_N, self._prior_loss[0],
            self._count_K,
        )  # fmt: skip

    def learn(self, target: float, weight: float) -> None:
        if weight == 0.0:
            return
        self._fit(len(self._key_N))
        learn(
            self._key_N, int(target), weight, self._tag_NS, self._label_NS, self._value_NS2, self._column_N2, self._loss_N,
            self._prior_loss, self._count_K,
        )  # fmt: skip

    def _fit(self, num_columns: int) -> None:
        """Room for columns that have come; they start as good as no column."""
        new = num_columns - len(self._loss_N)
        if new > 0:
            self._loss_N = np.append(self._loss_N, np.full(new, self._prior_loss[0]))
            self._column_N2 = np.pad(self._column_N2, ((0, new), (0, 0)))
            self._tag_NS = np.pad(self._tag_NS, ((0, new), (0, 0)))
            self._label_NS = np.pad(self._label_NS, ((0, new), (0, 0)))
            self._value_NS2 = np.pad(self._value_NS2, ((0, new), (0, 0), (0, 0)))

    def grow(self) -> None:
        self._count_K = np.append(self._count_K, 0.0)

    def num_bytes(self) -> int:
        arrays = (self._tag_NS, self._label_NS, self._value_NS2, self._column_N2, self._loss_N, self._prior_loss, self._count_K)
        return sum(array.nbytes for array in arrays)

    def state_dict(self) -> State:
        used_NS = self._tag_NS != 0
        return {
            "counts": self._count_K.copy(),
            "prior_loss": self._prior_loss.copy(),
            "losses": self._loss_N.copy(),
            "columns": self._column_N2.copy(),
            "slots": np.flatnonzero(used_NS),
            "tags": self._tag_NS[used_NS].view(np.int64),
            "labels": self._label_NS[used_NS],
            "values": self._value_NS2[used_NS],
        }

    def load_state_dict(self, state: State) -> None:
        self._clear(len(state["losses"]))
        self._count_K = np.array(state["counts"], dtype=np.float64)
        self._prior_loss = np.array(state["prior_loss"], dtype=np.float64)
        self._loss_N = np.array(state["losses"], dtype=np.float64)
        self._column_N2 = np.array(state["columns"], dtype=np.float64)
        slots = state["slots"]
        self._tag_NS.reshape(-1)[slots] = np.array(state["tags"], dtype=np.int64).view(np.uint64)
        self._label_NS.reshape(-1)[slots] = state["labels"]
        self._value_NS2.reshape(-1, 2)[slots] = state["values"]

    weights = state_dict
    load_weights = load_state_dict
