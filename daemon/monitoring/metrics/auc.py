"""Area under the ROC curve, exactly, from collected scores."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import ArrayLike, NDArray

from daemon.monitoring.saved import take, take_list
from daemon.state import State


def auc(targets: ArrayLike, scores: ArrayLike) -> float | None:
    """Chance that a random positive row scores above a random negative one; ties count one half.

    `targets` (N,) are 1 for positive rows and 0 for the others. None where either kind is absent.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75

    By ranks, after Mann and Whitney 1947; Hanley and McNeil 1982, "The meaning and use of the area under a ROC curve".
    """
    positive_N = np.asarray(targets) == 1
    num_positive = int(positive_N.sum())
    num_negative = positive_N.size - num_positive
    if num_positive == 0 or num_negative == 0:
        return None
    _, tie_N, count_T = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True, return_counts=True)
    last_rank_T = np.cumsum(count_T)
    rank_N = (last_rank_T - (count_T - 1) / 2)[tie_N]  # the mean of the ranks that tied rows share
    rank_sum = float(rank_N[positive_N].sum())
    return float((rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))


class BinaryScores:
    """Collects every row's score for the second class, as long as there are no more than two.

    Memory grows by 9 bytes a row, so this is for backtests. A third class ends the collection: `auc` is None from then on.

    >>> collected = BinaryScores()
    >>> collected.extend(np.array([0.0, 1.0]), np.array([[0.9, 0.1], [0.2, 0.8]]))
    >>> collected.auc()
    1.0
    """

    def __init__(self) -> None:
        self._targets = array("b")
        self._scores = array("d")
        self._is_binary = True

    def extend(self, target_B: NDArray[np.float64], output_BC: NDArray[np.float64]) -> None:
        """Take rows: class indices (B,) and probabilities (B, C). A score that is not a number counts as 0.

        Rows of a class without an index (NaN, or below 0) are passed over.
        """
        known_B = target_B >= 0
        target_B, output_BC = target_B[known_B], output_BC[known_B]
        if not self._is_binary or not target_B.size:
            return
        if output_BC.shape[1] > 2 or target_B.max() > 1:
            self._is_binary = False
            self._targets, self._scores = array("b"), array("d")
            return
        self._targets.extend(target_B.astype(np.int8).tolist())
        second_B = output_BC[:, 1] if output_BC.shape[1] == 2 else np.zeros(target_B.size)
        self._scores.extend(np.nan_to_num(second_B, nan=0.0).tolist())

    def auc(self) -> float | None:
        """None for more or fewer than two classes."""
        return auc(self._targets, self._scores) if self._is_binary else None

    def state_dict(self) -> State:
        return {
            "is_binary": self._is_binary,
            "targets": np.array(self._targets, dtype=np.int8),
            "scores": np.array(self._scores, dtype=np.float64),
        }

    def load_state_dict(self, state: State) -> None:
        self._is_binary = take(state, "is_binary", owner="binary scores")
        self._targets = array("b", take_list(state, "targets", owner="binary scores"))
        self._scores = array("d", take_list(state, "scores", owner="binary scores"))
