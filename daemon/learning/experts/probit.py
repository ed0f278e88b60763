"""Probit regressions by Bayes' rule: weights and how uncertain they are, with a part of the labels taken for noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts.bank import Bank
from daemon.learning.experts.probit_kernels import learn, say
from daemon.learning.experts.slots import SlotTable
from daemon.learning.features.hashing import BLOCK_SIZE, Indices, Values
from daemon.learning.features.sparse_row import MAX_BYTES, MAX_SLOTS, num_features, sparse_row
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.text import TextFeatures
from daemon.state import State

Floats = NDArray[np.float64]

# What part of the labels is noise; and what part of the weights is forgotten with each row, by member.
NOISE = 0.1
DRIFTS = (3e-5, 1e-3)
# Weights of the bias and of the first columns vary together; those of later columns, categories and words each by itself,
# which takes no square. With more than 64 classes fewer vary together, so that what is squared grows no further.
MAX_JOINT = 64
MAX_NUMBERS = 64 * MAX_JOINT * MAX_JOINT
# How long the input of a text is: its words, of which each text has a few that count, together say as much as some columns.
TEXT_LENGTH = 4.0
# A label starts as if it had come so often.
PSEUDO_COUNT = 0.5


class ProbitBank(Bank):
    """R members, each one probit regression a class, of it against all others: p(k) ∝ ε π_k + (1 − ε) Φ(wᵀx / √(1 + xᵀΣx)).

    x are the columns' running z-scores, an input of 1 for the bias and for each category, and the words of a text, scaled to
    length 4. w ~ N(mean, Σ), by class, starts from N(0, 1) and takes each row by Bayes' rule, its posterior by the Gaussian
    with the same mean and variance. A part ε, `noise`, of the labels is held to be drawn by how often each comes, π, so that a
    wrong label moves a model that is sure of itself but little. After each row a part of what is known is forgotten, by member
    of `drifts`: w falls back towards N(0, 1), that of a category or word when it comes. Where a label depends on a weighted
    sum, this finds it from far fewer rows than gradient steps do.

    A weight of the row counts it so often, as far as what the row says is a Gaussian: precisions add up. Memory:
    R (K + 1) (J + J²) numbers for the bias and the first columns, J ≤ 64, and the 2¹⁸ categories, marks, words and later
    columns that came last within 128 MiB (see `SlotTable`).

    >>> table = TableFeatures()
    >>> probit, = ProbitBank(table=table, noise=0.0, drifts=(0.0,)).experts()
    >>> probit.grow()
    >>> probit.predict().round(4).tolist()
    [0.5, 0.5]
    >>> probit.learn(0, 1.0)
    >>> probit.predict().round(4).tolist()      # exact were 2/3 and 1/3
    [0.6682, 0.3318]

    Assumed density filtering after Opper 1998; weights that vary each by itself as in Graepel, Candela, Borchert and Herbrich
    2010.
    """

    is_simple = True

    def __init__(
        self,
        *,
        table: TableFeatures,
        text: TextFeatures | None = None,
        noise: float = NOISE,
        drifts: Sequence[float] = DRIFTS,
    ) -> None:
        super().__init__(names=[f"probit_{member}" for member in range(len(drifts))])
        self._table, self._text = table, text
        self._noise, self._drift_R = noise, np.array(drifts, dtype=np.float64)
        self._num_apart = num_features(table, num_biases=0)
        self._slots = SlotTable(
            num_features=self._num_apart + (BLOCK_SIZE if text else 0),
            num_planes=2 * len(drifts),  # by member: the mean of a weight, and what its variance has lost
            max_bytes=MAX_BYTES,
            max_slots=MAX_SLOTS,
        )
        self._mean_RKJ = np.zeros((len(drifts), 1, 1))
        self._joint_RKJJ = np.ones((len(drifts), 1, 1, 1))
        self._count_RK = np.full((len(drifts), 1), PSEUDO_COUNT)
        self._restart()

    def _restart(self) -> None:
        """Room for what is said of a row."""
        self._x_J = np.ones(self._mean_RKJ.shape[2])
        self._reach_RKJ = np.zeros_like(self._mean_RKJ)
        self._said_RKS = np.zeros((*self._count_RK.shape, 2))
        self.p_RK = np.ones_like(self._count_RK)
        self._indices, self._values, self._found = NO_INDICES, NO_VALUES, NO_INDICES

    def predict(self) -> None:
        self._fit_width()
        self._x_J[1:] = self._table.row.z_N[: len(self._x_J) - 1]
        self._indices, self._values = self._apart()
        self._found = self._slots.find(self._indices) if len(self._indices) else NO_INDICES
        say(
            self._x_J, self._num_together, self._found, self._values, self._noise, self._mean_RKJ, self._joint_RKJJ,
            self._slots.cells, self._count_RK, self._reach_RKJ, self._said_RKS, self.p_RK,
        )  # fmt: skip

    def _apart(self) -> tuple[Indices, Values]:
        """The inputs of the current row whose weights vary each by itself."""
        table, text = self._table, self._text
        indices, values = NO_INDICES, NO_VALUES
        if table.row.categorical or len(table.row.z_N) >= MAX_JOINT or len(table.row.marks_T):
            indices, values = sparse_row(table, num_biases=0, first_number=MAX_JOINT - 1)
        if not text:
            return indices, values
        num_words = int(text.indices.searchsorted(np.int32(BLOCK_SIZE)))  # which stand first
        words = text.indices[:num_words] + np.int32(self._num_apart)
        return np.concatenate([indices, words]), np.concatenate([values, np.float32(TEXT_LENGTH) * text.values[:num_words]])

    @property
    def _num_together(self) -> int:
        """Of the joint inputs, so many vary together."""
        return min(len(self._x_J), math.isqrt(MAX_NUMBERS // self._mean_RKJ.shape[1]))

    def _fit_width(self) -> None:
        width, num_joint = min(len(self._table.row.z_N) + 1, MAX_JOINT), len(self._x_J)
        if width > num_joint:
            more = width - num_joint
            self._mean_RKJ = np.pad(self._mean_RKJ, ((0, 0), (0, 0), (0, more)))
            self._joint_RKJJ = np.pad(self._joint_RKJJ, ((0, 0), (0, 0), (0, more), (0, more)))
            self._joint_RKJJ[..., range(num_joint, width), range(num_joint, width)] = 1.0
            self._restart()

    def learn(self, target: int, weight: float) -> None:
        if weight <= 0.0:
            return
        slots = self._slots.claim(self._indices, self._found) if len(self._indices) else NO_INDICES
        learn(
            target, weight, self._noise, self._drift_R, self._num_together, slots, self._values, self._said_RKS,
            self._reach_RKJ, self._mean_RKJ, self._joint_RKJJ, self._slots.cells, self._count_RK,
        )  # fmt: skip

    def grow(self) -> None:
        self._slots.grow()
        self._mean_RKJ, self._joint_RKJJ, self._count_RK = (
            np.concatenate([held, held[:, -1:]], axis=1) for held in (self._mean_RKJ, self._joint_RKJJ, self._count_RK)
        )
        self._restart()
        self.predict()

    def num_bytes(self) -> int:
        return self._slots.num_bytes() + sum(held.nbytes for held in (self._mean_RKJ, self._joint_RKJJ, self._count_RK))

    def state_dict(self) -> State:
        return self._own() | {"apart": self._slots.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._slots.load_state_dict(state["apart"])
        self._load_own(state)

    def weights(self) -> State:
        return self._own() | {"apart": self._slots.weights(2 * self._num_rates)}

    def load_weights(self, state: State) -> None:
        self._slots.load_weights(state["apart"])
        self._load_own(state)

    def _own(self) -> State:
        self._fit_width()
        return {"mean": self._mean_RKJ.copy(), "joint": self._joint_RKJJ.copy(), "count": self._count_RK.copy()}

    def _load_own(self, state: State) -> None:
        self._mean_RKJ, self._joint_RKJJ, self._count_RK = (
            np.array(state[name], dtype=np.float64) for name in ("mean", "joint", "count")
        )
        self._restart()


NO_INDICES: Indices = np.zeros(0, dtype=np.int32)
NO_VALUES: Values = np.zeros(0, dtype=np.float32)
