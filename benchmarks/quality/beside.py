"""Runs a peer in its own environment, as one process over one stream."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality.cases import Case
from benchmarks.quality.peers import EMBEDDED
from benchmarks.quality.scores import Answers
from benchmarks.quality.streams import CACHE, ROOT, read

ENCODED_AT_ONCE = 512


def run_peer(name: str, case: Case, file: Path, *, python: Path) -> tuple[Answers, dict[str, Any]]:
    """What the peer `name` answered, and its seconds and version. Raises `RuntimeError` with its own words where it failed."""
    with tempfile.TemporaryDirectory(prefix="bench-peer-") as folder:
        out = Path(folder) / "answers.npz"
        command = [str(python), "-m", "benchmarks.quality.peers", name, str(file), str(out), "--task", case.task]
        command += ["--delay", str(case.delay)] if case.delay else []
        command += ["--history"] if case.history and not case.delay else []
        command += ["--embeddings", str(_embeddings(file))] if name in EMBEDDED else []
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        if done.returncode:
            raise RuntimeError(f"the peer {name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        with np.load(out) as arrays:
            answers = Answers(**{key: arrays[key] for key in arrays.files})
    return answers, json.loads(done.stdout.splitlines()[-1])


def _embeddings(file: Path) -> Path:
    """(N, D) embeddings of a stream's texts by learnd's frozen encoder, kept beside the stream."""
    path = CACHE / f"{file.stem}.minilm.npy"
    if not path.exists():
        from daemon.learning.encoders import load_encoder

        encoder = load_encoder("auto", device="cpu")
        texts = [row["text"] for row in read(file)]
        pieces = [encoder.encode(texts[i : i + ENCODED_AT_ONCE]) for i in range(0, len(texts), ENCODED_AT_ONCE)]
        np.save(path, np.concatenate(pieces))
    return path
