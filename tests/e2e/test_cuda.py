"""What was learned on a GPU answers on a CPU too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from daemon.assembly.serving import ModelAnswerer
from daemon.serving.answerer import Input
from daemon.storage.snapshots import Snapshots
from tests.crash import runs
from tests.e2e.learnd import train

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.usefixtures("torch_switches"),
]


@pytest.mark.parametrize("model", ["finetuned", *runs.MODELS[1:2]])
def test_a_snapshot_of_a_gpu_answers_on_a_cpu_too(tmp_path: Path, model: str) -> None:
    file = runs.stream(tmp_path, num_rows=runs.NUM_ROWS[model])
    train(tmp_path, file, [*runs.model_settings(model, tmp_path, file), "training.device=cuda"])
    inputs = [Input(text=json.loads(line)["text"]) for line in file.read_text(encoding="utf-8").splitlines()]
    snapshots = Snapshots(tmp_path / "snapshots", keep=5)
    version = snapshots.current()
    assert version is not None
    snapshot = snapshots.open(version)
    on_gpu, on_cpu = (
        np.array([answer["scores"]["spam"] for answer in ModelAnswerer(snapshot, device=device).answer(inputs)])
        for device in ("cuda", "cpu")
    )
    assert on_cpu.std() > 0.05, "it learned something"
    # bfloat16 keeps eight bits of a number.
    np.testing.assert_allclose(on_gpu, on_cpu, atol=0.05)
