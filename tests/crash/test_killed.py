"""Killed at any instant and started again, learning ends with the very bits of a run that was never touched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.crash import runs
from tests.crash.starts import begin
from tests.crash.trial import Trial


def settings_of(model: str, folder: Path) -> list[str]:
    file = runs.stream(folder, num_rows=runs.NUM_ROWS[model], model=model)
    return runs.files(file) + runs.model_settings(model, folder, file)


@pytest.mark.timeout(600)
def test_every_failpoint_costs_no_bit(tmp_path: Path) -> None:
    """One run, killed at each point in turn and started again."""
    settings = settings_of("transformer", tmp_path)
    trial = Trial(tmp_path, settings)
    trial.kill_at_each_failpoint()
    assert trial.end() == trial.expected
    # Neither a fork nor anything else in these tests decides the bits: a process of its own has them too.
    assert runs.train(tmp_path / "alone", settings, alone=True) == trial.expected


@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", [*runs.MODELS[:2], "finetuned"])
def test_random_kills_cost_no_bit(tmp_path: Path, model: str) -> None:
    trial = Trial(tmp_path, settings_of(model, tmp_path))
    trial.kill_at_random(num_kills=3, seed=1)
    assert trial.end() == trial.expected
    runs.assert_reads_as_set(model, trial.run, tmp_path / "rows.jsonl")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", runs.TABLES)
def test_kills_cost_a_table_no_bit(tmp_path: Path, model: str) -> None:
    """At points some steps apart, before and behind where a new column and a new label come, and at random."""
    trial = Trial(tmp_path, settings_of(model, tmp_path))
    trial.kill_at_each_failpoint(["step.done:12", "checkpoint.renamed", "plan.written:12", "publish.files"])
    assert trial.end() == trial.expected
    trial.kill_at_random(num_kills=2, seed=1)
    assert trial.end() == trial.expected
    runs.assert_reads_as_set(model, trial.run, tmp_path / "rows.jsonl")


@pytest.mark.timeout(600)
def test_kills_while_a_checkpoint_is_written_cost_no_bit(tmp_path: Path) -> None:
    trial = Trial(tmp_path, settings_of("transformer", tmp_path))
    trial.kill_while_writing("checkpoints", num_kills=2, seed=2)
    assert trial.end() == trial.expected


def test_another_seed_gives_other_bits(tmp_path: Path) -> None:
    settings = settings_of("transformer", tmp_path)
    other = Trial(tmp_path / "other", [*settings, "training.seed=1"])
    assert Trial(tmp_path, settings).expected != other.expected


def test_a_changed_rate_holds_from_the_row_at_which_it_came(tmp_path: Path) -> None:
    """It stands in the ledger alone: a kill comes before the next checkpoint."""
    settings, file = settings_of("transformer", tmp_path), tmp_path / "rows.jsonl"
    changed = [*settings, "optimizer.learning_rate=0.01", "storage.checkpoint_interval_s=1e9"]
    killed, untouched, unchanged = (tmp_path / name for name in ("killed", "untouched", "unchanged"))

    def train(folder: Path, settings: list[str], failpoint: str = "") -> str | None:
        return begin(folder, runs.arguments(folder, settings), failpoint=failpoint).result()

    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:192]), encoding="utf-8")
    assert train(killed, settings) is not None
    for folder in (untouched, unchanged):
        shutil.copytree(killed, folder)
    file.write_text("".join(lines), encoding="utf-8")
    assert train(killed, changed, failpoint="step.done:6") is None
    expected = train(untouched, changed)
    assert train(killed, changed) == expected
    assert train(unchanged, settings) != expected
