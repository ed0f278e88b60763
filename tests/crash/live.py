"""A live run over Kafka, whose micro-batches time closes, killed while records arrive: only its ledger knows what it did."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests.crash import runs
from tests.crash.starts import LIMIT_S, Launcher
from tests.crash.topics import Trickle, num_covered

# A start is killed within so many seconds of learning.
KILLED_WITHIN_S = 1.5


def kill_live(
    launcher: Launcher, folder: Path, settings: Sequence[str], trickle: Trickle, *, num_kills: int, seed: int
) -> None:
    """Kill a live run at random instants while records arrive, then let it learn what is left and leave in good order."""
    draw, arguments = random.Random(seed), runs.arguments(folder, settings, live=True)
    with trickle:
        for _ in range(num_kills):
            start = launcher.start(folder, arguments)
            start.wait_until_ready()
            assert not start.ended(within_s=draw.uniform(0.0, KILLED_WITHIN_S)), start.err.read_text()
            start.kill()
            assert start.result() is None
    start, deadline = launcher.start(folder, arguments), time.monotonic() + LIMIT_S
    while num_covered(folder) < sum(trickle.ends.values()):
        assert time.monotonic() < deadline, f"{num_covered(folder)} of {trickle.ends} are planned: {start.err.read_text()}"
        assert not start.ended(within_s=0.1), start.err.read_text()
    start.kill(signal.SIGTERM)
    assert start.result() == ""


def replayed(launcher: Launcher, folder: Path, settings: Sequence[str], *, ledger_of: Path) -> str | None:
    """The hash of a fresh folder that was given nothing but the ledger of another."""
    folder.mkdir()
    shutil.copytree(ledger_of / "ledger", folder / "ledger")
    return launcher.start(folder, runs.arguments(folder, settings)).result()
