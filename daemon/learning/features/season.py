"""After how many rows numbers, or labels, come again: a day of hours, a week of days, the units of a panel; found by itself."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Value = TypeVar("Value", np.float64, np.int64)

# A season is looked for in the last so many rows; after these first ones, and then once in each window.
WINDOW = 1000
FIRST_LOOKS = (32, 64, 128, 256, 512)
# It must have come so many times in what is looked at.
TIMES = 3
# Rows a season apart correlate by so much, and so many standard errors of rows that have nothing to do with each other; by so
# much more than rows nearer to each other; and rows two seasons apart by most of that.
CORRELATION, STANDARD_ERRORS, PROMINENCE, AGAIN = 0.4, 2.0, 0.3, 0.8
# A longer season, or another than the one known, must correlate by so much more.
MARGIN = 0.1
MAX_COLUMNS = 64


def is_due(num_rows: int) -> bool:
    """Whether a season is looked for once so many rows were learned."""
    return num_rows in FIRST_LOOKS or (num_rows > 0 and num_rows % WINDOW == 0)


@compiled
def season_of_numbers(ring_NW: Floats, size_N: Ints, next_N: Ints, known: int) -> int:
    """The shortest season, in rows, of N columns, each of whose numbers lie in a ring; 0 where there is none.

    A season is a peak of the autocorrelation of a column's ranks, of those the first 64 columns that lacked no number. `known`
    is the season found before, 0 for none, which stays as long as no other is better.

    >>> hours = np.arange(300.0) % 24
    >>> season_of_numbers(hours[None], np.array([300]), np.array([0]), 0)
    24
    """
    size = size_N.max() if len(size_N) else 0
    height_L = np.zeros(size // TIMES + 1)
    num_columns = 0
    for n in range(len(size_N)):
        if 0 < size == size_N[n] and num_columns < MAX_COLUMNS:
            num_columns += 1
            series_T = _in_order(ring_NW[n], size, next_N[n])
            _raise_to_peaks(_rank_correlation(series_T, 2 * len(height_L)), size, known, height_L)
    return _shortest(height_L, known)


@compiled
def season_of_labels(ring_W: Ints, size: int, place: int, known: int) -> int:
    """The shortest season of the last `size` labels, in a ring whose next place is `place`, by how often they are equal.

    >>> season_of_labels(np.arange(96) // 2 % 6, 96, 0, 0)
    12
    """
    height_L = np.zeros(size // TIMES + 1)
    _raise_to_peaks(_agreement(_in_order(ring_W, size, place), 2 * len(height_L)), size, known, height_L)
    return _shortest(height_L, known)


@compiled
def _in_order(ring_W: NDArray[Value], size: int, place: int) -> NDArray[Value]:
    """(T,) the oldest first."""
    series_T = np.empty(size, dtype=ring_W.dtype)
    for t in range(size):
        series_T[t] = ring_W[(place - size + t) % len(ring_W)]
    return series_T


@compiled
def _rank_correlation(value_T: Floats, reach: int) -> Floats:
    """(reach,) the autocorrelation of the ranks at each lag, 0 throughout where all values are one."""
    r_L = np.zeros(reach)
    sorted_T = np.sort(value_T)
    rank_T = np.searchsorted(sorted_T, value_T) + np.searchsorted(sorted_T, value_T, side="right") - float(len(value_T))
    power = (rank_T * rank_T).mean()
    for lag in range(1, min(reach, len(value_T)) if power > 0.0 else 0):
        total = 0.0
        for t in range(lag, len(value_T)):
            total += rank_T[t] * rank_T[t - lag]
        r_L[lag] = total / (len(value_T) - lag) / power
    return r_L


@compiled
def _agreement(label_T: Ints, reach: int) -> Floats:
    """(reach,) how much more often labels are equal at each lag than by chance (Cohen's kappa), 0 where all are one."""
    r_L = np.zeros(reach)
    by_chance = ((np.bincount(label_T) / len(label_T)) ** 2).sum()
    for lag in range(1, min(reach, len(label_T)) if by_chance < 1.0 else 0):
        num_equal = 0
        for t in range(lag, len(label_T)):
            num_equal += label_T[t] == label_T[t - lag]
        r_L[lag] = (num_equal / (len(label_T) - lag) - by_chance) / (1.0 - by_chance)
    return r_L


@compiled
def _raise_to_peaks(r_L: Floats, num_rows: int, known: int, height_L: Floats) -> None:
    """Raise `height_L` to the correlation at those lags that may be a season; the one known need be no peak."""
    least = CORRELATION + STANDARD_ERRORS / np.sqrt(num_rows)
    lowest = r_L[1]
    for lag in range(2, len(height_L)):
        r = r_L[lag]
        peak = lag == known or (r >= r_L[lag - 1] and r >= r_L[lag + 1])
        if peak and r >= least and r - lowest >= PROMINENCE and r_L[2 * lag] >= AGAIN * r:
            height_L[lag] = max(height_L[lag], r)
        lowest = min(lowest, r)


@compiled
def _shortest(height_L: Floats, known: int) -> int:
    least = height_L.max() - MARGIN
    if 0 < known < len(height_L) and height_L[known] > 0.0 and height_L[known] >= least:
        return known
    for lag in range(len(height_L)):
        if height_L[lag] > 0.0 and height_L[lag] >= least:
            return lag
    return 0
