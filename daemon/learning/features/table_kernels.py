"""Compiled parts of `Columns`: running statistics, and ranks in a window of the last values.

N columns, W rows of the rank window. A column's statistics are one row of `stats_NS`, by the names below.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Columns of `stats_NS`.
COUNT, MEAN, SQUARES, PREVIOUS, AVERAGE, SEASON, SPREAD, OUTLIERS, ABSENT, UNBROKEN, SEASON_ROWS, NUM_STATS = (
    0, 1, 2, 3, 4, 7, 8, 13, 14, 15, 16, 17,
)  # fmt: skip
# Time constants of the moving averages, in rows: within an hour, a day and a week of hourly data.
TAU_4, TAU_16, TAU_64 = 4.0, 16.0, 64.0
# Changes from the row before and from those averages; where there is a season, one more, from the mean of the last.
NUM_CHANGES, WITH_SEASON = 4, 5
Z_LIMIT = 5.0
# A value so many standard deviations away is a fault of the sender: it counts as missing and stays out of the statistics,
# until so many came in a row that the column must have changed its unit.
OUTLIER_Z = 1e4
ABSURD = 1e12
OUTLIER_RUN = 1000
SETTLED_ROWS = 30
SPREAD_LIMIT = 3.0
# Of the rows in the window, for the watch on inputs.
OFTEN, MOSTLY = 0.6, 0.9

MISSING, NUMBER, CATEGORY = 0, 1, 2


@compiled
def deviation(stats_S: Floats) -> float:
    """Standard deviation of a column so far; 0 before the second value."""
    if stats_S[COUNT] < 2.0:
        return 0.0
    scale: float = np.sqrt(stats_S[SQUARES] / stats_S[COUNT])
    return scale


@compiled
def is_outlier(value: float, stats_S: Floats) -> bool:
    """Whether a value is a fault of the sender, by the column's own statistics."""
    if stats_S[COUNT] < SETTLED_ROWS:
        return False
    distance, scale = abs(value - stats_S[MEAN]), deviation(stats_S)
    if scale <= 1e-12 * abs(stats_S[MEAN]):  # one value only so far: the second may be anything but absurd
        return bool(distance > ABSURD * max(1.0, abs(stats_S[MEAN])))
    return bool(distance > OUTLIER_Z * (scale + 1e-3 * abs(stats_S[MEAN])))


@compiled
def standardized(value: float, stats_S: Floats) -> float:
    """(value − mean) / deviation, clipped; 0 while the column has shown one value only."""
    scale = deviation(stats_S)
    if scale <= 1e-12 * abs(stats_S[MEAN]) or scale == 0.0:
        return 0.0
    z: float = (value - stats_S[MEAN]) / scale
    return min(Z_LIMIT, max(-Z_LIMIT, z))


@compiled
def rank(value: float, sorted_W: Floats, size: int) -> float:
    """Share of the window below `value`, ties half; .5 for an empty window.

    >>> rank(2.0, np.array([1.0, 2.0, 3.0, 4.0]), 4)
    0.375
    """
    if size == 0:
        return 0.5
    low, high = _ties(value, sorted_W, size)
    return 0.5 * (low + high) / size


@compiled
def _ties(value: float, sorted_W: Floats, size: int) -> tuple[int, int]:
    """How many in the window are below `value`, and how many at most that."""
    low = _num_below(value, sorted_W, size)
    high = low
    while high < size and sorted_W[high] == value and high < low + 8:
        high += 1
    if high == low + 8:  # many ties: bisect for their end
        high = _num_below(np.nextafter(value, np.inf), sorted_W, size)
    return low, high


@compiled
def _num_below(value: float, sorted_W: Floats, size: int) -> int:
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if sorted_W[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def measure_row(
    value_N: Floats,
    kind_N: Ints,
    stats_NS: Floats,
    sorted_NW: Floats,
    size_N: Ints,
    z_N: Floats,
    rank_N: Floats,
    change_NC: Floats,
    known_N: Ints,
    num_changes: int,
) -> None:
    """Fill z, rank and the changes of every column; `known_N` is `kind_N` with outliers taken as missing."""
    for n in range(len(value_N)):
        known_N[n] = kind_N[n]
        z_N[n] = 0.0
        rank_N[n] = 0.5
        change_NC[n, :] = 0.0
        if kind_N[n] != NUMBER:
            continue
        if is_outlier(value_N[n], stats_NS[n]):
            known_N[n] = MISSING
            continue
        z_N[n] = standardized(value_N[n], stats_NS[n])
        rank_N[n] = rank(value_N[n], sorted_NW[n], size_N[n])
        for c in range(num_changes):
            spread = stats_NS[n, SPREAD + c]
            if spread > 0.0:
                change = (z_N[n] - stats_NS[n, PREVIOUS + c]) / spread
                change_NC[n, c] = min(Z_LIMIT, max(-Z_LIMIT, change))


@compiled
def learn_row(
    value_N: Floats,
    kind_N: Ints,
    stats_NS: Floats,
    ring_NW: Floats,
    sorted_NW: Floats,
    size_N: Ints,
    next_N: Ints,
    season: int,
) -> None:
    """Take a row into the statistics and rank windows of its numeric columns; `season` is 0 where there is none."""
    window = ring_NW.shape[1]
    for n in range(len(value_N)):
        if kind_N[n] != NUMBER:
            stats_NS[n, ABSENT] += 1.0 if kind_N[n] == MISSING else 0.0
            stats_NS[n, UNBROKEN] = 0.0
            continue
        value = value_N[n]
        if is_outlier(value, stats_NS[n]):
            stats_NS[n, OUTLIERS] += 1.0
            stats_NS[n, UNBROKEN] = 0.0
            if stats_NS[n, OUTLIERS] < OUTLIER_RUN:
                continue
            stats_NS[n, :] = 0.0
            size_N[n] = 0
            next_N[n] = 0
        stats_NS[n, OUTLIERS] = 0.0
        stats_NS[n, UNBROKEN] += 1.0
        _learn_changes(value, stats_NS[n])
        _learn_moments(value, stats_NS[n])
        if size_N[n] == window:
            _replace(ring_NW[n, next_N[n]], value, sorted_NW[n])
        else:
            _insert(value, sorted_NW[n], size_N[n])
            size_N[n] += 1
        ring_NW[n, next_N[n]] = value
        next_N[n] = (next_N[n] + 1) % window
        if season > 0:
            mean = _mean_of_last(min(season, size_N[n]), ring_NW[n], next_N[n])
            stats_NS[n, SEASON] = standardized(mean, stats_NS[n])
            stats_NS[n, SEASON_ROWS] += 1.0


@compiled
def _mean_of_last(num: int, ring_W: Floats, place: int) -> float:
    total = 0.0
    for back in range(1, num + 1):
        total += ring_W[place - back]  # below 0: from the end
    return total / num


@compiled
def _learn_changes(value: float, stats_S: Floats) -> None:
    z = standardized(value, stats_S)
    count = stats_S[COUNT]
    if count == 0.0:
        return
    for c in range(WITH_SEASON):
        num = stats_S[SEASON_ROWS] if c == NUM_CHANGES else count
        if num > 0.0:
            change = abs(z - stats_S[PREVIOUS + c])
            if num >= SETTLED_ROWS:  # a spike must not flatten all that is usual
                change = min(change, SPREAD_LIMIT * stats_S[SPREAD + c])
            stats_S[SPREAD + c] += (change - stats_S[SPREAD + c]) / num
    stats_S[PREVIOUS] = z
    stats_S[AVERAGE] += (z - stats_S[AVERAGE]) / TAU_4
    stats_S[AVERAGE + 1] += (z - stats_S[AVERAGE + 1]) / TAU_16
    stats_S[AVERAGE + 2] += (z - stats_S[AVERAGE + 2]) / TAU_64


@compiled
def _learn_moments(value: float, stats_S: Floats) -> None:
    """Welford's update; once settled, with the value drawn in to five deviations, so that no single one rules."""
    if stats_S[COUNT] >= SETTLED_ROWS:
        scale = deviation(stats_S)
        reach = Z_LIMIT * scale if scale > 0.0 else abs(value - stats_S[MEAN])
        value = min(stats_S[MEAN] + reach, max(stats_S[MEAN] - reach, value))
    stats_S[COUNT] += 1.0
    delta = value - stats_S[MEAN]
    stats_S[MEAN] += delta / stats_S[COUNT]
    stats_S[SQUARES] += delta * (value - stats_S[MEAN])


@compiled
def _replace(old: float, new: float, sorted_W: Floats) -> None:
    """Take one value out and another in: only what lies between them moves."""
    place = _num_below(old, sorted_W, len(sorted_W))
    while place + 1 < len(sorted_W) and sorted_W[place + 1] < new:
        sorted_W[place] = sorted_W[place + 1]
        place += 1
    while place > 0 and sorted_W[place - 1] > new:
        sorted_W[place] = sorted_W[place - 1]
        place -= 1
    sorted_W[place] = new


@compiled
def _insert(value: float, sorted_W: Floats, size: int) -> None:
    place = _num_below(value, sorted_W, size)
    for i in range(size, place, -1):
        sorted_W[i] = sorted_W[i - 1]
    sorted_W[place] = value


@compiled
def summarize_row(
    value_N: Floats,
    kind_N: Ints,
    rank_N: Floats,
    sorted_NW: Floats,
    size_N: Ints,
    category_N: NDArray[np.uint64],
    summary_D: NDArray[np.float32],
) -> None:
    """The rank of each number, a category's hash as a number in [0, 1); what is missing stays as it is.

    The rank of a number that takes more than `OFTEN` of its column's window is drawn to the middle, and is there from `MOSTLY`
    on.
    """
    for n in range(min(len(kind_N), len(summary_D))):
        if kind_N[n] == CATEGORY:
            summary_D[n] = category_N[n] * 2.0**-64
        elif kind_N[n] == NUMBER:
            low, high = _ties(value_N[n], sorted_NW[n], size_N[n])
            share = (high - low) / max(1, size_N[n])
            kept = min(1.0, max(0.0, (MOSTLY - share) / (MOSTLY - OFTEN)))
            summary_D[n] = 0.5 + (rank_N[n] - 0.5) * kept
