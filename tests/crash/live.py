"""A live run over Kafka, whose micro-batches time closes, killed while records arrive: only its ledger knows what it did."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.crash import runs
from tests.crash.starts import LIMIT_S, Start, begin
from tests.crash.topics import Trickle, assert_each_position_once, batch_sizes, kafka_settings, num_covered
from tests.kafka_broker import Cluster

# A start is killed within so many seconds of learning.
KILLED_WITHIN_S = 1.5
# So many micro-batches at least are closed by time, not by their number of rows.
NUM_CLOSED_BY_TIME = 20


def live_equals_replay(kafka: Cluster, folder: Path, model: str, *, num_kills: int) -> None:
    """A live run over three partitions, killed at random instants, ends like a fresh folder that is given its ledger alone."""
    file, topic = runs.stream(folder, num_rows=399, model=model), kafka.new_topic(3)
    settings = [*kafka_settings(kafka, topic), *runs.model_settings(model, folder, file), "training.batch_wait_s=0.05"]
    live = folder / "live"
    trickle = Trickle(kafka, topic, file.read_text(encoding="utf-8").splitlines(), partitions=3, seed=1)
    kill_live(live, settings, trickle, num_kills=num_kills, seed=1)
    assert_each_position_once(live, trickle.ends)
    from_ledger = replayed(folder / "replay", settings, ledger_of=live)
    assert begin(live, runs.arguments(live, settings)).result() == from_ledger
    for learned in ("live", "replay"):
        runs.assert_reads_as_set(model, folder / learned, file)


def kill_live(folder: Path, settings: Sequence[str], trickle: Trickle, *, num_kills: int, seed: int) -> None:
    """Kill a live run at random instants while records arrive, then let it learn what is left and leave in good order."""
    draw, arguments = random.Random(seed), runs.arguments(folder, settings, live=True)
    with trickle:
        for _ in range(num_kills):
            start = begin(folder, arguments)
            start.wait_until_ready()
            assert not start.ended(within_s=draw.uniform(0.0, KILLED_WITHIN_S)), start.err.read_text()
            start.kill()
            assert start.result() is None
        start = begin(folder, arguments)
        # While it catches up, micro-batches are full; then time closes them.
        _wait(start, lambda: sum(size < runs.BATCH_ROWS for size in batch_sizes(folder)) >= NUM_CLOSED_BY_TIME)
    _wait(start, lambda: num_covered(folder) == sum(trickle.ends.values()))
    start.kill(signal.SIGTERM)
    assert start.result() == ""


def _wait(start: Start, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, start.err.read_text()
        assert not start.ended(within_s=0.1), start.err.read_text()


def replayed(folder: Path, settings: Sequence[str], *, ledger_of: Path) -> str | None:
    """The hash of a fresh folder that was given nothing but the ledger of another."""
    folder.mkdir()
    shutil.copytree(ledger_of / "ledger", folder / "ledger")
    return begin(folder, runs.arguments(folder, settings)).result()
