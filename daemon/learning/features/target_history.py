"""The targets that came before, of all rows and of rows with the same key: what a regression starts from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Extractor
from daemon.learning.features.inputs import Dense
from daemon.learning.features.key_memory import KeyMemory
from daemon.learning.features.references import Reference
from daemon.learning.features.season import WINDOW, is_due, season_of_numbers
from daemon.learning.features.table import TableFeatures
from daemon.state import State

# Rows back, beside the last: those just before it; a week of days; a day of hours and of half-hours; a week of hours. The
# neighbour of each season tells the step taken then.
LAGS = np.array([2, 3, 4, 7, 8, 24, 25, 48, 49, 168, 169])
TAUS = np.array([4.0, 16.0, 64.0])
LAG_LIMIT = 3.0
# Of the season: the targets one before this row and the last, and the mean of the last one.
SEASON_INPUTS = 3
# What follows a jump may be another, and nothing else tells: the last step is let in further, though not as far
# as it may go: nothing is known of levels that were reached only once.
JUMP_LIMIT = 30.0
KEY_LIMIT = 10.0
STEP_TAUS = np.array([1.0, 4.0, 16.0])
# The mean moves by at most so many of its scales over the number of rows, so that no single target rules it.
STEP_LIMIT = 10.0
# A key's mean counts the mean of all as so many rows of its own.
SHRINKAGE = 3.0


class TargetHistory(Extractor):
    """References for the current row, and how earlier targets differ from the last.

    - `last`: the target before; `mean`: the mean so far; `key`, `key_mean`: the last target, and the mean drawn to the mean of
      all, of earlier rows with the same value in the key column (see `KeyMemory`). Where there were none: `last` and `mean`.
    - `lags`, dense: targets some rows back (`LAGS`) and moving averages (`TAUS`, in rows), less the last, in its scales, within
      ±3; the last step within ±30, so that a ramp is followed; and where targets, or else the columns, have a season (see
      `features/season.py`), the targets one season before this row and the last, and the mean of the last season.
    - `keyed`, dense: the last target, the key's mean and the mean of all, less the key's last; the key's last step; ln(1 + rows
      of the key); and by how much earlier rows, of any key, exceeded their key's last: the row before, and averages over 4 and
      16 rows. In scales of `key`, clipped to ±10.

    `enabled=False` leaves out everything but `mean`. `table`, whose columns may be keys, must be learned before this.
    """

    def __init__(self, *, table: TableFeatures | None, enabled: bool = True) -> None:
        self._table = table
        self.enabled = enabled
        self.last, self.mean, self.key, self.key_mean = Reference(), Reference(), Reference(), Reference()
        self._references = {"mean": self.mean}
        self.lags, self.keyed = Dense(), Dense()
        if enabled:
            self._references |= {"last": self.last, "key": self.key, "key_mean": self.key_mean}
            self.lags.widen(len(LAGS) + len(TAUS) + 1 + SEASON_INPUTS)
            self.keyed.widen(5 + len(STEP_TAUS))
        self._keys = KeyMemory()
        self._num_rows = 0
        self._ring_L = np.zeros(WINDOW)
        self._season = 0
        self._average_T = np.zeros(len(TAUS))
        self._step_T = np.zeros(len(STEP_TAUS))

    def begin(self, batch: Batch) -> None:
        """Nothing: the table reads the rows."""

    def encode(self, row: int) -> None:
        if self.enabled:
            self._encode_lags()
            self._encode_key()

    def _encode_lags(self) -> None:
        values_D, scale = self.lags.values_D, self.last.scale
        if scale == 0.0:
            values_D[:] = 0.0
            return
        back_L = np.minimum(LAGS, self._num_rows)
        lag_L = self._ring_L[(self._num_rows - back_L) % len(self._ring_L)]
        difference = (np.concatenate([lag_L, self._average_T]) - self.last.value) / scale
        jump = len(difference)
        values_D[:jump] = np.clip(difference, -LAG_LIMIT, LAG_LIMIT)
        values_D[jump] = min(JUMP_LIMIT, max(-JUMP_LIMIT, difference[0]))
        values_D[jump + 1 :] = np.clip((self._season_ago() - self.last.value) / scale, -LAG_LIMIT, LAG_LIMIT)

    def _season_ago(self) -> NDArray[np.float64]:
        """(3,) the targets a season before the current row and before the last, and the mean of a season; else the last one."""
        season = self._season or (self._table.columns.season if self._table else 0)
        if not 0 < season < self._num_rows:
            return np.full(SEASON_INPUTS, self.last.value)
        back_S = self._ring_L[(self._num_rows - np.arange(1, season + 2)) % len(self._ring_L)]
        return np.array([back_S[season - 1], back_S[season], back_S[:season].mean()])

    def _encode_key(self) -> None:
        self.key.value, self.key_mean.value = self.last.value, self.mean.value
        self.keyed.values_D[:] = 0.0
        memory_M = self._keys.recall(self._exact_keys())
        if memory_M is None:
            return
        last, before, total, count = memory_M.tolist()
        self.key.value = last
        self.key_mean.value = (total + SHRINKAGE * self.mean.value) / (count + SHRINKAGE)
        if self.key.scale > 0.0:
            levels = np.array([self.last.value, self.key_mean.value, self.mean.value]) - last
            distances = np.concatenate([levels, [last - before], self._step_T]) / self.key.scale
            self.keyed.values_D[:-1] = np.clip(distances, -KEY_LIMIT, KEY_LIMIT)
        self.keyed.values_D[-1] = np.log1p(count)

    def _exact_keys(self) -> NDArray[np.uint64]:
        return self._table.exact_keys() if self._table else np.zeros(0, dtype=np.uint64)

    def learn(self, target: float, weight: float) -> None:
        if weight == 0.0:
            return
        before = self.mean.value
        step = target - before
        if self.mean.scale > 0.0:
            step = min(STEP_LIMIT * self.mean.scale, max(-STEP_LIMIT * self.mean.scale, step))
        if self._num_rows:
            for reference in self._references.values():
                reference.learn(target)
        self._num_rows += 1
        self.mean.value += step / self._num_rows
        if self.enabled:
            fallback = self.last.value if self._num_rows > 1 else target
            self._keys.learn(self._exact_keys(), target, bounded=before + step, fallback=fallback, usual_error=self.last.scale)
            if self._num_rows > 1:
                self._step_T += (target - self.key.value - self._step_T) / STEP_TAUS
            self._average_T += (target - self._average_T) / np.minimum(TAUS, self._num_rows)
            self._ring_L[(self._num_rows - 1) % len(self._ring_L)] = target
            self.last.value = target
            if is_due(self._num_rows):
                size, place = min(self._num_rows, WINDOW), np.array([self._num_rows % WINDOW])
                self._season = season_of_numbers(self._ring_L[None], place, np.array([0]), size, self._season)

    def state_dict(self) -> State:
        return {
            "references": {name: reference.state_dict() for name, reference in self._references.items()},
            "keys": self._keys.state_dict(),
            "last": self.last.value,
            "mean": self.mean.value,
            "num_rows": self._num_rows,
            "ring": self._ring_L.copy(),
            "season": self._season,
            "averages": self._average_T.copy(),
            "steps": self._step_T.copy(),
        }

    def load_state_dict(self, state: State) -> None:
        for name, reference in self._references.items():
            reference.load_state_dict(state["references"][name])
        self.last.value, self.mean.value = float(state["last"]), float(state["mean"])
        self._keys.load_state_dict(state["keys"])
        self._num_rows = int(state["num_rows"])
        self._ring_L = np.array(state["ring"], dtype=np.float64)
        self._season = int(state["season"])
        self._average_T = np.array(state["averages"], dtype=np.float64)
        self._step_T = np.array(state["steps"], dtype=np.float64)

    weights = state_dict
    load_weights = load_state_dict
