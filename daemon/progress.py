"""What a person at the terminal sees while the loop runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from daemon.pipeline import Pipeline

logger = logging.getLogger(__name__)

LOG_EVERY_S = 60.0
REDRAW_EVERY_S = 0.25


class Progress(Protocol):
    """Told of every turn of the loop."""

    def turn(self, pipeline: Pipeline, *, lag: Mapping[int, int], snapshot_version: int | None) -> None: ...

    def close(self) -> None: ...


class NoProgress:
    """Nobody looks."""

    def turn(self, pipeline: Pipeline, *, lag: Mapping[int, int], snapshot_version: int | None) -> None:
        pass

    def close(self) -> None:
        pass


class Rate:
    """Rows a second since it was last asked.

    >>> times = iter([0.0, 2.0])
    >>> rate = Rate(clock=lambda: next(times))
    >>> rate.since_last(100)
    50.0
    """

    def __init__(self, *, clock: Callable[[], float], rows: int = 0) -> None:
        self._clock, self._rows, self._at = clock, rows, clock()

    def since_last(self, rows: int) -> float:
        now = self._clock()
        rate = (rows - self._rows) / max(now - self._at, 1e-9)
        self._rows, self._at = rows, now
        return rate


class LoggedProgress:
    """One line a minute, for logs."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._rate = clock, Rate(clock=clock)
        self._due_at = clock() + LOG_EVERY_S

    def turn(self, pipeline: Pipeline, *, lag: Mapping[int, int], snapshot_version: int | None) -> None:
        if self._clock() < self._due_at:
            return
        self._due_at = self._clock() + LOG_EVERY_S
        logger.info(
            "%s rows learned, %.0f a second, lag %s, snapshot %s",
            pipeline.rows, self._rate.since_last(pipeline.rows), sum(lag.values()), snapshot_version,
        )  # fmt: skip

    def close(self) -> None:
        pass


class TerminalProgress:
    """A table that redraws itself in place: rows, rate, lag, the model beside its baselines, drift, snapshot, freshness."""

    def __init__(
        self,
        *,
        title: str,
        console: Console,
        freshness: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title, self._freshness, self._clock = title, freshness, clock
        self._rate, self._due_at = Rate(clock=clock), 0.0
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._live.start()

    def turn(self, pipeline: Pipeline, *, lag: Mapping[int, int], snapshot_version: int | None) -> None:
        if self._clock() < self._due_at:
            return
        self._due_at = self._clock() + REDRAW_EVERY_S
        fresh = self._freshness()
        facts = Text.assemble(
            f"{self._title}   ",
            (f"{pipeline.rows:,} rows", "bold"),
            f"   {self._rate.since_last(pipeline.rows):,.0f} rows/s   lag {sum(lag.values()):,}   ",
            f"snapshot {snapshot_version or '-'}   ",
            f"fresh {'-' if fresh is None else f'{fresh:.2f} s'}   ",
            f"drift alarms {pipeline.evaluation.num_alarms}",
        )
        self._live.update(Group(facts, scores_table(pipeline)), refresh=True)

    def close(self) -> None:
        self._live.stop()


def scores_table(pipeline: Pipeline) -> Table:
    """The model's figures beside those of its baselines, since the start and over the window."""
    evaluation = pipeline.evaluation
    windows = {"learnd": evaluation.window(), **evaluation.baselines_window()}
    starts = {"learnd": evaluation.since_start(), **evaluation.baselines_since_start()}
    names = [name for name in ("accuracy", "macro_f1", "kappa", "mae", "rmse") if starts["learnd"].get(name) is not None]
    table = Table("", *names, *[f"{name}, recent" for name in names])
    for who, start in starts.items():
        table.add_row(who, *[_shown(start.get(name)) for name in names], *[_shown(windows[who].get(name)) for name in names])
    return table


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
