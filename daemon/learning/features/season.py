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
FIRST_LOOKS = (64, 128, 256, 512)
# It must have come so many times in what is looked at; rows up to so many seasons apart are compared.
TIMES, SEASONS = 3, 3
# They correlate by so much at least, or their steps do; by so much more than rows nearer to each other; and at any number of
# seasons about as much, by so many standard errors. Steps tell a season under a walk, and of a walk none.
OF_VALUES, OF_STEPS, PROMINENCE, ALIKE, STANDARD_ERRORS, BEYOND = 0.4, 0.2, 0.3, 0.8, 3.0, 1.0
MAX_COLUMNS = 64


def is_due(num_rows: int) -> bool:
    """Whether a season is looked for once so many rows were learned."""
    return num_rows in FIRST_LOOKS or (num_rows > 0 and num_rows % WINDOW == 0)


@compiled
def season_of_numbers(ring_NW: Floats, next_N: Ints, column_C: Ints, size: int, known: int) -> int:
    """The shortest season, in rows, of the last `size` numbers of the first 64 columns named; 0 where there is none.

    Numbers of column n lie in `ring_NW[n]`, whose next place is `next_N[n]`. A season is a peak of the autocorrelation of the
    ranks of a column's steps from row to row, or where none has one, of its numbers. `known` is the season found before, 0 for
    none.

    >>> hours = np.arange(300.0) % 24
    >>> season_of_numbers(hours[None], np.array([0]), np.array([0]), 300, 0)
    24
    """
    num_columns = min(MAX_COLUMNS, len(column_C))
    of_values_L, of_steps_L = np.zeros(size // TIMES + 1), np.zeros(size // TIMES + 1)
    reach = 2 * len(of_values_L)
    for n in column_C[:num_columns]:
        value_T = _in_order(ring_NW[n], size, next_N[n])
        step_T = value_T[1:] - value_T[:-1]
        _raise_to_peaks(_rank_correlation(value_T, reach), OF_VALUES, size, num_columns, known, of_values_L)
        _raise_to_peaks(_rank_correlation(step_T, reach), OF_STEPS, size, num_columns, known, of_steps_L)
    return _shortest(of_steps_L, size, known) or _shortest(of_values_L, size, known)


@compiled
def season_of_labels(ring_W: Ints, size: int, place: int, known: int) -> int:
    """The shortest season of the last `size` labels, in a ring whose next place is `place`, by how often they are equal.

    >>> season_of_labels(np.arange(96) // 2 % 6, 96, 0, 0)
    12
    """
    height_L = np.zeros(size // TIMES + 1)
    label_T = _in_order(ring_W, size, place)
    _raise_to_peaks(_agreement(label_T, 2 * len(height_L)), OF_VALUES, size, 1, known, height_L)
    return _shortest(height_L, size, known)


@compiled
def _in_order(ring_W: NDArray[Value], size: int, place: int) -> NDArray[Value]:
    """(T,) the oldest first."""
    series_T = np.empty(size, dtype=ring_W.dtype)
    for t in range(size):
        series_T[t] = ring_W[(place - size + t) % len(ring_W)]
    return series_T


@compiled
def _add_products(value: float, before_L: Floats, r_L: Floats, variance_L: Floats) -> None:
    """Add to each lag's sums the product of a value and the one so many rows before it, and its square."""
    for lag in range(1, min(len(r_L), len(before_L))):
        product = value * before_L[lag]
        r_L[lag] += product
        variance_L[lag] += product * product


@compiled
def _rank_correlation(value_T: Floats, reach: int) -> tuple[Floats, Floats]:
    """(reach,) the autocorrelation of the ranks at each lag and, as far as rows are independent, its variance."""
    sorted_T = np.sort(value_T)
    below_T, upto_T = np.searchsorted(sorted_T, value_T), np.searchsorted(sorted_T, value_T, side="right")
    rank_T = (below_T + upto_T - len(value_T)).astype(np.float64)
    power = (rank_T * rank_T).mean()
    r_L, variance_L = np.zeros(reach), np.zeros(reach)
    if power > 0.0:
        backward_T = rank_T[::-1].copy()  # so that lags lie in memory as they are gone through
        for t in range(1, len(value_T)):
            _add_products(rank_T[t], backward_T[len(value_T) - 1 - t :], r_L, variance_L)
        most_L = power * (len(value_T) - np.arange(reach))
        r_L /= most_L
        variance_L /= most_L * most_L
    return r_L, variance_L


@compiled
def _add_agreements(before_L: Ints, share_L: Floats, by_chance: float, r_L: Floats, variance_L: Floats) -> None:
    """Add to each lag's sums whether the label before is that of lag 0, less what chance explains of it, and its square."""
    for lag in range(1, min(len(r_L), len(before_L))):
        product = (1.0 if before_L[lag] == before_L[0] else 0.0) - share_L[0] - share_L[lag] + by_chance
        r_L[lag] += product
        variance_L[lag] += product * product


@compiled
def _agreement(label_T: Ints, reach: int) -> tuple[Floats, Floats]:
    """(reach,) the same for labels, by what of their being equal chance does not explain (Cohen's kappa)."""
    share_K = np.bincount(label_T) / len(label_T)
    by_chance = (share_K * share_K).sum()
    r_L, variance_L = np.zeros(reach), np.zeros(reach)
    if by_chance < 1.0:
        backward_T = label_T[::-1].copy()
        share_T = share_K[backward_T]
        for t in range(1, len(label_T)):
            place = len(label_T) - 1 - t
            _add_agreements(backward_T[place:], share_T[place:], by_chance, r_L, variance_L)
        most_L = (1.0 - by_chance) * (len(label_T) - np.arange(reach))
        r_L /= most_L
        variance_L /= most_L * most_L
    return r_L, variance_L


@compiled
def _raise_to_peaks(
    r: tuple[Floats, Floats], least: float, num_rows: int, num_columns: int, known: int, height_L: Floats
) -> None:
    """Raise `height_L` to the mean correlation of rows one, two and three seasons apart, at lags that may be a season.

    They may where it is `least` and no lag near to them has more, or they are the one known; and where it, or that of a
    multiple of theirs, is beyond chance: a standard error more than is to be expected of the largest of so many columns and
    lags. That is the more, the longer rows resemble those before them (Bartlett's formula, up to the first lag where they do
    not).
    """
    r_L, variance_L = r
    mean_L, least_L = np.zeros(len(height_L)), np.zeros(len(height_L))
    for lag in range(1, len(height_L)):
        r_M = r_L[lag : SEASONS * lag + 1 : lag]  # as many as there are, at least two
        mean_L[lag], least_L[lag] = r_M.mean(), r_M.min()
    resemblance, lag = 1.0, 1
    while lag < len(height_L) and r_L[lag] > 0.0:
        resemblance += 2.0 * r_L[lag] ** 2
        lag += 1
    largest = np.sqrt(2.0 * np.log(num_columns * len(height_L))) + BEYOND
    peak_L, beyond_chance_L, lowest = np.zeros(len(height_L)), np.zeros(len(height_L), dtype=np.bool_), r_L[1]
    for lag in range(2, len(height_L)):
        mean = mean_L[lag]
        if mean >= max(least, lowest + PROMINENCE) and _is_as_high(least_L[lag], mean, num_rows):
            near = _near(lag)
            if lag == known or mean >= mean_L[max(1, lag - near) : lag + near + 1].max():
                peak_L[lag] = mean
                variance = resemblance * max(variance_L[lag], 1.0 / (num_rows - 2 * lag))
                beyond_chance_L[lag] = mean >= np.tanh(largest * np.sqrt(variance))
        lowest = min(lowest, r_L[lag])
    for lag in range(2, len(height_L)):
        if beyond_chance_L[lag::lag].any():
            height_L[lag] = max(height_L[lag], peak_L[lag])


@compiled
def _shortest(height_L: Floats, num_rows: int, known: int) -> int:
    """The shortest lag about as high as the highest, or the one known, where that is near to it; 0 where all are 0."""
    highest = height_L.max()
    for lag in range(len(height_L)):
        if height_L[lag] > 0.0 and _is_as_high(height_L[lag], highest, num_rows):
            near = abs(known - lag) <= _near(lag) and known < len(height_L)
            return known if near and height_L[known] > 0.0 and _is_as_high(height_L[known], highest, num_rows) else lag
    return 0


@compiled
def _is_as_high(r: float, other: float, num_rows: int) -> bool:
    """Whether a correlation is about another, as far as can be told of so many rows."""
    return bool(r >= ALIKE * other - STANDARD_ERRORS * (1.0 - other * other) / np.sqrt(num_rows))


@compiled
def _near(lag: int) -> int:
    """Within so many rows only the highest lag is a peak."""
    return 1 + lag // 8
