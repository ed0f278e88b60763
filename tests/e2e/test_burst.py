"""Five hundred wrong labels never reach the answers, and publishing goes on after them."""

from __future__ import annotations

import gzip
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon import beside
from daemon.assembly.serving import ModelAnswerer
from daemon.assembly.training import training
from daemon.config import load
from daemon.keeper import Keeper
from daemon.pipeline import Pipeline
from daemon.serving.answerer import Input
from daemon.storage.ledger import Ledger
from daemon.storage.snapshots import Snapshots
from streams.samples import SPAM

Row = dict[str, Any]
FLIPPED = {"ham": "spam", "spam": "ham"}
STEPS_A_SNAPSHOT = 8


def mails() -> list[Row]:
    """Mails in random order, so that nothing but the burst moves."""
    with gzip.open(SPAM, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    random.Random(0).shuffle(rows)
    return [{"text": row["text"][:200], "label": row["label"]} for row in rows]


def accuracy(snapshots: Snapshots, version: int, probe: Sequence[Row]) -> float:
    answers = ModelAnswerer(snapshots.open(version), device="cpu").answer([Input(text=row["text"]) for row in probe])
    return float(np.mean([answer.get("label") == row["label"] for answer, row in zip(answers, probe, strict=True)]))


pytestmark = pytest.mark.usefixtures("torch_switches")


@pytest.fixture
def fast_folder() -> Iterator[Path]:
    """In memory where there is such a place: on a busy disk one publish may last as long as the burst."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def test_flipped_labels_never_reach_the_answers_and_publishing_goes_on(
    fast_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A snapshot every few steps, however fast they are and however slow the disk, so that one of them would show the burst.
    monkeypatch.setattr(beside, "BUSY_SHARE", 1e9)
    keep_what_is_due = Keeper.keep_what_is_due

    def keep_and_wait(keeper: Keeper, pipeline: Pipeline) -> None:
        if pipeline.step % STEPS_A_SNAPSHOT == 0:
            keep_what_is_due(keeper, pipeline)
            keeper._beside.reap(wait=True)

    monkeypatch.setattr(Keeper, "keep_what_is_due", keep_and_wait)
    rows = mails()
    clean, burst, later, probe = rows[:3000], rows[3000:3500], rows[3500:5000], rows[5000:5500]
    stream = [*clean, *({**row, "label": FLIPPED[row["label"]]} for row in burst), *later]
    file = fast_folder / "mail.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in stream), encoding="utf-8")
    flags = [
        "source.kind=files",
        f"source.paths=['{file}']",
        "source.follow=false",
        f"storage.folder='{fast_folder}/data'",
        "gate.max_held_s=0.001",
        "storage.snapshots_kept=10000",
        "storage.snapshot_interval_s=0.01",
        "model.encoder=none",
        "training.batch_rows=16",
        "training.threads=1",
        "telemetry.port=0",
    ]
    with training(load(None, overrides=flags, environ={}), until_end=True) as run:
        run.trainer.run()
    snapshots = Snapshots(fast_folder / "data" / "snapshots")
    at_row = {info.manifest["rows"]: info.version for info in snapshots.list()}
    before = max(row for row in at_row if row <= len(clean))
    level = accuracy(snapshots, at_row[before], probe)
    assert level > 0.95
    assert len(at_row) > 10
    since = {row: accuracy(snapshots, version, probe) for row, version in at_row.items() if row > len(clean)}
    limit = len(clean) + 1_000
    assert all(it >= level - 0.01 for row, it in since.items() if row < limit)
    # Past the limit the newest weights go out unless they are clearly worse; they may still have a little to unlearn.
    late = [it for row, it in since.items() if row >= limit]
    assert late, "publishing did not go on"
    assert min(late) >= level - 0.03
    ledger = Ledger(fast_folder / "data" / "ledger")
    held = [entry.body["reason"] for entry in ledger.entries(0) if entry.kind == "held"]
    assert {"alarm", "surge"} & set(held)
