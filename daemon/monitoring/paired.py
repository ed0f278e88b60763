"""Losses of two predictors on the same rows, and a one-sided test of their differences that holds at every sample size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# A loss that is no finite number counts as this much: worse than any real one, and small enough to be added up.
_LARGEST_LOSS: Final = 1e100


class PairedRow(NamedTuple):
    """Losses of row `n` of the stream, 0 or 1 or the absolute error; lower is better."""

    n: int
    candidate: float
    served: float
    baselines: tuple[float, ...]
    slices: tuple[tuple[str, str], ...]


def capped(loss_B: Floats) -> Floats:
    """Losses (B,) with a huge number in place of what is none.

    >>> capped(np.array([0.5, np.inf, np.nan])).tolist()
    [0.5, 1e+100, 1e+100]
    """
    capped_B: Floats = np.fmin(loss_B, _LARGEST_LOSS)  # of NaN and a number, the number
    return capped_B


def served_losses(rows: Sequence[PairedRow]) -> Floats:
    """Losses (N,) of what is served."""
    return np.array([row.served for row in rows])


def differences(rows: Sequence[PairedRow]) -> Floats:
    """How much more (N,) the candidate lost than what is served."""
    return np.array([row.candidate - row.served for row in rows])


def by_slice(rows: Sequence[PairedRow], *, min_rows: int) -> dict[tuple[str, str], list[PairedRow]]:
    """Rows by slice, for the slices that have so many of them."""
    members: dict[tuple[str, str], list[PairedRow]] = {}
    for row in rows:
        for group in row.slices:
            members.setdefault(group, []).append(row)
    return {group: its_rows for group, its_rows in members.items() if len(its_rows) >= min_rows}


def significantly_above_zero(difference_N: Floats, *, alpha: float) -> bool:
    """Whether differences are too large in sum to be as likely negative as positive, with error rate at most `alpha`.

    The sum is measured against the root of the sum of squares. If each difference is as likely to be d as -d, the chance
    that this ratio exceeds t is at most exp(-t²/2), whatever the sizes and however few the rows: Hoeffding 1963 for random
    signs, given the sizes; Efron 1969, "Student's t-test under symmetry conditions". For differences of 0/1 losses it is
    McNemar's test with that bound in place of the normal table. Rows without a difference count neither way.

    >>> significantly_above_zero(np.repeat([1.0, 0.0], [10, 490]), alpha=0.01)
    True
    >>> significantly_above_zero(np.repeat([1.0, -1.0, 0.0], [10, 4, 486]), alpha=0.01)
    False
    """
    largest = float(np.abs(difference_N).max(initial=0.0))
    if largest == 0.0:
        return False
    scaled_N = difference_N / largest  # so that squares of huge losses stay finite
    ratio = float(scaled_N.sum()) / math.sqrt(float((scaled_N * scaled_N).sum()))
    return ratio > needed_ratio(alpha)


def needed_ratio(alpha: float) -> float:
    """The ratio from which on `significantly_above_zero` holds; its square is the fewest rows that can reach it.

    >>> round(needed_ratio(0.01), 4)
    3.0349
    """
    return math.sqrt(2 * math.log(1 / alpha))
