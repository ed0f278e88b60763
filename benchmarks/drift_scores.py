"""How alarms are counted against the drifts that are known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Score(NamedTuple):
    """What one detector did on some streams."""

    delays: list[int]
    drifts: int
    false: int
    rows: int

    def __str__(self) -> str:
        delay = f"{np.mean(self.delays):.0f}" if self.delays else "-"
        missed = f", {self.drifts - len(self.delays)} of {self.drifts} missed" if len(self.delays) < self.drifts else ""
        return f"{delay} / {self.false * 100_000 / self.rows:.2g}{missed}"


def score(alarms: Sequence[int], drifts: Sequence[int], *, allowed_rows: int, num_rows: int) -> Score:
    """Count the first alarm in the allowed rows after each drift as found, alarms outside of them as false. An alarm belongs
    to the newest drift before it.

    >>> score([20_030, 20_100, 31_000], [20_000, 40_000], allowed_rows=250, num_rows=50_000)
    Score(delays=[30], drifts=2, false=1, rows=50000)
    >>> score([1_010, 1_210], [1_000, 1_200], allowed_rows=500, num_rows=2_000)
    Score(delays=[10, 10], drifts=2, false=0, rows=2000)
    >>> score([7], [], allowed_rows=500, num_rows=2_000)
    Score(delays=[], drifts=0, false=1, rows=2000)
    """
    found = [
        [alarm - drift for alarm in alarms if drift <= alarm < min(drift + allowed_rows, end)]
        for drift, end in pairwise([*drifts, num_rows])
    ]
    false = len(alarms) - sum(map(len, found))
    return Score([delays[0] for delays in found if delays], len(drifts), false, num_rows)


def total(scores: Sequence[Score]) -> Score:
    """One score over several streams."""
    return Score(
        [delay for each in scores for delay in each.delays],
        sum(each.drifts for each in scores),
        sum(each.false for each in scores),
        sum(each.rows for each in scores),
    )
