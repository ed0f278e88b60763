"""Two things in turns, on workers of a few lines: what is measured, who wins, and what a worker says that cannot run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from benchmarks.speed import __main__ as speed
from benchmarks.speed import dense
from benchmarks.speed.duels import DUELS, Contestant, Duel
from benchmarks.speed.table import render
from benchmarks.speed.worker import Worker, started

# A pass that takes no time and says that it took 2 seconds a row for the "slow" one, 1 for the other.
PASS = """
import sys
from benchmarks.speed.worker import serve
seconds = {"slow": 20.0, "fast": 10.0}[sys.argv[1]]
serve(lambda: {"seconds": seconds, "rows": 10, "accuracy": 1 / seconds}, core=min(__import__("os").sched_getaffinity(0)))
"""
ROOT = Path(__file__).parents[2]


def worker(name: str) -> AbstractContextManager[Worker]:
    command: Sequence[str] = [sys.executable, "-c", PASS, name]
    return started(name, command, folder=ROOT)


def test_a_ratio_says_how_many_times_as_fast_ours_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_worker", lambda side, duel, chosen: worker(side.name))
    duel = Duel("tiny", Contestant("fast"), Contestant("slow", "peers"), 10, floor=2.0, aim=5.0, more_accurate=True)
    result = speed.fight(duel, argparse.Namespace(turns=2))
    assert (result["ratio"], result["lowest"], result["highest"]) == (2.0, 2.0, 2.0)
    assert result["ours"] == {"seconds": 10.0, "rows": 10, "accuracy": 0.1, "us_per_row": 1e6}
    row = render([duel], {"tiny": result | {"commit": "abc", "date": "2000-01-01"}}).splitlines()[-1]
    assert "**2.00** (2.00 – 2.00) | 0.1000 / 0.0500 ✓ | ≥ 2.00 ✓ | ≥ 5.00 ✗ |" in row


def test_a_bound_on_the_time_of_a_row_needs_no_other_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_worker", lambda side, duel, chosen: worker(side.name))
    duel = Duel("tiny", Contestant("fast"), None, 10, most_us=600)
    result = speed.fight(duel, argparse.Namespace(turns=1))
    row = render([duel], {"tiny": result | {"commit": "abc", "date": "2000-01-01"}}).splitlines()[-1]
    assert "| 1,000,000 µs a row | – | – | 0.1000 | ≤ 600 µs ✗ | – |" in row


def test_a_worker_that_cannot_run_is_quoted() -> None:
    with worker("lame") as lame, pytest.raises(RuntimeError, match="lame ended with 1: KeyError: 'lame'"):
        lame.run()


def test_names_of_duels_differ() -> None:
    assert len({duel.name for duel in DUELS}) == len(DUELS)


def test_the_gram_scan_is_what_steps_of_these_sizes_are_one_by_one() -> None:
    random = np.random.default_rng(0)
    x_BD, target_B = random.normal(size=(20, 5)).astype(np.float32), random.integers(3, size=20)
    first_DK, size_D = random.normal(size=(5, 3)).astype(np.float32), random.uniform(0.1, 0.5, size=5).astype(np.float32)
    weight_DK, right = first_DK.astype(np.float64), 0
    for x_D, target in zip(x_BD, target_B, strict=True):
        logit_K = x_D @ weight_DK
        right += logit_K.argmax() == target
        error_K = np.exp(logit_K) / np.exp(logit_K).sum() - np.eye(3)[target]
        weight_DK -= np.outer(size_D * x_D, error_K)
    step_BK, scanned_right = dense._scan(x_BD @ first_DK, (x_BD * size_D) @ x_BD.T, target_B)
    np.testing.assert_allclose(first_DK - (x_BD * size_D).T @ step_BK, weight_DK, atol=1e-4)
    assert scanned_right == right
