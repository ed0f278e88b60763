"""Killed at any instant and started again, learning ends with the very bits of a run that was never touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.failpoints import NAMES
from tests.crash import runs


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crash")


@pytest.fixture(scope="module")
def tiny(shared: Path) -> list[str]:
    """Settings of the tiny transformer on 160 mails."""
    file = runs.stream(shared, num_rows=160)
    return runs.files(file) + runs.transformer_settings(shared, file)


@pytest.fixture(scope="module")
def untouched(shared: Path, tiny: list[str]) -> str:
    sha256 = runs.train(shared / "untouched", tiny)
    assert sha256 is not None
    return sha256


@pytest.mark.timeout(900)
def test_every_failpoint_costs_no_bit(tmp_path: Path, tiny: list[str], untouched: str) -> None:
    """One run, killed at each point in turn and started again."""
    folder, killed = tmp_path / "data", []
    for name in NAMES:
        sha256 = runs.train(folder, tiny, failpoint=name)
        if sha256 is None:
            killed.append(name)
        else:
            assert sha256 == untouched, name
    assert runs.train(folder, tiny) == untouched
    assert killed == list(NAMES), "a point that is never reached proves nothing"


def test_another_seed_gives_other_bits(tmp_path: Path, tiny: list[str], untouched: str) -> None:
    assert runs.train(tmp_path / "data", [*tiny, "training.seed=1"]) != untouched


@pytest.mark.timeout(600)
def test_the_text_default_killed_at_random_moments_costs_no_bit(tmp_path: Path) -> None:
    settings = runs.files(runs.stream(tmp_path, num_rows=1500)) + runs.text_settings()
    expected = runs.train(tmp_path / "untouched", settings)
    sha256, num_killed = runs.killed_at_random(tmp_path / "data", settings, num_kills=3, seed=1)
    assert sha256 == expected
    assert num_killed == 3, "a run that was over before it was killed proves nothing"
