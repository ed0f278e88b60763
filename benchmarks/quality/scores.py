"""One way to score learnd, its baselines and its peers: from what each predicted for every row before it learned it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Excess over a baseline counts from here on: before it a handful of errors is a large share.
SETTLED_ROWS = 1_000
WORST_ROWS = 500


@dataclass(frozen=True)
class Answers:
    """What one learner predicted for the N rows of a stream.

    Classification: `answer_N` are class indices, -1 for no answer; `true_p_N` is what it gave to the row's true label, and
    `second_p_N` to class 1 (NaN where it gives no probabilities). Regression: `answer_N` are numbers, the others NaN.
    """

    answer_N: Floats
    true_p_N: Floats
    second_p_N: Floats


def losses(target_N: Floats, answers: Answers, *, task: str) -> Floats:
    """(N,) 0 or 1, or the absolute error."""
    if task == "classification":
        wrong_N: Floats = (answers.answer_N != target_N).astype(np.float64)
        return wrong_N
    return np.abs(answers.answer_N - target_N)


def figures(target_N: Floats, answers: Answers, *, task: str, unscored: int = 0) -> dict[str, float | int | None]:
    """All figures of one learner. Errors and accuracy count every row but the first `unscored`: where labels are late, those
    that were predicted before any label had arrived, which only who knows the labels from the start can guess.

    A mean absolute error leaves out the first row, which nobody can predict. The log loss (in nats) leaves out rows whose
    label was never seen before, which nobody can know, and is None without probabilities; so is the AUC, and with more than
    two classes.

    >>> answers = Answers(np.array([-1.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.5]), np.array([0.0, 0.0, 0.5]))
    >>> figures(np.array([0.0, 1.0, 0.0]), answers, task="classification")["errors"]
    2
    """
    target_N = target_N[unscored:]
    answers = Answers(answers.answer_N[unscored:], answers.true_p_N[unscored:], answers.second_p_N[unscored:])
    loss_N = losses(target_N, answers, task=task)
    if task == "regression":
        return {"mae": float(loss_N[1:].mean())}
    return {
        "errors": int(loss_N.sum()),
        "accuracy": float(1 - loss_N.mean()),
        "worst_500": worst(loss_N),
        "log_loss": _log_loss(target_N, answers.true_p_N),
        "auc": _auc(target_N, answers.second_p_N),
    }


def worst(loss_N: Floats) -> float | None:
    """Lowest accuracy over any 500 rows in a row; None for a shorter stream."""
    if len(loss_N) < WORST_ROWS:
        return None
    total = np.concatenate([[0.0], loss_N.cumsum()])
    return float(1 - (total[WORST_ROWS:] - total[:-WORST_ROWS]).max() / WORST_ROWS)


class Excess(NamedTuple):
    """How far a summed loss lies above that of the rival that is best at that row; below zero where it lies below."""

    share: float
    """Of the rival's summed loss, where that is worst."""
    row: int
    """Where, counted from 1."""
    rival: str
    difference: float
    """The same as `share`, as a number of errors or their sum."""
    end_share: float
    """Behind the last row, over the rival that is best there."""


def worst_excess(loss_N: Floats, rivals: dict[str, Floats], *, unscored: int = 0) -> Excess | None:
    """Looked for behind every row from the 1,000th on, of those behind the first `unscored` (see `figures`). None for a shorter
    stream."""
    loss_N, rivals = loss_N[unscored:], {name: rival_N[unscored:] for name, rival_N in rivals.items()}
    if len(loss_N) < SETTLED_ROWS or not rivals:
        return None
    names = list(rivals)
    # The first row is left out as in the mean absolute error: before it everybody answers the same.
    total_RN = np.stack([rivals[name][1:].cumsum() for name in names])[:, SETTLED_ROWS - 2 :]
    best_N = total_RN.min(axis=0)
    total_N = loss_N[1:].cumsum()[SETTLED_ROWS - 2 :]
    share_N = total_N / np.maximum(best_N, 1e-12) - 1
    row = int(share_N.argmax())
    rival = names[int(total_RN[:, row].argmin())]
    difference = float(total_N[row] - best_N[row])
    return Excess(float(share_N[row]), row + SETTLED_ROWS + unscored, rival, difference, float(share_N[-1]))


def _log_loss(target_N: Floats, p_N: Floats) -> float | None:
    if np.isnan(p_N).any():
        return None
    _, first_N = np.unique(target_N, return_index=True)
    seen_N = np.ones(len(target_N), dtype=bool)
    seen_N[first_N] = False
    return float(-np.log(np.clip(p_N[seen_N], 1e-15, 1.0)).mean()) if seen_N.any() else None


def _auc(target_N: Floats, p_N: Floats) -> float | None:
    """By ranks, after Mann and Whitney 1947; tied rows share theirs."""
    positive_N = target_N == 1
    num_positive, num_negative = int(positive_N.sum()), int((~positive_N).sum())
    if target_N.max() != 1 or np.isnan(p_N).any() or not num_positive or not num_negative:
        return None
    _, tie_N, count_T = np.unique(p_N, return_inverse=True, return_counts=True)
    rank_N = (count_T.cumsum() - (count_T - 1) / 2)[tie_N]
    return float((rank_N[positive_N].sum() - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))


def targets(labels: list[str] | list[float], *, task: str) -> tuple[Floats, dict[str, int]]:
    """(N,) class indices in order of first appearance, with their index; or the numbers, without."""
    if task == "regression":
        return np.array(labels, dtype=np.float64), {}
    index: dict[str, int] = {}
    return np.array([index.setdefault(str(label), len(index)) for label in labels], dtype=np.float64), index
