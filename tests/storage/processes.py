"""Runs a piece of code in a process of its own, so that it can be killed and its files looked at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def _command(code: str, arguments: tuple[object, ...]) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]


def run(code: str, *arguments: object, failpoint: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LEARND_FAILPOINT": failpoint}
    return subprocess.run(
        _command(code, arguments), cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def run_killed(code: str, *arguments: object, failpoint: str) -> None:
    """Runs until the fail-point kills it; anything else is a failure."""
    finished = run(code, *arguments, failpoint=failpoint)
    assert finished.returncode == -signal.SIGKILL, f"{failpoint} was not reached: {finished.stderr}"


@contextmanager
def running(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that runs until the block ends; it talks by lines on its standard output and input."""
    process = subprocess.Popen(
        _command(code, arguments), cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
