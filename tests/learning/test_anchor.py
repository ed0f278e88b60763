"""What is kept of the pool from before an alarm: what it is worth, what it costs, and that it goes on where it was saved."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.learning.anchor import HOLD_ROWS, Anchor
from daemon.learning.batch import Batch
from daemon.learning.late import Late
from daemon.learning.mixer import Mixer
from daemon.learning.models.mixture import Mixture
from daemon.learning.reactions import Reactions
from tests.contracts.expert_checks import assert_same_state
from tests.learning.test_tables import make_mixture
from tests.learning.texts import text_mixture, topic_rows

Floats = NDArray[np.float64]
NUM_BEFORE, NUM_UNNOTICED, NUM_WRONG, NUM_AFTER = 600, 30, 300, 200


def rows(num_rows: int, *, seed: int) -> tuple[Batch, Floats]:
    return topic_rows(num_rows, seed=seed)


def learn(model: Mixture | Late, batch: Batch, target_B: Floats, *, cut: int = 16, weight: float = 1.0) -> int:
    """Learn the rows and count the errors."""
    errors = 0
    for start in range(0, len(batch), cut):
        piece = Batch(batch.texts[start : start + cut], batch.features[start : start + cut])
        target_P = target_B[start : start + cut]
        output_PC = model.learn(piece, target_P, np.full(len(piece), weight))
        if output_PC.size:  # no label has arrived before that
            errors += int((output_PC.argmax(axis=1) != target_P).sum())
    return errors


def ring(num_rows: int, *, seed: int) -> tuple[Batch, Floats]:
    """Points of a square, and whether they lie in a ring."""
    point_ND = np.random.default_rng(seed).uniform(-1.0, 1.0, size=(num_rows, 2))
    inside_N = abs(np.linalg.norm(point_ND, axis=1) - 0.6) < 0.2
    return Batch([""] * num_rows, [{"x": x, "y": y} for x, y in point_ND.tolist()]), inside_N.astype(np.float64)


def burst(*, anchor: bool) -> tuple[Mixture, int]:
    """Rows that are right, rows with the other label and an alarm among them, and the errors on right rows after them."""
    model = make_mixture()
    model._reactions = Reactions(anchor=anchor)
    learn(model, *ring(NUM_BEFORE, seed=1))
    batch, target_B = ring(NUM_UNNOTICED, seed=2)
    learn(model, batch, 1 - target_B)
    model.react()
    batch, target_B = ring(NUM_WRONG, seed=3)
    learn(model, batch, 1 - target_B)
    return model, learn(model, *ring(NUM_AFTER, seed=4))


def test_after_a_burst_of_wrong_labels_it_answers_as_before() -> None:
    (_, with_anchor), (_, without) = burst(anchor=True), burst(anchor=False)
    assert with_anchor < without * 2 / 3


def test_a_true_change_is_followed_none_the_less() -> None:
    batch, target_B = rows(400, seed=5)
    errors = {}
    for anchor in (True, False):
        model = text_mixture(with_encoder=False)
        model._reactions = Reactions(anchor=anchor)
        learn(model, *rows(NUM_BEFORE, seed=1))
        model.react()
        errors[anchor] = learn(model, batch, (target_B + 1) % 4)
    assert errors[True] <= errors[False] + 3


def test_before_an_alarm_and_where_it_is_off_nothing_is_kept() -> None:
    assert text_mixture().weights()["anchor"] == {"holds": False, "rows": 0}
    rows_in_all = NUM_BEFORE + NUM_UNNOTICED + NUM_WRONG + NUM_AFTER
    assert burst(anchor=False)[0].weights()["anchor"] == {"holds": False, "rows": rows_in_all}


def test_it_goes_after_its_rows_and_rows_without_weight_do_not_count() -> None:
    model = text_mixture(with_encoder=False)
    learn(model, *rows(64, seed=1))
    model.react()
    learn(model, *rows(HOLD_ROWS - 1, seed=2), cut=200)
    learn(model, *rows(10, seed=3), weight=0.0)
    assert model.weights()["anchor"]["holds"]
    learn(model, *rows(1, seed=3))
    assert not model.weights()["anchor"]["holds"]


def test_an_alarm_while_it_holds_keeps_it_for_longer_and_changes_nothing_else() -> None:
    model = text_mixture(with_encoder=False)
    learn(model, *rows(320, seed=1))
    model.react()
    learn(model, *rows(128, seed=2))
    before = model.state_dict()["anchor"]
    model.react()
    model.turn(1.0)
    after = model.state_dict()["anchor"]
    assert (before.pop("rows_left"), after.pop("rows_left")) == (HOLD_ROWS - 128, HOLD_ROWS)
    assert_same_state(before, after)


def test_it_mixes_as_the_pool_did_hundreds_of_rows_before_the_alarm() -> None:
    model = text_mixture(with_encoder=False)
    learn(model, *rows(256, seed=1))
    earlier = model._mixer.state_dict()
    learn(model, *rows(384, seed=2))  # remembered last before rows 256, 384 and 512
    model.react()
    learn(model, *rows(1, seed=3))
    kept = model.weights()["anchor"]["mixer"]
    for part in ("mixers", "information", "share"):
        assert_same_state({part: kept[part]}, {part: earlier[part]})


def test_a_label_that_came_since_gets_what_it_gave_to_a_new_one() -> None:
    model = text_mixture(with_encoder=False)
    batch, _ = rows(64, seed=1)
    learn(model, batch, np.arange(64.0) % 2)
    model.react()
    learn(model, batch, np.arange(64.0) % 4)
    assert model._anchor is not None
    model.begin(batch)
    said_K = model.say(0)[-1]
    assert said_K.sum() == pytest.approx(1.0, rel=1e-12)
    assert said_K[2] == said_K[3] == said_K[4] < said_K[:2].min()


@pytest.mark.parametrize("with_encoder", [False, True])
def test_it_goes_on_where_it_was_saved(with_encoder: bool) -> None:
    first, second = text_mixture(with_encoder=with_encoder), text_mixture(with_encoder=with_encoder)
    learn(first, *rows(320, seed=1))
    first.react()
    learn(first, *rows(50, seed=2))
    second.load_state_dict(first.state_dict())
    assert_same_state(first.state_dict(), second.state_dict())
    assert learn(first, *rows(80, seed=3), cut=7) == learn(second, *rows(80, seed=3), cut=7)
    assert_same_state(first.state_dict(), second.state_dict())


def test_a_snapshot_answers_with_it() -> None:
    model, server = burst(anchor=True)[0], make_mixture()
    server.load_weights(model.weights())
    batch, _ = ring(20, seed=9)
    assert server.predict(batch).tobytes() == model.predict(batch).tobytes()
    without = burst(anchor=False)[0].predict(batch)
    assert np.abs(without - model.predict(batch)).max() > 0.01


def test_it_may_come_and_go_while_labels_are_on_their_way() -> None:
    pool = text_mixture(with_encoder=False)
    model = Late(pool=pool, delay=30, blends=True)
    learn(model, *rows(100, seed=1))
    model.react()
    learn(model, *rows(100, seed=2))
    assert pool.weights()["anchor"]["holds"]
    learn(model, *rows(HOLD_ROWS, seed=3), cut=250)
    assert not pool.weights()["anchor"]["holds"]


def test_what_it_said_of_another_row_teaches_it_nothing() -> None:
    pool = text_mixture(with_encoder=False)
    learn(pool, *rows(64, seed=1))
    pool.react()
    learn(pool, *rows(1, seed=2))
    batch, target_B = rows(4, seed=3)
    pool.begin(batch)
    early = pool.say(0)  # the label of this row comes when three others were learned
    for row in (1, 2, 3):
        pool.take(row, pool.say(row), float(target_B[row]), 1.0)
    now = pool.say(1)
    assert len(now) == len(early) + 1  # it speaks on every fourth row
    weight = pool.weights()["anchor"]["weight"]
    pool.answers(now, balanced=False)
    pool.take(0, early, float(target_B[0]), 1.0, late_by=3)
    assert pool.weights()["anchor"]["weight"] == weight


def test_anchor_and_pool_are_weighed_by_bayes_rule() -> None:
    anchor, mixer = Anchor(make_experts=list), Mixer(num_experts=1)
    anchor.drop(experts=(), mixer=mixer, num_classes=1)
    for _ in range(2):
        anchor.join(np.array([0.2, 0.8]), np.array([[0.6, 0.4]]))
        anchor.learn(0, 2.0, mixer)
    first = 0.99 * (0.01 * 9 / (0.01 * 9 + 0.99)) + 0.005  # it gave thrice as much, of a row that counts twice
    assert anchor.weights()["weight"] == pytest.approx(0.99 * (first * 9 / (first * 9 + 1 - first)) + 0.005, rel=1e-12)
