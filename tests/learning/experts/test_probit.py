"""Probit regressions: their contract, a row against the exact posterior, and what they are there for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.experts.logistic import LogisticBank
from daemon.learning.experts.probit import MAX_JOINT, MAX_NUMBERS, ProbitBank
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.text import TextFeatures
from tests.contracts.expert_checks import CHECKS, Case, Pool, Runner
from tests.contracts.weight_checks import check_weight_two_doubles_the_step
from tests.learning.texts import topic_rows

Floats = NDArray[np.float64]

TEXTS, TARGETS = topic_rows(60, seed=5)
ROWS: Sequence[Mapping[str, float | str]] = [
    {"x": float(i % 7), "y": float(i * i % 11)} | ({"colour": f"c{i % 5}"} if i % 3 else {}) for i in range(len(TARGETS))
]
WIDE: Sequence[Mapping[str, float | str]] = [
    {f"x{n}": float((i * (n + 3) + i // 7) % 11) for n in range(MAX_JOINT + 20)} for i in range(len(TARGETS))
]


def pool(*, text: bool) -> Pool:
    texts, columns = TextFeatures(encoder=None) if text else None, TableFeatures()
    return [extractor for extractor in (texts, columns) if extractor], ProbitBank(text=texts, table=columns).experts()


CASES = (
    Case("probits of columns", lambda: pool(text=False), Batch(TEXTS.texts, ROWS), TARGETS),
    Case("probits of many columns", lambda: pool(text=False), Batch(TEXTS.texts, WIDE), TARGETS),
    Case("probits of both", lambda: pool(text=True), Batch(TEXTS.texts, ROWS), TARGETS),
)


@pytest.mark.parametrize("check", [*CHECKS, check_weight_two_doubles_the_step], ids=lambda check: check.__name__)
@pytest.mark.parametrize("example", CASES, ids=str)
def test_contract(example: Case, check: Callable[[Case], None]) -> None:
    check(example)


def test_a_row_moves_mean_and_variance_to_those_of_the_exact_posterior() -> None:
    """Of the bias alone, by the integral over all weights: ε π + (1 − ε) Φ(w) times N(0, 1)."""
    noise, share = 0.2, 0.5
    bank = ProbitBank(table=TableFeatures(), noise=noise, drifts=(0.0,))
    bank.grow()
    bank.learn(0, 1.0)
    grid = np.linspace(-8.0, 8.0, 200_001)
    normal = np.exp(-0.5 * grid * grid)
    below = np.cumsum(normal) / normal.sum()
    for k, likelihood in enumerate((noise * share + (1 - noise) * below, noise * share + (1 - noise) * (1.0 - below))):
        posterior = normal * likelihood / (normal * likelihood).sum()
        mean = float(posterior @ grid)
        state = bank.state_dict()
        np.testing.assert_allclose(state["mean"][0, k, 0], mean, atol=1e-4)
        np.testing.assert_allclose(state["joint"][0, k, 0, 0], posterior @ (grid - mean) ** 2, atol=1e-4)


def test_a_weight_counts_the_row_so_often() -> None:
    """What the row says of wᵀx is a Gaussian: its precision, and its precision times its mean, count so often."""
    said = {}
    for weight in (1.0, 2.0, 4.0):
        bank = ProbitBank(table=TableFeatures(), noise=0.1, drifts=(0.0,))
        bank.grow()
        bank.learn(0, weight)
        state = bank.state_dict()
        precision_K = 1.0 / state["joint"][0, :, 0, 0]
        said[weight] = np.array([precision_K - 1.0, precision_K * state["mean"][0, :, 0]])
    np.testing.assert_allclose(said[2.0], 2.0 * said[1.0], rtol=1e-9)
    np.testing.assert_allclose(said[4.0], 4.0 * said[1.0], rtol=1e-9)


def _sums(rows: int, *, width: int, noise: float, seed: int) -> tuple[Sequence[Mapping[str, float | str]], Floats]:
    """Rows whose label is the sign of a sum of all columns, but for wrong ones; the first label is 0."""
    rng = np.random.default_rng(seed)
    x_BD, w_D = rng.normal(size=(rows, width)), rng.normal(size=width)
    target_B = ((x_BD @ w_D > 0.0) ^ (rng.uniform(size=rows) < noise)).astype(np.float64)
    target_B = np.abs(target_B - target_B[0])
    return [{f"x{d}": float(x) for d, x in enumerate(x_D)} for x_D in x_BD], target_B


def _errors(experts: Pool, rows: Sequence[Mapping[str, float | str]], target_B: Floats) -> list[int]:
    """By expert."""
    runner = Runner(Case("sums", lambda: experts, Batch([""] * len(rows), rows), target_B))
    predicted = runner.learn(0, len(rows))
    num = len(runner.experts)
    return [
        sum(
            p_K[:-1].argmax() != target if len(p_K) > 1 else True
            for p_K, target in zip(predicted[e::num], target_B, strict=True)
        )
        for e in range(num)
    ]


@pytest.mark.parametrize("width", [10, 50])
def test_it_finds_a_sum_behind_wrong_labels_sooner_than_logistic_regression(width: int) -> None:
    rows, target_B = _sums(1000, width=width, noise=0.05, seed=width)
    table = TableFeatures()
    careful, _ = _errors(([table], ProbitBank(table=table).experts()), rows, target_B)
    table = TableFeatures()
    gradient = min(_errors(([table], LogisticBank(text=None, table=table).experts()), rows, target_B))
    assert careful < 0.95 * gradient


def test_it_follows_a_sum_that_turns() -> None:
    """Where all signs change, the member that forgets is right again, the other one still held by what it knew."""
    before, first_B = _sums(2000, width=5, noise=0.0, seed=1)
    after, second_B = _sums(500, width=5, noise=0.0, seed=1)
    table = TableFeatures()
    runner = Runner(
        Case(
            "turn",
            lambda: ([table], ProbitBank(table=table).experts()),
            Batch([""] * 2500, [*before, *after]),
            np.concatenate([first_B, 1.0 - second_B]),
        )
    )
    runner.learn(0, 2300)
    answer_BE = np.array([p_K[:-1].argmax() for p_K in runner.predict(2300, 2500)]).reshape(-1, 2)
    careful, fast = (runner.case.target_B[2300:] == answer_BE.T).mean(axis=1)
    assert fast > 0.9 > careful


def test_with_many_classes_fewer_columns_vary_together() -> None:
    """A row reads so many numbers at most; what is still read is as it was, and what is no longer is left alone."""
    table = TableFeatures()
    extractors, experts = [table], ProbitBank(table=table).experts()
    runner = Runner(Case("many", lambda: (extractors, experts), Batch([""] * len(WIDE), WIDE), TARGETS))
    runner.learn(0, 60)
    few = runner.state()["experts"]["probit_0"]["joint"]
    runner.grow_to(MAX_NUMBERS // 16**2 - 1)  # and the spare
    runner.learn(0, 60)
    many = runner.state()["experts"]["probit_0"]["joint"][:, : few.shape[1]]
    apart = ~np.eye(MAX_JOINT, dtype=bool)
    apart[:16, :16] = False
    np.testing.assert_array_equal(many[:, :-1][..., apart], few[:, :-1][..., apart])
    changed = (many != few)[..., ~apart]
    assert changed[:, 0].all()


def test_however_heavy_a_row_moves_no_sum_far_beyond_the_boundary() -> None:
    bank = ProbitBank(table=TableFeatures(), drifts=(0.0,))
    bank.grow()
    bank.grow()
    for _ in range(200):
        bank.predict()
        bank.learn(0, 1.0)
    bank.predict()
    bank.learn(1, 1e6)
    mean_K = bank.state_dict()["mean"][0, :, 0]
    assert -1.5 < mean_K[0] < 0.0 < mean_K[1] < 1.5
