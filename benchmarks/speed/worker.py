"""A process that sits on one core and runs its pass whenever a line arrives, so that two of them can take turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

# What one pass measured: seconds, rows, and accuracy or another figure that stands beside the speed.
Measured = dict[str, Any]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def serve(run_pass: Callable[[], Measured], *, core: int) -> None:
    """Run a pass from scratch for every line on standard input; what it measured is one JSON line on standard output."""
    os.sched_setaffinity(0, {core})
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(run_pass()) + "\n")
        sys.stdout.flush()


@dataclass(frozen=True)
class Worker:
    """The other end of `serve`."""

    name: str
    process: subprocess.Popen[str]
    errors: IO[str]

    def run(self) -> Measured:
        """One pass. Raises `RuntimeError` where the worker left, with the last thing that it said."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            line = ""
        else:
            line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            last = self.errors.read().strip().rpartition("\n")[2].strip()
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {last}")
        measured: Measured = json.loads(line)
        return measured


@contextmanager
def started(name: str, command: Sequence[str], *, folder: Path) -> Iterator[Worker]:
    """A worker process; ended by closing its standard input."""
    environment = {**os.environ, **ONE_THREAD}
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
            env=environment,
        ) as process,
    ):
        yield Worker(name, process, errors)
