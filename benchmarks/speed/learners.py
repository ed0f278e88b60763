"""`python -m benchmarks.speed.learners NAME ROWS CORE`: a pass of learnd, or of a part of it, in this environment."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.quality import streams
from benchmarks.speed import dense
from benchmarks.speed.worker import Measured, serve
from daemon.assembly import models, sources
from daemon.assembly.training import training
from daemon.config import load
from daemon.errors import ConfigError
from daemon.learning.device import make_deterministic
from daemon.learning.encoders import FrozenEncoder, load_encoder
from daemon.learning.learner import Learner, Scored
from daemon.settings import Settings
from streams.record import Example, Record

MICRO_BATCH = 64
# Texts of a bare forward pass, sorted by length.
BARE_BATCH = 32


class RememberedEncoder:
    """Embeddings that were made before the clock started: learnd's default without what its encoder costs."""

    def __init__(self, encoder: FrozenEncoder, texts: Sequence[str]) -> None:
        self._encoder, self.width = encoder, encoder.width
        pieces = [encoder.encode(texts[i : i + 256]) for i in range(0, len(texts), 256)]
        self._row = {text: i for i, text in enumerate(texts)}
        self._embedding_ND = np.concatenate(pieces)

    def encode(self, texts: Sequence[str]) -> Any:
        return self._embedding_ND[[self._row[text] for text in texts]]

    def companions(self) -> Any:
        return self._encoder.companions()


def settings_for(file: Path, *, folder: str, inputs: str, **model: str) -> Settings:
    """learnd's defaults over a file, on one thread."""
    return load(
        None,
        environ={},
        defaults={
            "source": {"kind": "files", "paths": [str(file)], "follow": False},
            "storage": {"folder": folder},
            "model": {"inputs": inputs, **model},
            "training": {"threads": 1},
            "telemetry": {"port": 0},
        },
    )


def bare_pass(settings: Settings, examples: Sequence[Example], *, batch_rows: int = MICRO_BATCH) -> Measured:
    """A fresh learner, called in a loop on decoded rows."""
    encoder = models.encoder(settings, may_lack=False)
    learner = Learner(task=models.task(settings), model=models.model(settings, encoder=encoder, device=torch.device("cpu")))
    began = time.perf_counter()
    micro_batches = [learner.learn(examples[start : start + batch_rows]) for start in range(0, len(examples), batch_rows)]
    seconds = time.perf_counter() - began
    errors = sum(map(_num_errors, micro_batches))
    return {"seconds": seconds, "rows": len(examples), "accuracy": 1 - errors / len(examples)}


def _num_errors(scored: Scored) -> int:
    if not scored.output.shape[1]:
        return len(scored.target_B)
    answered_B = scored.output.max(axis=1) > 0
    return int((~answered_B | (scored.output.argmax(axis=1) != scored.target_B)).sum())


def daemon_pass(settings: Settings) -> Measured:
    """The loop of `learnd train --until-end` with all that it keeps, from its first row to its last."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-speed-") as folder,
        training(_in(settings, folder), until_end=True) as assembled,
    ):
        gatherer = assembled.trainer.startup()
        began = time.perf_counter()
        assembled.trainer.loop(gatherer)
        seconds = time.perf_counter() - began
        figures = assembled.pipeline.evaluation.since_start()
        assembled.trainer.shutdown()
    return {"seconds": seconds, "rows": assembled.pipeline.rows, "accuracy": figures["accuracy"]}


def encoder_pass(encoder: FrozenEncoder, texts: Sequence[str]) -> Measured:
    """As the default calls it: a micro-batch of texts at a time, in the stream's order."""
    began = time.perf_counter()
    for start in range(0, len(texts), MICRO_BATCH):
        encoder.encode(texts[start : start + MICRO_BATCH])
    return {"seconds": time.perf_counter() - began, "rows": len(texts)}


def bare_encoder_pass(tokenizer: Any, model: Any, texts: Sequence[str], *, max_tokens: int = 128) -> Measured:
    """transformers alone: all texts sorted by length, a batch at a time, mean over the tokens."""
    began = time.perf_counter()
    tokens = sorted(tokenizer(list(texts), truncation=True, max_length=max_tokens)["input_ids"], key=len)
    with torch.inference_mode():
        for start in range(0, len(tokens), BARE_BATCH):
            padded = tokenizer.pad({"input_ids": tokens[start : start + BARE_BATCH]}, return_tensors="pt")
            hidden_BTD = model(**padded).last_hidden_state
            mask_BT1 = padded["attention_mask"].unsqueeze(-1)
            torch.nn.functional.normalize((hidden_BTD * mask_BT1).sum(1) / mask_BT1.sum(1), dim=1)
    return {"seconds": time.perf_counter() - began, "rows": len(texts)}


def _in(settings: Settings, folder: str) -> Settings:
    return settings.model_copy(update={"storage": settings.storage.model_copy(update={"folder": Path(folder)})})


def _examples(settings: Settings, file: Path) -> list[Example]:
    decoder = sources.decoder(settings)
    with file.open("rb") as lines:
        return [decoder.decode(Record("files", 0, i, line.rstrip(b"\n"))) for i, line in enumerate(lines)]


def _hundred_and_fifty_classes(num_rows: int) -> Path:
    """banking77 with 73 of its 77 intents split in two by turns: 150 labels, for the cost and not for the errors."""
    rows = streams.read(streams.write("banking77", max_rows=num_rows))
    split = sorted({row["label"] for row in streams.read(streams.write("banking77"))})[:73]
    path = streams.CACHE / f"banking150-{num_rows}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for i, row in enumerate(rows):
            label = f"{row['label']} {i % 2}" if row["label"] in split else row["label"]
            file.write(json.dumps({**row, "label": label}) + "\n")
    return path


def _embedded(name: str, num_rows: int) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    """(N, D) embeddings of a stream's texts, (N,) their labels in order of first appearance, and how many labels there are."""
    rows = streams.read(streams.write(name, max_rows=num_rows))
    texts, encoder = [row["text"] for row in rows], load_encoder("auto", device="cpu")
    index = {label: i for i, label in enumerate(dict.fromkeys(row["label"] for row in rows))}
    embedding_ND = RememberedEncoder(encoder, texts).encode(texts)
    return embedding_ND, np.array([index[row["label"]] for row in rows]), len(index)


def _table(num_rows: int) -> tuple[Settings, Path]:
    file = streams.write("elec2", max_rows=num_rows)
    return settings_for(file, folder="unused", inputs="features"), file


@contextlib.contextmanager
def _text(file: Path) -> Iterator[tuple[Settings, list[Example]]]:
    """The text default with embeddings that are there already."""
    settings = settings_for(file, folder="unused", inputs="text")
    examples = _examples(settings, file)
    remembered = RememberedEncoder(load_encoder("auto", device="cpu"), [example.text for example in examples])
    with mock.patch.object(models, "_frozen", return_value=remembered):
        yield settings, examples


def make_pass(name: str, num_rows: int, stack: contextlib.ExitStack) -> Callable[[], Measured]:
    """What is run for `name`; raises `ConfigError` where this build does not have it."""
    if name.startswith("elec2"):
        settings, file = _table(num_rows)
        examples = _examples(settings, file)
        if name == "elec2_linear":
            linear = settings_for(file, folder="unused", inputs="features", kind="linear")
            return lambda: bare_pass(linear, examples, batch_rows=1)
        return {"elec2_daemon": lambda: daemon_pass(settings), "elec2_bare": lambda: bare_pass(settings, examples)}[name]
    if name in ("encoder", "bare_encoder"):
        texts = [row["text"] for row in streams.read(streams.write("spam", max_rows=num_rows))]
        encoder = load_encoder("auto", device="cpu")
        if name == "encoder":
            return lambda: encoder_pass(encoder, texts)
        return lambda: bare_encoder_pass(encoder._tokenizer, encoder._model, texts)
    if name.startswith("dense"):
        dense_pass = dense.rows_pass if "rows" in name else dense.scan_pass
        return partial(dense_pass, *_embedded("banking77" if name.endswith("77") else "spam", num_rows))
    file = _hundred_and_fifty_classes(num_rows) if name == "text_150_bare" else streams.write("spam", max_rows=num_rows)
    settings, examples = stack.enter_context(_text(file))
    return {"text_daemon": lambda: daemon_pass(settings)}.get(name, lambda: bare_pass(settings, examples))


def main() -> None:
    name, num_rows, core = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    make_deterministic(1)
    with contextlib.ExitStack() as stack:
        try:
            run_pass = make_pass(name, num_rows, stack)
        except ConfigError as error:
            sys.stderr.write(f"{name}: not available in this build: {error}\n")
            sys.exit(3)
        serve(run_pass, core=core)


if __name__ == "__main__":
    main()
