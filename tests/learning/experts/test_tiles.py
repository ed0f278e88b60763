"""The bank of tiles: against its formula, each member against itself alone, and loaded over what was learned before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.errors import StateError
from daemon.learning.experts import tiles
from daemon.learning.experts.tiles import BITS, Rate, TileBank
from daemon.learning.features.inputs import Tokens
from tests.contracts.expert_checks import assert_same_state

RATES = [Rate("slow", 0.03), Rate("careful", 0.1, start=30.0), Rate("steady", 1.0, start=100.0)]

Row = tuple[NDArray[np.uint64], int]


def rows(num_rows: int, *, num_tokens: int = 300, num_classes: int = 6, seed: int = 0) -> list[Row]:
    """Tokens of which the class can be told; classes come one after the other."""
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 1 << 63, num_tokens).astype(np.uint64)
    drawn = []
    for i in range(num_rows):
        target = int(random.integers(min(num_classes, 1 + i // 20)))
        drawn.append((hashes[(random.integers(0, num_tokens // num_classes, 12) * num_classes + target)], target))
    return drawn


def run(bank: TileBank, tokens: Tokens, learned: Sequence[Row], *, num_known: int = 0) -> list[NDArray[np.float64]]:
    """(R, K) what was said of each row; labels join as they come."""
    said = []
    for tokens.hashes_T, target in learned:
        bank.predict()
        said.append(bank.p_RK.copy())
        while num_known <= target:
            bank.grow()
            num_known += 1
        bank.learn(target, 1.0)
    return said


def reference(learned: Sequence[Row], rate: Rate) -> list[NDArray[np.float64]]:
    """(K,) of each row by the formula, in float64: dictionaries of columns of weights."""
    weight: dict[int, NDArray[np.float64]] = {}
    square: dict[int, NDArray[np.float64]] = {}
    num_known, bias = 0, -1
    said = []
    for hashes_T, target in learned:
        features = [int(hashed) % (1 << BITS) for hashed in hashes_T]
        zeros = np.zeros(num_known + 1)
        logit_K = weight.get(bias, zeros) + sum(weight.get(feature, zeros) for feature in features)
        p_K = np.exp(logit_K - logit_K.max())
        p_K /= p_K.sum()
        said.append(p_K)
        while num_known <= target:  # the spare becomes the class and starts anew as its copy
            num_known += 1
            for table in (weight, square):
                for feature, column_K in table.items():
                    table[feature] = np.append(column_K, column_K[-1])
            logit_K = np.append(logit_K, logit_K[-1])
            p_K = np.exp(logit_K - logit_K.max())
            p_K /= p_K.sum()
        gradient_K = p_K - (np.arange(num_known + 1) == target)
        for feature in (*features, bias):
            a = square[feature] = square.get(feature, np.zeros(num_known + 1)) + gradient_K**2
            step_K = rate.rate * gradient_K / np.sqrt(rate.start + a) * (0.1 if feature == bias else 1.0)
            weight[feature] = weight.get(feature, np.zeros(num_known + 1)) - step_K
    return said


@pytest.mark.parametrize("num_classes", [2, 6, 20])
def test_each_member_follows_its_own_rate(num_classes: int) -> None:
    tokens, learned = Tokens(), rows(500, num_classes=num_classes)
    together = run(TileBank(tokens=tokens, rates=RATES), tokens, learned)
    for member, rate in enumerate(RATES):
        alone = run(TileBank(tokens=tokens, rates=[rate]), tokens, learned)
        expected = reference(learned, rate)
        for said_RK, alone_RK, p_K in zip(together, alone, expected, strict=True):
            assert said_RK[member].tobytes() == alone_RK[0].tobytes()
            np.testing.assert_allclose(said_RK[member], np.maximum(p_K, 1e-12), rtol=2e-4, atol=1e-6)


def test_tokens_share_their_weights_where_their_last_bits_are_the_same() -> None:
    tokens = Tokens()
    bank = TileBank(tokens=tokens, rates=RATES)
    tokens.hashes_T = np.array([5], np.uint64)
    bank.grow()
    bank.learn(0, 1.0)
    bank.predict()
    known_RK = bank.p_RK.copy()
    tokens.hashes_T = np.array([5 + (1 << BITS), 5 + (1 << (BITS - 1))], np.uint64)  # the second shares all but one
    bank.predict()
    assert bank.p_RK.tobytes() == known_RK.tobytes()


@pytest.mark.parametrize("max_bytes", [16 << 20, 1 << 10], ids=["roomy", "forgetting"])
@pytest.mark.parametrize("learned_before", [0, 100, 900], ids="after {} rows".format)
def test_a_state_replaces_all_that_was_learned_before(
    learned_before: int, max_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "MAX_BYTES", max_bytes)
    tokens, learned = Tokens(), rows(600, num_tokens=3_000)
    whole, resumed = TileBank(tokens=tokens, rates=RATES), TileBank(tokens=tokens, rates=RATES)
    run(whole, tokens, learned[:300])
    num_known = whole.p_RK.shape[1] - 1
    run(resumed, tokens, rows(learned_before, num_tokens=2_500, num_classes=4, seed=1))
    resumed.load_state_dict(whole.state_dict())
    expected = run(whole, tokens, learned[300:], num_known=num_known)
    again = run(resumed, tokens, learned[300:], num_known=num_known)
    assert [p_RK.tobytes() for p_RK in again] == [p_RK.tobytes() for p_RK in expected]
    assert_same_state(resumed.state_dict(), whole.state_dict())


def test_weights_alone_say_the_same_over_what_was_learned_before() -> None:
    tokens, learned = Tokens(), rows(400)
    bank, served = TileBank(tokens=tokens, rates=RATES), TileBank(tokens=tokens, rates=RATES)
    run(served, tokens, rows(500, num_classes=9, seed=2))
    for stop in (200, 400):
        run(bank, tokens, learned[stop - 200 : stop], num_known=bank.p_RK.shape[1] - 1)
        served.load_weights(bank.weights())
        for tokens.hashes_T, _ in learned[:50]:
            bank.predict()
            served.predict()
            assert served.p_RK.tobytes() == bank.p_RK.tobytes()


def test_a_bank_of_other_members_is_refused() -> None:
    tokens = Tokens()
    one, three = TileBank(tokens=tokens, rates=RATES[:1]), TileBank(tokens=tokens, rates=RATES)
    for theirs, ours in ((one, three), (three, one)):
        with pytest.raises(StateError, match="does not fit"):
            ours.load_state_dict(theirs.state_dict())
