"""A generalised likelihood-ratio test of "one rate" against "one rate, then another", at every row and for every split."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.monitoring.drift.base import Detector, Floats, checked_share
from daemon.monitoring.saved import take
from daemon.state import State

# A hull has about 2 ln(rows) corners; only a stream that bends all the way could reach this, and would raise alarms first.
MAX_SPLITS: Final = 200

# Rows of a Bernoulli draw's own spread that the spread of the first few values is weighed against.
PRIOR_ROWS: Final = 30

# A fall is no emergency, and most rows are no errors: looking for one now and then keeps the mean cost low.
FALL_EVERY_ROWS: Final = 16

# What a row shows.
NONE, RISE, FALL = 0, 1, 2


class LikelihoodRatio(Detector):
    """Alarm where some split of the rows since the last alarm is far likelier than no split.

    A split into n rows before and m after has the evidence (in nats)

        ln likelihood with a rate each - ln likelihood with one rate + ln(n m / (n + m)),

    and more than `threshold` is an alarm. The last term makes short bursts, of which a stable stream has so many more than
    of long rises, pay for their number; without it, they alone would decide how strict the test must be.

    Values are errors as a share, in [0, 1]. 0 and 1 are Bernoulli draws; for shares between them, which vary less, the same
    likelihood is divided by their dispersion, their variance over that of a Bernoulli draw of their mean. Neither the rate
    before a change nor that after it need be known. Splits are tried at the corners of the convex hull of the running sum
    alone: the likeliest lies on the lower hull for a rise, on the upper one for a fall. After an alarm in either direction
    the history starts anew.

    >>> detector = LikelihoodRatio(threshold=15.0)
    >>> alarms = []
    >>> for row in range(2000):
    ...     detector.update(row % 10 == 0 if row < 1000 else row % 2 == 0)
    ...     if detector.drift_detected:
    ...         alarms.append((row, detector.worse))
    >>> alarms
    [(1022, True)]

    The test: Lorden 1971; Besson, Kaufmann, Maillard and Seznec 2022, "Efficient change-point detection for tackling
    piecewise-stationary bandits". The hull: Romano, Eckley, Fearnhead and Rigaill 2023, "Fast online changepoint detection
    via functional pruning CUSUM statistics"; Ward, Dilillo, Eckley and Fearnhead 2024 for the exponential family. The price
    of short stretches: Chan and Walther 2013, "Detection with the scan and the average likelihood ratio". The dispersion:
    Wedderburn 1974, "Quasi-likelihood functions".
    """

    def __init__(self, *, threshold: float) -> None:
        if not threshold > 0:
            raise ValueError(f"threshold is {threshold}; it must be above 0")
        self._threshold = threshold
        self._sums = np.zeros(3)  # rows, their sum, and the sum of their squares
        # Corners (rows, sum, log likelihood of those rows under their own rate), the start first and the newest row last.
        self._lower, self._upper = np.zeros((MAX_SPLITS, 3)), np.zeros((MAX_SPLITS, 3))
        self._num_corners = np.ones(2, np.int64)
        self.drift_detected = False
        self.worse = False

    def update(self, x: float) -> None:
        self.advance(np.array([checked_share(x)], np.float64))

    def advance(self, x_N: Floats) -> int:
        if not ((x_N >= 0.0) & (x_N <= 1.0)).all():
            return super().advance(x_N)  # which takes those before it and refuses the one
        if self.drift_detected:
            self._sums[:], self._num_corners[:] = 0.0, 1
        num_taken, found = _advance(x_N, self._threshold, self._sums, self._lower, self._upper, self._num_corners)
        self.drift_detected = found != NONE
        if self.drift_detected:
            self.worse = found == RISE
        return num_taken

    def state_dict(self) -> State:
        num_lower, num_upper = self._num_corners
        return {
            "sums": self._sums.copy(),
            "lower": self._lower[:num_lower].copy(),
            "upper": self._upper[:num_upper].copy(),
            "drift_detected": self.drift_detected,
            "worse": self.worse,
        }

    def load_state_dict(self, state: State) -> None:
        owner = "likelihood ratio"
        self._sums = np.array(take(state, "sums", owner=owner), np.float64)
        for i, hull in enumerate((self._lower, self._upper)):
            corners = take(state, ("lower", "upper")[i], owner=owner)
            self._num_corners[i] = len(corners)
            hull[: len(corners)] = corners
        self.drift_detected = take(state, "drift_detected", owner=owner)
        self.worse = take(state, "worse", owner=owner)


@compiled
def _advance(
    x_N: Floats, threshold: float, sums: Floats, lower: Floats, upper: Floats, num_corners: NDArray[np.int64]
) -> tuple[int, int]:
    """Take rows in, up to the first that shows something; how many, and what the last of them showed."""
    found = NONE
    for n in range(len(x_N)):
        found = _update(x_N[n], threshold, sums, lower, upper, num_corners)
        if found != NONE:
            return n + 1, found
    return len(x_N), found


@compiled
def _update(x: float, threshold: float, sums: Floats, lower: Floats, upper: Floats, num_corners: NDArray[np.int64]) -> int:
    """Take one more row in; whether some split is far likelier than none, for a rise or a fall."""
    sums[0] += 1.0
    sums[1] += x
    sums[2] += x * x
    num_rows, total = sums[0], sums[1]
    found = NONE
    # Without a value above the mean the evidence for a rise can only shrink.
    if x * num_rows > total and _is_split(threshold, sums, lower[: num_corners[0]]):
        found = RISE
    elif num_rows % FALL_EVERY_ROWS == 0 and _is_split(threshold, sums, upper[: num_corners[1]]):
        found = FALL
    log_likelihood = _log_likelihood(total, num_rows)
    num_corners[0] = _extend(lower, num_corners[0], num_rows, total, log_likelihood, 1.0)
    num_corners[1] = _extend(upper, num_corners[1], num_rows, total, log_likelihood, -1.0)
    return found


@compiled
def _is_split(threshold: float, sums: Floats, hull: Floats) -> bool:
    """Whether rows up to one of the corners and rows after it have rates of their own."""
    num_rows, total = sums[0], sums[1]
    dispersion = _dispersion(sums)
    needed = dispersion * (threshold + math.log(num_rows)) + _log_likelihood(total, num_rows)
    for i in range(1, len(hull)):
        n, part, before = hull[i]
        num_after = num_rows - n
        size = dispersion * math.log(n * num_after)
        if before + _log_likelihood(total - part, num_after) + size > needed:
            return True
    return False


@compiled
def _dispersion(sums: Floats) -> float:
    """1 for values of 0 and 1, less for values between them."""
    num_rows = sums[0]
    mean = sums[1] / num_rows
    bernoulli = mean * (1 - mean)
    if bernoulli <= 0.0:
        return 1.0
    variance = max(0.0, sums[2] / num_rows - mean * mean)
    dispersion: float = (variance / bernoulli * num_rows + PRIOR_ROWS) / (num_rows + PRIOR_ROWS)
    return dispersion


@compiled
def _log_likelihood(total: float, num_rows: float) -> float:
    """Of `num_rows` Bernoulli rows that sum to `total`, under their own mean.

    >>> round(_log_likelihood(1.0, 2.0), 4), _log_likelihood(2.0, 2.0)
    (-1.3863, 0.0)
    """
    rest = num_rows - total
    if total <= 0.0 or rest <= 0.0:
        return 0.0
    evidence: float = total * math.log(total / num_rows) + rest * math.log(rest / num_rows)
    return evidence


@compiled
def _extend(hull: Floats, num_corners: int, n: float, total: float, log_likelihood: float, sign: float) -> int:
    """Append the newest point to the lower hull (sign 1) or the upper one (sign -1) and drop the corners that it hides; how
    many there are then."""
    while num_corners > 1:
        n0, s0, _ = hull[num_corners - 2]
        n1, s1, _ = hull[num_corners - 1]
        if sign * ((s1 - s0) * (n - n1) - (total - s1) * (n1 - n0)) < 0.0:
            break
        num_corners -= 1
    if num_corners == MAX_SPLITS:
        hull[1:-1] = hull[2:].copy()
        num_corners -= 1
    hull[num_corners] = n, total, log_likelihood
    return num_corners + 1
