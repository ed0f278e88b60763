"""On a GPU too: killed at any instant and started again, learning ends with the very bits of a run that was never touched."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from daemon.storage.checkpoints import Checkpoints
from tests.crash import runs
from tests.crash.trial import Trial

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.timeout(600),
]


def trial_of(model: str, folder: Path) -> Trial:
    file = runs.stream(folder, num_rows=runs.NUM_ROWS[model])
    settings = runs.files(file) + runs.model_settings(model, folder, file)
    return Trial(folder, [*settings, "training.device=cuda"])


def assert_learned_on_a_gpu(folder: Path) -> None:
    checkpoint = Checkpoints(folder / "checkpoints").load_newest()
    assert checkpoint is not None
    assert "CUDA" in checkpoint.meta["fingerprint"]["device"]


def test_every_failpoint_costs_no_bit(tmp_path: Path) -> None:
    trial = trial_of("transformer", tmp_path)
    trial.kill_at_each_failpoint()
    assert trial.end() == trial.expected
    assert_learned_on_a_gpu(trial.run)


@pytest.mark.parametrize("model", [*runs.MODELS[1:2], "finetuned"])
def test_random_kills_cost_no_bit(tmp_path: Path, model: str) -> None:
    trial = trial_of(model, tmp_path)
    trial.kill_at_random(num_kills=3, seed=1)
    assert trial.end() == trial.expected
    assert_learned_on_a_gpu(trial.run)
    runs.assert_reads_as_set(model, trial.run, tmp_path / "rows.jsonl", atol=1e-2)
