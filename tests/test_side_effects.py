"""Predicting, keeping and rolling back never change what is learned: `state_sha256` is the same with and without them."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from daemon.assembly.training import Training, training
from daemon.gathering import Gatherer, MicroBatch
from daemon.learning.batch import Batch
from daemon.settings import Settings
from daemon.storage.checkpoints import Checkpoints
from daemon.storage.snapshots import Snapshots
from tests import learners

pytestmark = pytest.mark.usefixtures("torch_switches")

NUM_ROWS, ROWS_PER_STEP = 320, 16
NUM_STEPS = NUM_ROWS // ROWS_PER_STEP
NUM_PREDICTIONS, NUM_CHECKPOINTS = 10_000, 20
PREDICTIONS_PER_STEP = NUM_PREDICTIONS // NUM_STEPS

# So seldom that nothing is kept but what a test asks for; and all of that stays.
NEVER = ("storage.checkpoint_interval_s=1e9", "storage.snapshot_interval_s=1e9", "storage.snapshots_kept=100")


class Disturbed:
    """A gatherer between whose micro-batches something else happens; `step` counts from 0."""

    def __init__(self, gatherer: Gatherer, disturb: Callable[[int], None]) -> None:
        self._gatherer, self._disturb, self.num_steps = gatherer, disturb, 0

    def next(self) -> MicroBatch | None:
        batch = self._gatherer.next()
        if batch:
            self._disturb(self.num_steps)
            self.num_steps += 1
        return batch

    def at_end(self) -> bool:
        return self._gatherer.at_end()


def learn(settings: Settings, disturb: Callable[[Training, int], None]) -> str:
    """The real loop over the stream, disturbed before each step; returns its `state_sha256`."""
    with training(settings, until_end=True) as assembled:
        trainer = assembled.trainer
        gatherer = Disturbed(trainer.startup(), lambda step: disturb(assembled, step))
        trainer.loop(gatherer)  # type: ignore[arg-type] # all of a gatherer that the loop asks for
        assert gatherer.num_steps == NUM_STEPS
        return trainer.shutdown()


def keep(assembled: Training) -> None:
    """Force a checkpoint, and a snapshot of what is new since the last."""
    assembled.trainer._keeper.keep_everything(assembled.pipeline)


def untouched(model: str, folder: Path, file: Path) -> str:
    return learn(learners.settings(model, folder, file, *NEVER, data="untouched"), lambda *_: None)


def rows_of(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("model", ["text", "table", "transformer"])
def test_predictions_checkpoints_and_a_rollback_leave_no_trace(tmp_path: Path, model: str) -> None:
    file = learners.stream(model, tmp_path, num_rows=NUM_ROWS)
    settings = learners.settings(model, tmp_path, file, *NEVER)
    snapshots, rows, num_predicted = Snapshots(settings.storage.folder / "snapshots"), itertools.cycle(rows_of(file)), 0

    def disturb(assembled: Training, step: int) -> None:
        nonlocal num_predicted
        keep(assembled)
        if step == NUM_STEPS // 2:
            snapshots.hold(1)
        # Many rows together, and one alone: both ways in which requests come.
        for num_rows in (PREDICTIONS_PER_STEP - 1, 1):
            asked = list(itertools.islice(rows, num_rows))
            batch = Batch([str(row.get("text", "")) for row in asked], [row.get("features", {}) for row in asked])  # type: ignore[misc]
            num_predicted += len(assembled.pipeline.learner.predict(batch))

    assert learn(settings, disturb) == untouched(model, tmp_path, file)
    newest = Checkpoints(settings.storage.folder / "checkpoints").load_newest()
    assert newest is not None
    # Another one at the end, as after every run.
    assert (num_predicted, int(newest.name)) == (NUM_PREDICTIONS, NUM_CHECKPOINTS + 1)
    assert (snapshots.current(), snapshots.latest()) == (1, max(snapshots.versions()))
    assert max(snapshots.versions()) > 1


def test_a_server_that_answers_from_the_folder_leaves_no_trace(tmp_path: Path) -> None:
    """`learnd serve` answers 10,000 rows while the loop learns, and is rolled back and released on the way."""
    file = learners.stream("text", tmp_path, num_rows=NUM_ROWS)
    settings = learners.settings("text", tmp_path, file, *NEVER)
    snapshots, rows, answered_from = Snapshots(settings.storage.folder / "snapshots"), itertools.cycle(rows_of(file)), []

    with serving(settings.storage.folder) as client:

        def disturb(assembled: Training, step: int) -> None:
            keep(assembled)
            if step == NUM_STEPS // 2:
                snapshots.hold(1)
            if step == NUM_STEPS - 2:
                snapshots.release()
            if step == 0:
                return  # nothing is learned, so nothing is published yet
            wait_for_version(client, snapshots.current())
            for num_rows in (1, 249, 280):
                asked = [{"text": row["text"]} for row in itertools.islice(rows, num_rows)]
                answer = client.post("/predict", json=asked).raise_for_status().json()
                answered_from.extend([answer["snapshot"]["version"]] * len(answer["predictions"]))

        assert learn(settings, disturb) == untouched("text", tmp_path, file)
    assert len(answered_from) >= NUM_PREDICTIONS
    versions = [version for version, _ in itertools.groupby(answered_from)]
    assert versions.count(1) == 2, "answered from the first snapshot at the start, and again after the roll-back"
    assert versions[-1] > 2


@contextmanager
def serving(folder: Path) -> Iterator[httpx.Client]:
    """A client of a real `learnd serve` on `folder`."""
    flags = ["--set", f"storage.folder='{folder}'", "--set", "serving.port=0", "--set", "serving.max_batch=512"]
    process = subprocess.Popen([sys.executable, "-m", "daemon", "serve", *flags], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        lines = []
        while "answering on " not in (lines or [""])[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], "".join(lines)
        with httpx.Client(base_url=lines[-1].split("answering on ")[1].strip(), timeout=60) as client:
            yield client
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def wait_for_version(client: httpx.Client, version: int | None) -> None:
    """Until it answers from that snapshot; it looks for a new one many times a second."""
    deadline = time.monotonic() + 60
    while True:
        response = client.post("/predict", json={"text": "hello"})
        if response.status_code == 200 and response.json()["snapshot"]["version"] == version:
            return
        assert time.monotonic() < deadline, response.text
        time.sleep(0.02)
