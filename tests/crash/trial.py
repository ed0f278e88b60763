"""A run that is never touched, and runs of the same that are killed and started again until they end: with the same bits."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from daemon.failpoints import NAMES
from tests.crash import runs
from tests.crash.starts import Start, begin

MAX_TRIES = 5


class Trial:
    """One stream and one model, learned from the first row to the last under `settings`.

    Each way of killing begins a new run, in the folder `run`. A run that is over before it was killed must end as the
    untouched one did, with `expected`; the next kill is of a new run then. `end` lets the last one end.
    """

    def __init__(self, folder: Path, settings: Sequence[str]) -> None:
        self._folder, self._settings = folder, list(settings)
        self.run = folder / "untouched"
        self.num_starts = self.num_kills = 0
        start = self._start()
        start.wait_until_ready()
        began = time.monotonic()
        self.expected = start.result()
        self._duration_s = time.monotonic() - began
        assert self.expected

    def kill_at_each_failpoint(self, names: Sequence[str] = NAMES) -> None:
        """Kill at one point after the other, each in the start after the last; "step.done:3" is the third visit of a start.

        A start may end before a point is reached, where the gate holds publishing; then it is tried again on a new run.
        """
        self._new_run()
        for name in names:
            reached = any(self._was_killed(self._start(failpoint=name)) for _ in range(MAX_TRIES))
            assert reached, f"{name} is never reached: that proves nothing"

    def kill_at_random(self, *, num_kills: int, seed: int) -> None:
        """Kill at instants drawn uniformly from the time that the untouched run took, until `num_kills` found it alive.

        Where that one was the first on a machine, it compiled, and another that is not killed says how long a run takes.
        """
        self._new_run()
        draw = random.Random(seed)
        while num_kills:
            start = self._start()
            start.wait_until_ready()
            began = time.monotonic()
            if not start.ended(within_s=draw.uniform(0.0, self._duration_s)):
                start.kill()
            elif start.is_fresh:
                self._duration_s = time.monotonic() - began
            num_kills -= self._was_killed(start)

    def kill_while_writing(self, kind: str, *, num_kills: int, seed: int) -> None:
        """Kill within milliseconds of the first byte of a "checkpoints" or "snapshots" folder, until so many were left torn."""
        self._new_run()
        draw = random.Random(seed)
        while num_kills:
            start = self._start()
            before = start.torn(kind)
            start.kill_once_writing(kind, after_s=draw.uniform(0.0, 0.01))
            num_kills -= self._was_killed(start) and bool(start.torn(kind) - before)

    def end(self) -> str | None:
        """Let the run end, and return its hash."""
        return self._start().result()

    def _was_killed(self, start: Start) -> bool:
        """Whether it was; else it ended, with the right hash, and the next start is of a new run."""
        sha256 = start.result()
        if sha256 is None:
            self.num_kills += 1
            return True
        assert sha256 == self.expected, start.err.read_text()
        self._new_run()
        return False

    def _new_run(self) -> None:
        shutil.rmtree(self.run, ignore_errors=True)
        self.run = self._folder / f"run-{self.num_starts}"

    def _start(self, *, failpoint: str = "") -> Start:
        self.num_starts += 1
        return begin(self.run, runs.arguments(self.run, self._settings), failpoint=failpoint)
