"""A full disk costs the checkpoint that met it; where the ledger itself cannot grow, learning waits and answers go on."""

from __future__ import annotations

import errno
from pathlib import Path

from daemon.storage.checkpoints import Checkpoints
from daemon.storage.snapshots import Snapshots
from tests.crash import runs
from tests.faults.processes import learnd
from tests.storage.disk import small_disk

PAGE_BYTES = 4096
# Whether a snapshot may answer is not the question here, so the gate does not ask it.
LEARNER = [*runs.text_settings(), "gate.enabled=false"]


class Ballast:
    """A file that takes all the space there is on its disk."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "ballast"

    def fill(self, *, leave_bytes: int = 0) -> None:
        with self._path.open("ab", buffering=0) as file:
            try:
                while file.write(bytes(1 << 20)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            file.truncate(file.seek(0, 2) - leave_bytes)

    def drop(self) -> None:
        self._path.unlink()


class Growing:
    """A file to which the lines of another are added."""

    def __init__(self, path: Path, *, lines: list[str]) -> None:
        self.path, self._lines = path, lines
        path.touch()

    def add(self, num_rows: int) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(self._lines[:num_rows])
        del self._lines[:num_rows]


def growing(folder: Path, *, num_rows: int) -> Growing:
    lines = runs.stream(folder, num_rows=num_rows).read_text(encoding="utf-8").splitlines(keepends=True)
    return Growing(folder / "growing.jsonl", lines=lines)


def test_full_disk_costs_that_checkpoint_alone(tmp_path: Path) -> None:
    mail = growing(tmp_path, num_rows=120)
    with small_disk(tmp_path / "disk", size="128m") as disk:
        folder, ballast = disk / "data", Ballast(disk)
        settings = [*runs.common(folder), "source.kind=files", f"source.paths=['{mail.path}']", *LEARNER]
        with learnd("train", settings, log_file=tmp_path / "log") as trainer:
            mail.add(40)
            trainer.wait_until_learned(40)
            trainer.wait_for(lambda: trainer.metric("learnd_last_checkpoint_timestamp_seconds") > 0, "a checkpoint")
            assert trainer.metric("learnd_checkpoint_failures_total") == 0

            def failed() -> bool:
                ballast.fill()  # again: old checkpoints that were just being dropped gave space back
                return trainer.metric("learnd_checkpoint_failures_total") >= 1

            trainer.wait_for(failed, "a checkpoint that failed")
            mail.add(80)
            trainer.wait_until_learned(120)
            trainer.wait_for(
                lambda: trainer.metric("learnd_gate_decisions_total", outcome="failed") >= 1, "a snapshot that failed"
            )
            health = trainer.ask("/health")[1]
            assert (health["live"], health["ready"], health["learning"]) == (True, True, True)
            assert trainer.metric("learnd_ledger_pauses_total") == 0
            before = trainer.metric("learnd_last_checkpoint_timestamp_seconds")
            ballast.drop()
            # Not a row comes from here on: what failed is tried again all the same.
            trainer.wait_for(lambda: trainer.metric("learnd_last_checkpoint_timestamp_seconds") > before, "a checkpoint")
            snapshots = Snapshots(folder / "snapshots", keep=5)
            trainer.wait_for(lambda: snapshots.list()[-1].manifest["rows"] == 120, "a snapshot of all rows")
            trainer.terminate()
        newest = Checkpoints(folder / "checkpoints").load_newest()
        assert newest is not None
        assert newest.meta["rows"] == 120
    assert "learning goes on: " in trainer.log
    assert "No space left on device); free space or raise the quota; it is tried again by itself" in trainer.log


def test_ledger_that_cannot_grow_pauses_learning_and_answers_go_on(tmp_path: Path) -> None:
    """Over the last 400 rows in micro-batches of 4, a hundred plans: more than one segment of three pages holds."""
    mail = growing(tmp_path, num_rows=600)
    settings = [
        *runs.files(mail.path),
        *runs.text_settings(),
        "training.batch_rows=4",
        f"storage.segment_bytes={2 * PAGE_BYTES}",
    ]
    with small_disk(tmp_path / "disk", size="96m") as disk:
        folder, ballast = disk / "data", Ballast(disk)
        mail.add(200)
        assert runs.train(folder, settings) is not None
        mail.add(400)
        untouched = runs.train(tmp_path / "roomy", settings)
        ballast.fill(leave_bytes=2 * PAGE_BYTES)
        serving = [f"storage.folder='{folder}'", "serving.port=0"]
        with (
            learnd("serve", serving, log_file=tmp_path / "serve.log") as server,
            learnd("train", [*runs.common(folder), *settings], "--until-end", log_file=tmp_path / "train.log") as trainer,
        ):
            trainer.wait_for(lambda: trainer.metric("learnd_ledger_paused") == 1, "a pause")
            health = trainer.ask("/health")[1]
            assert (health["status"], health["live"], health["learning"]) == ("degraded", True, False)
            assert trainer.ask("/livez")[0] == 200
            assert trainer.metric("learnd_ledger_pauses_total") == 1
            server.wait_for(lambda: server.ask("/readyz")[0] == 200, "a snapshot to answer from")
            answers = [server.ask("/predict", {"text": "free money, click here"}) for _ in range(20)]
            assert [status for status, _ in answers] == [200] * 20
            version = answers[-1][1]["snapshot"]["version"]
            learned = trainer.metric("learnd_records_total", outcome="learned")
            assert 0 < learned < 400
            ballast.drop()
            assert trainer.end().split()[-1] == untouched
            server.wait_for(
                lambda: server.ask("/predict", {"text": "hello"})[1]["snapshot"]["version"] > version, "an answer of the newest"
            )
    assert trainer.log.count("learning pauses: ") == 1
    assert trainer.log.count("learning goes on: the ledger can grow again") == 1


def test_last_checkpoint_that_fails_is_no_end_of_train_until_end(tmp_path: Path) -> None:
    mail = growing(tmp_path, num_rows=120)
    settings = [*runs.files(mail.path), *LEARNER, "storage.checkpoint_interval_s=1e9"]
    with small_disk(tmp_path / "disk", size="96m") as disk:
        folder, ballast = disk / "data", Ballast(disk)
        mail.add(40)
        assert runs.train(folder, settings) is not None
        mail.add(80)
        ballast.fill(leave_bytes=2 * PAGE_BYTES)
        full = runs.run_once(folder, settings)
        assert (full.returncode, full.stdout) == (1, "")
        last_word = full.stderr.splitlines()[-1]
        assert last_word.startswith("learnd: the source is learned to its end, row 120, but the last checkpoint is missing (")
        assert "No space left on device" in last_word
        assert last_word.endswith("start it again, and the ledger redoes what came after the one before")
        ballast.drop()
        assert runs.train(folder, settings) == runs.train(tmp_path / "roomy", settings)
