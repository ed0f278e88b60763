"""Decides whether what was learned may answer."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from daemon.monitoring.episode import Episode
from daemon.monitoring.paired import (
    PairedRow,
    by_slice,
    capped,
    differences,
    needed_ratio,
    served_losses,
    significantly_above_zero,
)
from daemon.monitoring.saved import take
from daemon.monitoring.surge import Surge
from daemon.state import State

Floats = NDArray[np.float64]

# The served loss is back at its level when it is above it by no more than this many standard errors.
_BACK_WITHIN: Final = 1.28


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to publish, and why: `reason` is one of a few words for telemetry, `detail` a sentence for the ledger.

    Published: first, not_worse, won_after_alarm, stale.
    Held: not_finite, alarm, surge, worse, worse_slice, worse_than_baseline.
    """

    publish: bool
    reason: str
    detail: str


class Gate:
    """Compares the candidate (what learns) with what is served and with the baselines, on the same rows.

    Ordinarily the candidate is published unless it is *significantly* worse than what is served: overall, in a slice, or
    than a baseline to which the served weights do not lose. `alpha` is shared out among these comparisons. A false hold costs
    only the time until the next decision, so asking often does no harm; so it is held, too, while the losses of the last few
    rows are far above what they were (a surge), which shows before a detector can be sure.

    An alarm in the worse direction turns the burden of proof round, because a burst of wrong labels looks like a new concept:
    once the candidate has learned the burst it even beats what is served. Publishing is held until the *served* loss is back
    at the level from before the alarm (the alarm has cleared) and the candidate has done at least as well over the last
    `quiet_rows` rows, all of them since then. A true change of concept never clears; there the hold ends after `max_held_rows`
    rows *and* `max_held_s` seconds since the first alarm, and the ordinary comparison decides.

    >>> gate = Gate()
    >>> gate.decide(finite=True).reason
    'first'
    >>> gate.published(decided_at=0)
    >>> gate.observe(candidate_loss_B=np.ones(20), served_loss_B=np.zeros(20), baseline_loss_B={})
    >>> gate.decide(finite=True).reason
    'worse'
    """

    def __init__(
        self,
        *,
        window_rows: int = 500,
        quiet_rows: int = 100,
        alpha: float = 0.01,
        max_held_rows: int = 1_000,
        max_held_s: float = 600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`window_rows` that both scored are compared at most; `clock` gives seconds that go on across a restart."""
        self._quiet_rows, self._alpha = quiet_rows, alpha
        self._max_held_rows, self._max_held_s, self._clock = max_held_rows, max_held_s, clock
        self._window: deque[PairedRow] = deque(maxlen=window_rows)
        self._surge = Surge()
        self._baselines: tuple[str, ...] = ()
        self._rows = 0
        self._served_since: int | None = None  # row of the newest publish; None before the first
        self._alarm: Episode | None = None

    def observe(
        self,
        *,
        candidate_loss_B: Floats,
        served_loss_B: Floats | None,
        baseline_loss_B: Mapping[str, Floats],
        slices: Sequence[Mapping[str, str]] | None = None,
    ) -> None:
        """Take the losses (0 or 1, or the absolute error) of a micro-batch of B rows, each predicted before it was learned.

        `served_loss_B` is None where the served weights were not scored: such rows count towards limits and are compared with
        nothing. Where they are never scored, an alarm holds until its limit.
        """
        self._baselines = tuple(baseline_loss_B)
        self._surge.update(capped(candidate_loss_B).tolist())
        if served_loss_B is not None:
            candidate, served = capped(candidate_loss_B).tolist(), capped(served_loss_B).tolist()
            baselines = [capped(loss_B).tolist() for loss_B in baseline_loss_B.values()]
            for i in range(len(candidate)):
                groups = tuple(slices[i].items()) if slices is not None else ()
                losses = tuple(loss[i] for loss in baselines)
                self._window.append(PairedRow(self._rows + i, candidate[i], served[i], losses, groups))
        self._rows += len(candidate_loss_B)
        if self._alarm is not None and self._alarm.cleared_at is None and self._is_back(self._alarm):
            self._alarm.cleared_at = self._rows

    def alarm(self) -> None:
        """A drift detector raised an alarm in the worse direction at the row observed last."""
        if self._served_since is None:
            return  # there are no answers to protect
        if self._alarm is None:
            # Of the learned weights, which are scored on every row: what is served may be too young to have a level.
            level = self._surge.level()
            self._alarm = Episode(first_row=self._rows, first_s=self._clock(), last_row=self._rows, level=level)
        else:
            self._alarm.last_row, self._alarm.cleared_at = self._rows, None

    @property
    def holds(self) -> bool:
        """Whether an alarm holds publishing."""
        return self._alarm is not None

    @property
    def rows(self) -> int:
        """Rows observed so far."""
        return self._rows

    def alarm_since(self, row: int) -> bool:
        """Whether there was an alarm after the first `row` rows: then a decision made there does not stand any more."""
        return self._alarm is not None and self._alarm.last_row > row

    def published(self, *, decided_at: int) -> None:
        """The weights learned from the first `decided_at` rows are served from here on: comparisons begin anew, and a hold is
        over unless its alarm is younger than they are."""
        self._served_since = self._rows
        if not self.alarm_since(decided_at):
            self._alarm = None

    def decide(self, *, finite: bool) -> Decision:
        """Whether to publish now; `finite` says that every weight is."""
        if not finite:
            return Decision(False, "not_finite", "a weight is not finite")
        if self._served_since is None:
            return Decision(True, "first", "nothing is served yet")
        alarm = self._alarm
        stale = alarm is not None and self._is_stale(alarm)
        if alarm is not None and not stale and (held := self._held_by(alarm)) is not None:
            return held
        if not stale and self._surge.rising():
            return Decision(False, "surge", "losses of the last rows are far above what they were")
        if (worse := self._worse()) is not None:
            return worse
        if alarm is None:
            return Decision(True, "not_worse", "not significantly worse than what is served")
        if stale:
            held_rows = self._rows - alarm.first_row
            return Decision(True, "stale", f"held for {held_rows} rows since an alarm, which is the limit: a new concept")
        return Decision(
            True, "won_after_alarm", f"at least as good as what is served, the alarm cleared at row {alarm.cleared_at}"
        )

    def _is_stale(self, alarm: Episode) -> bool:
        return self._rows - alarm.first_row >= self._max_held_rows and self._clock() - alarm.first_s >= self._max_held_s

    def _is_back(self, alarm: Episode) -> bool:
        """Whether the served loss is at the level from before the alarm again."""
        recent = served_losses(self._since(alarm.last_row)[-self._quiet_rows :])
        if alarm.level is None or recent.size < self._quiet_rows:
            return False
        level, variance = alarm.level
        margin = _BACK_WITHIN * float(np.sqrt(variance + recent.var() / recent.size))
        return bool(recent.mean() <= level + margin)

    def _held_by(self, alarm: Episode) -> Decision | None:
        if alarm.cleared_at is None:
            since = f"alarm at row {alarm.last_row}"
            return Decision(False, "alarm", f"{since}: what is served does worse than before it")
        difference_N = differences(self._since(alarm.cleared_at))
        if difference_N.size < self._quiet_rows:
            return Decision(
                False, "alarm", f"cleared at row {alarm.cleared_at}, {difference_N.size} rows ago; {self._quiet_rows} needed"
            )
        if difference_N[-self._quiet_rows :].sum() > 0:
            return Decision(False, "alarm", f"cleared at row {alarm.cleared_at}, but still worse than what is served")
        return None

    def _worse(self) -> Decision | None:
        """A decision to hold where the candidate is significantly worse in any comparison."""
        assert self._served_since is not None
        rows = self._since(self._served_since)
        slices = by_slice(rows, min_rows=int(needed_ratio(self._alpha) ** 2))
        alpha = self._alpha / (1 + len(slices) + len(self._baselines))
        if significantly_above_zero(differences(rows), alpha=alpha):
            return Decision(False, "worse", f"worse than what is served over {len(rows)} rows")
        for (name, value), members in slices.items():
            if significantly_above_zero(differences(members), alpha=alpha):
                return Decision(False, "worse_slice", f"worse than what is served over {len(members)} rows of {name} {value!r}")
        for i, name in enumerate(self._baselines):
            baseline_N = np.array([row.baselines[i] for row in rows])
            candidate_N, served_N = np.array([row.candidate for row in rows]), np.array([row.served for row in rows])
            if significantly_above_zero(candidate_N - baseline_N, alpha=alpha) and not significantly_above_zero(
                served_N - baseline_N, alpha=alpha
            ):
                return Decision(False, "worse_than_baseline", f"worse than {name} over {len(rows)} rows, what is served is not")
        return None

    def _since(self, row: int) -> list[PairedRow]:
        """The rows in the window from `row` on."""
        return [scored for scored in self._window if scored.n >= row]

    def state_dict(self) -> State:
        rows = list(self._window)
        return {
            "n": np.array([row.n for row in rows], dtype=np.int64),
            "candidate": np.array([row.candidate for row in rows]),
            "served": np.array([row.served for row in rows]),
            "surge": self._surge.state_dict(),
            "baseline_names": list(self._baselines),
            "baselines": np.array([row.baselines for row in rows], dtype=np.float64).reshape(len(rows), len(self._baselines)),
            "slices": [[list(group) for group in row.slices] for row in rows],
            "rows": self._rows,
            "served_since": self._served_since,
            "alarm": None if self._alarm is None else self._alarm.as_json(),
        }

    def load_state_dict(self, state: State) -> None:
        columns = [np.asarray(take(state, key, owner="gate")).tolist() for key in ("n", "candidate", "served", "baselines")]
        slices = take(state, "slices", owner="gate")
        rows = zip(*columns, slices, strict=True)
        self._window = deque(
            (PairedRow(n, c, s, tuple(b), tuple((name, value) for name, value in groups)) for n, c, s, b, groups in rows),
            maxlen=self._window.maxlen,
        )
        self._surge.load_state_dict(take(state, "surge", owner="gate"))
        self._baselines = tuple(take(state, "baseline_names", owner="gate"))
        self._rows = take(state, "rows", owner="gate")
        self._served_since = take(state, "served_since", owner="gate")
        alarm = take(state, "alarm", owner="gate")
        self._alarm = None if alarm is None else Episode.from_json(alarm)
