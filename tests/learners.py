"""The models that tests of the whole daemon learn with, at sizes that take seconds, and streams for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from daemon.config import load
from daemon.settings import Settings
from tests.learning.tiny import tiny_bert
from tests.mails import mails

# Not a multiple of the 16 rows of a slow step, so that some rows wait for theirs at the end.
NUM_ROWS = 330


def stream(model: str, folder: Path, *, num_rows: int = NUM_ROWS) -> Path:
    """Rows that `model` can learn, each in one of three groups."""
    file = folder / f"{model}.jsonl"
    rows: Sequence[Mapping[str, object]] = _tables(num_rows) if model == "table" else mails(num_rows, num_characters=200)
    file.write_text("".join(json.dumps({**row, "group": f"g{n % 3}"}) + "\n" for n, row in enumerate(rows)), encoding="utf-8")
    return file


def settings(model: str, folder: Path, file: Path, *more: str, data: str = "data") -> Settings:
    """`model` is "text" (the default, with an encoder), "table" (the default), "finetuned" (that text default with the encoder
    fine-tuned as well) or "transformer" (the encoder alone, fine-tuned)."""
    chosen = {
        "text": _text,
        "table": lambda *_: ["model.inputs=features"],
        "finetuned": _finetuned,
        "transformer": lambda *given: ["model.kind=transformer", *_finetuned(*given)],
    }[model](folder, file)
    return load(
        None,
        environ={},
        overrides=[
            "source.kind=files", f"source.paths=['{file}']", "source.follow=false", "decoding.slices={group = 'group'}",
            f"storage.folder='{folder / data}'", "training.batch_rows=16", "training.threads=1", "telemetry.port=0",
            *chosen, *more,
        ],
    )  # fmt: skip


def _text(folder: Path, file: Path) -> list[str]:
    return [f"model.encoder='{_encoder(folder, file)}'", "model.max_tokens=16"]


def _finetuned(folder: Path, file: Path) -> list[str]:
    return [
        *_text(folder, file), "model.training=full", "replay.capacity=64", "schedule.warmup_steps=8",
        "optimizer.learning_rate=0.001",
    ]  # fmt: skip


def _encoder(folder: Path, file: Path) -> Path:
    texts = [json.loads(line)["text"] for line in file.read_text(encoding="utf-8").splitlines()]
    return tiny_bert(folder / "encoder", texts)


def _tables(num_rows: int) -> Sequence[dict[str, object]]:
    """Numbers and a category that tell the label together, with some noise."""
    draw, rows = np.random.default_rng(0), []
    for _ in range(num_rows):
        x, y, colour = draw.normal(), draw.normal(), ("red", "green", "blue")[draw.integers(3)]
        up = x + y * (1 if colour == "red" else -1) + 0.1 * draw.normal() > 0
        rows.append({"features": {"x": round(x, 3), "y": round(y, 3), "colour": colour}, "label": "up" if up else "down"})
    return rows
