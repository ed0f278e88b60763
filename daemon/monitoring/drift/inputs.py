"""A detector of change in the inputs, before any label is known."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from daemon.monitoring.saved import take
from daemon.state import State

Floats = NDArray[np.float64]

# Rows are taken in blocks, counted from the first row, so that a test costs little a row and no cut of the stream moves it.
BLOCK_ROWS: Final = 10
WINDOW_BLOCKS: Final = 20
# Rows that each column's middle and spread are taken from; they are the first of the reference as well.
SCALE_ROWS: Final = 200
# Below this the covariance of the features is too poor to measure by.
MIN_REFERENCE_ROWS: Final = 500
NUM_FREQUENCIES: Final = 16
NUM_FEATURES: Final = 2 * NUM_FREQUENCIES
# Spreads from the middle at which a value is cut: one wild value must not drown its row.
CLIP: Final = 5.0
# Added to the covariance, so that directions in which the features hardly ever vary have little to say, as of inputs of one or
# two columns, or of a column that is nearly always the same, of which a few rows more are a matter of chance; a cosine has a
# variance of about 0.3.
_RIDGE: Final = 1e-2
_RIDGE_KK: Final = _RIDGE * np.eye(NUM_FEATURES)
# Added to the variance of T², so that of one direction alone, which need not be normal, more is asked than of many.
_LEAST_VARIANCE: Final = 0.3


class InputShift:
    """Alarm where the last 200 input vectors are distributed otherwise than those before them since the last alarm.

    Each vector (D,) is brought to the scale of the first 200 rows and mapped to the cosines and sines of 16 random
    projections. The features' mean over the window is held against their mean over all earlier rows, in units of the mean of
    both covariances (a ridged Hotelling T²), every 10 rows once 500 earlier rows are there. An alarm is a T² that
    lies more than `threshold` of its standard deviations above its expectation. Changes of mean, spread and dependence move
    these features, a change of labels alone does not. The `pause_rows` rows after an alarm are not looked at; then everything
    starts anew, so that alarms lie at least the pause and 700 rows apart.
    Memory: 200 rows of D at most and about 60 kB. About 25 µs a row.

    NaN is a missing value and counts as the column's mean. Infinity is refused before anything is taken in.

    >>> generator = np.random.default_rng(0)
    >>> detector = InputShift(threshold=7.0, seed=0)
    >>> alarms = []
    >>> for row in range(3000):
    ...     detector.update(generator.normal(size=8) + (0.7 if row >= 2000 else 0.0))
    ...     if detector.drift_detected:
    ...         alarms.append(row)
    >>> alarms
    [2079]

    Chwialkowski, Ramdas, Sejdinovic and Gretton 2015, "Fast two-sample testing with analytic representations of
    probability measures" (the smooth characteristic function test), with a growing reference and a sliding window.
    """

    def __init__(self, *, threshold: float, seed: int, pause_rows: int = 0) -> None:
        if not threshold > 0:
            raise ValueError(f"threshold is {threshold}; it must be above 0")
        self._threshold = threshold
        self._seed = seed
        self._pause_rows, self._num_paused = pause_rows, 0
        self._frequency_FD = np.empty((0, 0))
        self._restart()
        self.drift_detected = False
        self.worse = False
        """Always False: inputs alone do not tell whether a change is for the worse."""

    def _restart(self) -> None:
        self._center_D, self._spread_D = np.empty(0), np.empty(0)
        self._pending: list[NDArray[np.float32]] = []
        self._window = np.zeros((WINDOW_BLOCKS, BLOCK_ROWS, NUM_FEATURES))
        self._num_blocks = 0
        self._num_reference = 0
        self._sum_K = np.zeros(NUM_FEATURES)
        self._gram_KK = np.zeros((NUM_FEATURES, NUM_FEATURES))

    def update(self, x_D: NDArray[Any]) -> None:
        """Take the next row's vector; raises `ValueError` where it is not as long as the ones before, or holds infinity."""
        x_D = _checked(x_D)
        if x_D.shape != (self._frequency_FD.shape[1],):
            self._set_width(x_D)
        if self.drift_detected:
            self._restart()
            self.drift_detected = False
            self._num_paused = self._pause_rows
        if self._num_paused:
            self._num_paused -= 1
            return
        self._pending.append(x_D)
        if len(self._pending) == (BLOCK_ROWS if len(self._spread_D) else SCALE_ROWS):
            self._take_pending()

    def _set_width(self, x_D: NDArray[np.float32]) -> None:
        if self._frequency_FD.size or x_D.ndim != 1 or not len(x_D):
            raise ValueError(
                f"the input detector was given an array of shape {x_D.shape} after rows of {self._frequency_FD.shape[1]} "
                "values; it takes one vector a row, always as long"
            )
        self._frequency_FD = _frequencies(self._seed, len(x_D))

    def _take_pending(self) -> None:
        rows_ND = np.array(self._pending, np.float64)
        self._pending = []
        if not len(self._spread_D):
            self._center_D, self._spread_D = _scale(rows_ND)
        for start in range(0, len(rows_ND), BLOCK_ROWS):
            self._take_block(rows_ND[start : start + BLOCK_ROWS])

    def _take_block(self, rows_BD: Floats) -> None:
        scaled_BD = np.clip((rows_BD - self._center_D) / self._spread_D, -CLIP, CLIP)
        angle_BF = np.nan_to_num(scaled_BD, copy=False, nan=0.0) @ self._frequency_FD.T
        slot = self._num_blocks % WINDOW_BLOCKS
        if self._num_blocks >= WINDOW_BLOCKS:
            oldest_BK = self._window[slot]
            self._num_reference += BLOCK_ROWS
            self._sum_K += oldest_BK.sum(axis=0)
            self._gram_KK += oldest_BK.T @ oldest_BK
        self._window[slot, :, :NUM_FREQUENCIES] = np.cos(angle_BF)
        self._window[slot, :, NUM_FREQUENCIES:] = np.sin(angle_BF)
        self._num_blocks += 1
        if self._num_reference >= MIN_REFERENCE_ROWS:
            self.drift_detected = self.statistic() > self._threshold

    def statistic(self) -> float:
        """T² of the window against the reference, which must hold rows, as standard deviations above its expectation."""
        n, num_recent = self._num_reference, WINDOW_BLOCKS * BLOCK_ROWS
        mean_K = self._sum_K / n
        recent_NK = self._window.reshape(num_recent, NUM_FEATURES)
        recent_K = recent_NK.mean(axis=0)
        shift_K = recent_K - mean_K
        earlier_KK = self._gram_KK / n - np.outer(mean_K, mean_K)
        recent_KK = recent_NK.T @ recent_NK / num_recent - np.outer(recent_K, recent_K)
        # Both: of what is rare, earlier rows may have had few by chance, and would tell that it hardly varies.
        covariance_KK = 0.5 * (earlier_KK + recent_KK)
        solved = np.linalg.solve(covariance_KK + _RIDGE_KK, np.column_stack([covariance_KK, shift_K]))
        # The earlier rows' covariance is an estimate, and its inverse too large by this share in the mean; what is left of that
        # the calibration makes good.
        squared = float(shift_K @ solved[:, -1]) / (1 / num_recent + 1 / n) * (n - NUM_FEATURES) / n
        # A quadratic form of normal variables: its mean and variance are traces.
        hat_KK = solved[:, :-1]
        return (squared - float(np.trace(hat_KK))) / float(np.sqrt(2 * np.sum(hat_KK * hat_KK.T) + _LEAST_VARIANCE))

    def state_dict(self) -> State:
        return {
            "width": self._frequency_FD.shape[1],
            "center": self._center_D.copy(),
            "spread": self._spread_D.copy(),
            "pending": np.array(self._pending, np.float32).reshape(len(self._pending), self._frequency_FD.shape[1]),
            "window": self._window.copy(),
            "blocks": self._num_blocks,
            "reference_rows": self._num_reference,
            "sum": self._sum_K.copy(),
            "gram": self._gram_KK.copy(),
            "paused": self._num_paused,
            "drift_detected": self.drift_detected,
        }

    def load_state_dict(self, state: State) -> None:
        owner = "input detector"
        self._frequency_FD = _frequencies(self._seed, take(state, "width", owner=owner))
        self._center_D = np.array(take(state, "center", owner=owner), np.float64)
        self._spread_D = np.array(take(state, "spread", owner=owner), np.float64)
        self._pending = list(np.array(take(state, "pending", owner=owner), np.float32))
        self._window = np.array(take(state, "window", owner=owner), np.float64)
        self._num_blocks = take(state, "blocks", owner=owner)
        self._num_reference = take(state, "reference_rows", owner=owner)
        self._sum_K = np.array(take(state, "sum", owner=owner), np.float64)
        self._gram_KK = np.array(take(state, "gram", owner=owner), np.float64)
        self._num_paused = take(state, "paused", owner=owner)
        self.drift_detected = take(state, "drift_detected", owner=owner)


def _checked(x_D: NDArray[Any]) -> NDArray[np.float32]:
    """As 32-bit numbers, the largest in place of what is too large for them; NaN stays. Raises `ValueError` for infinity."""
    wide_D: Floats = np.asarray(x_D, np.float64)
    if (infinite_D := np.isinf(wide_D)).any():
        raise ValueError(
            f"the input detector was given {wide_D[infinite_D][0]}; it takes finite numbers, and NaN where a value is missing"
        )
    largest = np.finfo(np.float32).max
    return np.clip(wide_D, -largest, largest).astype(np.float32)


def _frequencies(seed: int, width: int) -> Floats:
    """(F, D) directions in which a vector of D standard variables has variance 1."""
    if width == 0:
        return np.empty((0, 0))
    frequency_FD: Floats = np.random.default_rng([seed, width]).normal(size=(NUM_FREQUENCIES, width)) / np.sqrt(width)
    return frequency_FD


def _scale(rows_ND: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation (D,) of each column; 0 and 1 where it is missing throughout, 1 where it is constant.

    No quartiles: of a rank that is nearly always the same they lie as far apart as that one place wanders.

    >>> [part.tolist() for part in _scale(np.array([[1.0, 5.0, np.nan], [3.0, 5.0, np.nan]]))]
    [[2.0, 5.0, 0.0], [1.0, 1.0, 1.0]]
    """
    known_ND = np.where(np.isnan(rows_ND).all(axis=0), 0.0, rows_ND)
    center_D = np.nanmean(known_ND, axis=0)
    spread_D = np.where(np.isnan(known_ND), center_D, known_ND).std(axis=0)
    return center_D, np.where(spread_D > 0, spread_D, 1.0)
