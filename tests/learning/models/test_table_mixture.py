"""Experts that take rows apart, against the same experts that take each row together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from daemon.learning.batch import Batch
from daemon.learning.features.table import Page, TableFeatures
from daemon.learning.models.base import Floats
from daemon.learning.models.mixture import Mixture
from daemon.learning.models.table_mixture import TableMixture
from daemon.learning.tables import table_experts, table_mixer
from tests.contracts.expert_checks import assert_same_state
from tests.learning.test_tables import as_batch, make_mixture, odd_rows


@pytest.mark.parametrize("cut", [2, 7, 64, 400])
def test_no_bit_is_another(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns and labels that come late, holes, rows of weight 0, whose label may be unknown, and alarms, of which the first
    leaves an anchor."""
    rows, targets = odd_rows(400)
    random = np.random.default_rng(5)
    target_B, weight_B = np.array(targets, dtype=np.float64), random.choice([0.0, 0.5, 1.0, 3.0], 400, p=[0.1, 0.1, 0.7, 0.1])
    target_B[250:] += random.integers(0, 2, 150)  # a label more
    weight_B[[0, 1, 2]] = 1.0
    target_B[weight_B == 0.0] = np.nan
    taken = []
    say = Mixture.say
    monkeypatch.setattr(Mixture, "say", lambda model, row: (taken.append(model), say(model, row))[1])
    apart, together = make_mixture(apart=True), make_mixture(apart=False)
    for start in range(0, 400, cut):
        part = slice(start, start + cut)
        shown = []
        for model in (apart, together):
            output_BC = model.learn(as_batch(rows[part]), target_B[part], weight_B[part])
            assert model.best_expert is not None
            assert model.inputs_BD is not None
            shown.append([output_BC.tobytes(), model.best_expert.tobytes(), model.inputs_BD.tobytes()])
            if start in {cut * (130 // cut), cut * (300 // cut)}:
                model.react()
        assert shown[0] == shown[1]
    assert together._anchor is not None
    assert together._anchor.holds or cut == 400
    assert_same_state(apart.state_dict(), together.state_dict())
    assert taken.count(together) == 400
    assert taken.count(apart) < 10


def test_a_reaction_waits_for_its_place_though_experts_would_take_rows_beyond_it() -> None:
    rows, targets = odd_rows(200)
    whole, one_by_one = make_mixture(), make_mixture()
    for model, size in ((whole, 100), (one_by_one, 1)):
        for start in range(0, 200, size):
            part = slice(start, start + size)
            if start == 100:
                model.react()  # which applies from row 128 on
            model.learn(as_batch(rows[part]), np.array(targets[part], dtype=np.float64), np.ones(size))
        assert model._anchor is not None
        assert model._anchor.holds
    assert_same_state(whole.state_dict(), one_by_one.state_dict())


def test_the_row_behind_the_second_label_is_answered_by_what_all_say_before_they_learn_it() -> None:
    point_BD = np.random.default_rng(3).normal(size=(64, 2)) * 5.0
    point_BD[20], point_BD[21:] = (20.0, 20.0), (1.0, -1.0)  # like the first label, and nearer to what the second will be
    rows = as_batch([{"x": float(x), "y": float(y)} for x, y in point_BD])
    target_B = (np.arange(64) >= 20).astype(np.float64)
    apart, together = (make_mixture(apart=is_apart).learn(rows, target_B, np.ones(64)) for is_apart in (True, False))
    assert apart.tobytes() == together.tobytes()


def test_members_of_a_bank_take_rows_together_wherever_they_stand() -> None:
    rows, targets = odd_rows(100)
    outputs = []
    for is_apart in (True, False):
        table = TableFeatures()
        experts = table_experts(table, seed=0)
        experts.append(experts.pop([expert.name for expert in experts].index("neighbors_16")))
        make = TableMixture if is_apart else Mixture
        model = make(extractors={"table": table}, experts=experts, mixer=table_mixer(experts, late=False))
        outputs.append(model.learn(as_batch(rows), np.array(targets, dtype=np.float64), np.ones(100)).tobytes())
    assert outputs[0] == outputs[1]


def test_no_more_rows_wait_than_64_however_long_the_micro_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, say_apart = [], TableMixture._say_apart

    def noting(model: TableMixture, pages: Sequence[Page], *of: Floats) -> Floats:
        waiting.append(len(pages))
        return say_apart(model, pages, *of)

    monkeypatch.setattr(TableMixture, "_say_apart", noting)
    rows, targets = odd_rows(300)
    weight_B = (np.arange(300) < 100).astype(np.float64)  # rows of weight 0 are nowhere cut
    make_mixture().learn(as_batch(rows), np.array(targets, dtype=np.float64), weight_B)
    assert max(waiting) == 64
    assert sum(waiting) > 280


@pytest.mark.parametrize("apart", [True, False])
def test_the_state_of_a_narrower_table_is_taken_as_it_is(apart: bool) -> None:
    def rows(num_columns: int) -> Batch:
        return as_batch([{f"x{n}": float(x) for n, x in enumerate(of)} for of in random.normal(size=(40, num_columns))])

    random = np.random.default_rng(9)
    narrow, wide, target_B = rows(3), rows(6), random.integers(0, 2, 40).astype(np.float64)
    target_B[:2] = 0.0, 1.0
    early, used, fresh = (make_mixture(apart=apart) for _ in range(3))
    early.learn(narrow, target_B, np.ones(40))
    used.learn(wide, target_B, np.ones(40))
    for model in (used, fresh):
        model.load_state_dict(early.state_dict())
        assert_same_state(model.state_dict(), early.state_dict())
        model.learn(narrow, target_B, np.ones(40))
    assert_same_state(used.state_dict(), fresh.state_dict())
