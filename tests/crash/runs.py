"""Runs of `learnd train --until-end` that are killed, started again and compared by their `state_sha256`."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from streams.samples import SPAM
from tests.learning.tiny import tiny_bert


def stream(folder: Path, *, num_rows: int) -> Path:
    """The first mails of the bundled sample, shortened."""
    file = folder / "mail.jsonl"
    with gzip.open(SPAM, "rt", encoding="utf-8") as lines, file.open("w", encoding="utf-8") as out:
        for _, line in zip(range(num_rows), lines, strict=False):
            row = json.loads(line)
            out.write(json.dumps({"text": row["text"][:300], "label": row["label"]}) + "\n")
    return file


def transformer_settings(folder: Path, file: Path) -> list[str]:
    """A fully fine-tuned tiny transformer with replay, warm-up and AdamW."""
    texts = [json.loads(line)["text"] for line in file.read_text(encoding="utf-8").splitlines()]
    encoder = tiny_bert(folder / "tiny-bert", texts)
    return [
        "model.kind=transformer",
        "model.training=full",
        f"model.encoder='{encoder}'",
        "model.max_tokens=32",
        "replay.capacity=64",
        "schedule.warmup_steps=8",
        "optimizer.learning_rate=0.001",
    ]


def text_settings() -> list[str]:
    """The text default on n-grams alone."""
    return ["model.encoder=none"]


def train(folder: Path, settings: Sequence[str], *, failpoint: str = "") -> str | None:
    """One start: the `state_sha256` that it printed, or None where it was killed."""
    environment = {**os.environ, "LEARND_FAILPOINT": failpoint, "OMP_NUM_THREADS": "1"}
    flags = [part for setting in common(folder) + list(settings) for part in ("--set", setting)]
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon", "train", "--until-end", *flags],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    out, err = process.communicate()
    if process.returncode == -signal.SIGKILL:
        return None
    assert process.returncode == 0, err
    return out.split()[-1]


def common(folder: Path) -> list[str]:
    """Everything is kept as often as it can be, so that every moment of keeping is met."""
    return [
        f"storage.folder='{folder}'",
        "storage.checkpoint_interval_s=0.01",
        "storage.snapshot_interval_s=0.01",
        "training.batch_rows=16",
        "training.threads=1",
        "telemetry.port=0",
    ]


def files(file: Path) -> list[str]:
    return ["source.kind=files", f"source.paths=['{file}']", "source.follow=false"]


def killed_at_random(folder: Path, settings: Sequence[str], *, num_kills: int, seed: int) -> tuple[str, int]:
    """Killed `num_kills` times after random numbers of steps, then left to end: its `state_sha256`, how often it was killed.

    Counted in steps, not seconds: a slow machine must not be killed before it learned, nor a quick one after it ended.
    """
    moments, num_killed = random.Random(seed), 0
    for _ in range(num_kills):
        point = moments.choice(("plan.written", "step.done"))
        num_killed += train(folder, settings, failpoint=f"{point}:{moments.randint(5, 25)}") is None
    sha256 = train(folder, settings)
    assert sha256 is not None
    return sha256, num_killed
