"""What a person at the terminal sees while the loop runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table
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


class Glance:
    """All of it at one glance: rows, rate, lag, snapshot, freshness, drift alarms, and the model beside its baselines."""

    def __init__(
        self,
        *,
        title: str,
        freshness: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`freshness` tells the seconds from event to answer, None while nothing was answered from yet."""
        self._title, self._freshness = title, freshness
        self._rate, self._whole = Rate(clock=clock), Rate(clock=clock)

    def now(self, pipeline: Pipeline, *, lag: int, snapshot_version: int | None) -> Group:
        rate = self._rate.since_last(pipeline.rows)
        facts = f"{rate:,.0f} rows/s   lag {lag:,}   snapshot {snapshot_version or '-'}"
        return self._drawn(pipeline, facts)

    def summary(self, pipeline: Pipeline, *, snapshot_version: int | None) -> Group:
        """The same for the whole run."""
        rate = self._whole.since_last(pipeline.rows)
        return self._drawn(pipeline, f"{rate:,.0f} rows/s   snapshot {snapshot_version or '-'}")

    def _drawn(self, pipeline: Pipeline, facts: str) -> Group:
        fresh = self._freshness()
        line = Text.assemble(
            f"{self._title}   ",
            (f"{pipeline.rows:,} rows", "bold"),
            f"   {facts}   in the answers after {'-' if fresh is None else f'{fresh:.2f} s'}   ",
            f"drift alarms {pipeline.evaluation.num_alarms}",
        )
        return Group(line, scores_table(pipeline))


class TerminalProgress:
    """A glance that redraws itself in place, and is gone when it is closed."""

    def __init__(self, *, glance: Glance, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._glance, self._clock, self._due_at = glance, clock, 0.0
        # Started with the first turn: until then the console may show that the model is being loaded.
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def turn(self, pipeline: Pipeline, *, lag: Mapping[int, int], snapshot_version: int | None) -> None:
        if self._clock() < self._due_at:
            return
        self._due_at = self._clock() + REDRAW_EVERY_S
        self._live.start()
        glance = self._glance.now(pipeline, lag=sum(lag.values()), snapshot_version=snapshot_version)
        self._live.update(glance, refresh=True)

    def close(self) -> None:
        self._live.stop()


def scores_table(pipeline: Pipeline) -> Table:
    """The model's figures beside those of its baselines, since the start and over the window."""
    evaluation = pipeline.evaluation
    windows = {"learnd": evaluation.window(), **evaluation.baselines_window()}
    starts = {"learnd": evaluation.since_start(), **evaluation.baselines_since_start()}
    names = [name for name in ("accuracy", "macro_f1", "kappa", "mae", "rmse") if starts["learnd"].get(name) is not None]
    # Eighty columns are enough: headings fold, names do not.
    table = Table(Column(no_wrap=True), *names, *[f"recent {name}" for name in names], pad_edge=False)
    for who, start in starts.items():
        table.add_row(who, *[_shown(start.get(name)) for name in names], *[_shown(windows[who].get(name)) for name in names])
    return table


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
