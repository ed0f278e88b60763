"""Killed at any instant and started again, learning ends with the very bits of a run that was never touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash import runs
from tests.crash.starts import Launcher
from tests.crash.trial import Trial


def settings_of(model: str, folder: Path) -> list[str]:
    file = runs.stream(folder, num_rows=runs.NUM_ROWS[model])
    return runs.files(file) + runs.model_settings(model, folder, file)


@pytest.mark.timeout(600)
def test_every_failpoint_costs_no_bit(launcher: Launcher, tmp_path: Path) -> None:
    """One run, killed at each point in turn and started again."""
    settings = settings_of("transformer", tmp_path)
    trial = Trial(launcher, tmp_path, settings)
    trial.kill_at_each_failpoint()
    assert trial.end() == trial.expected
    # Neither a fork nor anything else in these tests decides the bits: a process of its own has them too.
    assert runs.train(tmp_path / "alone", settings) == trial.expected


@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", runs.MODELS[:2])
def test_random_kills_cost_no_bit(launcher: Launcher, tmp_path: Path, model: str) -> None:
    trial = Trial(launcher, tmp_path, settings_of(model, tmp_path))
    trial.kill_at_random(num_kills=3, seed=1)
    assert trial.end() == trial.expected
    runs.assert_reads_as_set(model, trial.run, tmp_path / "mail.jsonl")


@pytest.mark.timeout(600)
def test_kills_while_a_checkpoint_is_written_cost_no_bit(launcher: Launcher, tmp_path: Path) -> None:
    trial = Trial(launcher, tmp_path, settings_of("transformer", tmp_path))
    trial.kill_while_writing("checkpoints", num_kills=2, seed=2)
    assert trial.end() == trial.expected


def test_another_seed_gives_other_bits(launcher: Launcher, tmp_path: Path) -> None:
    settings = settings_of("transformer", tmp_path)
    other = Trial(launcher, tmp_path / "other", [*settings, "training.seed=1"])
    assert Trial(launcher, tmp_path, settings).expected != other.expected
