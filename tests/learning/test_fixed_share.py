"""Fixed share at several shares: how fast the best forecaster changes is learned, too."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.learning.fixed_share import FixedShare
from daemon.storage.tensors import all_finite
from tests.contracts.expert_checks import assert_same_state


def share(*shares: float) -> FixedShare:
    return FixedShare([0.5, 0.5], rate=0.5, shares=shares, floor=1e-4)


def loss(one: FixedShare, *, rows_between_changes: int) -> float:
    """Of 6,000 rows, where one of two forecasters gives .6 to the target, and the other .4."""
    total = 0.0
    for row in range(6000):
        first = 0.6 if row // rows_between_changes % 2 == 0 else 0.4
        p_F = np.array([first, 1.0 - first])
        total -= np.log(one.weights @ p_F)
        one.learn(p_F, 1.0)
    return total


def test_two_shares_by_hand() -> None:
    one = share(0.1, 0.0)
    for _ in range(2):
        one.learn(np.array([0.64, 0.36]), 1.0)
    # Behind the first row .8 : .6 of which a tenth was spread, or not; behind it the shares themselves were alike.
    spread, not_spread = 0.9 * 8 / 14 + 0.05, 8 / 14
    likelihoods = [0.64 * first + 0.36 * (1 - first) for first in (spread, not_spread)]
    by_share = np.sqrt(likelihoods) / np.sqrt(likelihoods).sum()
    state = one.state_dict()
    np.testing.assert_allclose(state["by_share"], 0.999 * by_share + 0.0005, rtol=1e-12)
    np.testing.assert_allclose(state["weights"][1], [64 / 100, 36 / 100], rtol=1e-12)
    np.testing.assert_allclose(one.weights, state["by_share"] @ state["weights"], rtol=1e-12)


def test_a_weight_of_two_counts_twice_and_late_rows_by_as_much_less() -> None:
    """What was given to the targets, by exponents that add up; the share is spread once a row, of a late row less of it."""
    p_F = np.array([0.8, 0.2])
    once, thirds = share(0.0, 0.0), share(0.0, 0.0)
    for one in (once, thirds):
        one._weight_AF[1] = [0.9, 0.1]  # or both shares would stay alike
    once.learn(p_F, 2.0)
    for _ in range(3):
        thirds.learn(p_F, 2.0, late_by=2)
    np.testing.assert_allclose(once.state_dict()["weights"], thirds.state_dict()["weights"], rtol=1e-12)
    likelihood_A = np.array([0.5, 0.74])
    by_share = likelihood_A / likelihood_A.sum()
    np.testing.assert_allclose(once.state_dict()["by_share"], 0.999 * by_share + 0.0005, rtol=1e-12)
    spread = share(0.3)
    spread.learn(np.array([0.5, 0.5]), 1.0)
    spread._weight_AF[:] = [0.9, 0.1]
    spread.learn(np.array([0.5, 0.5]), 1.0, late_by=2)
    np.testing.assert_allclose(spread.weights, [0.9 * 0.9 + 0.05, 0.9 * 0.1 + 0.05], rtol=1e-12)


def test_where_nothing_changes_the_small_share_is_found_and_where_much_does_the_large_one() -> None:
    for rows_between_changes, better, worse in ((6000, 1e-5, 1e-2), (100, 1e-2, 1e-5)):
        lost = {shares: loss(share(*shares), rows_between_changes=rows_between_changes) for shares in ((better,), (worse,))}
        both = loss(share(1e-2, 1e-5), rows_between_changes=rows_between_changes)
        assert lost[(better,)] + 10.0 < lost[(worse,)]
        assert both < lost[(better,)] + 0.2 * (lost[(worse,)] - lost[(better,)])


@pytest.mark.parametrize("weight", [1e2, 1e4, 1e30])
def test_however_heavy_a_row_it_stays_finite_and_goes_on_learning(weight: float) -> None:
    one = share(1e-3, 1e-5)
    for p_F, row_weight in [((0.8, 0.2), 1.0)] * 20 + [((1e-300, 0.2), weight)] + [((0.8, 0.2), 1.0)] * 100:
        one.learn(np.array(p_F), row_weight)
    assert all_finite(one.state_dict())
    assert one.weights[0] > 0.9


def test_it_goes_on_identically_after_a_reload() -> None:
    one, two, rng = share(1e-3, 1e-5), share(1e-3, 1e-5), np.random.default_rng(0)
    one.hasten()
    for row in range(400):
        if row == 100:
            two.load_state_dict(one.state_dict())
        p_F = rng.uniform(size=2)
        for each in (one, two)[: 1 if row < 100 else 2]:
            each.learn(p_F, 0.7)
    assert one.weights.tobytes() == two.weights.tobytes()
    assert_same_state(one.state_dict(), two.state_dict())
