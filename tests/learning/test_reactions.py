from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from daemon.assembly.training import training
from daemon.learning.batch import Batch
from daemon.learning.late import Late
from daemon.learning.mixer import Mixer
from daemon.learning.models.base import Model
from daemon.learning.reactions import HASTE_ROWS, Haste, Reactions
from tests import learners
from tests.contracts.expert_checks import assert_same_state
from tests.learning.test_tables import make_mixture
from tests.learning.texts import text_mixture, topic_rows


def rows_until_trusted(*, hastened: bool) -> int:
    """Two experts of which one was right for a thousand rows, and then the other: rows until that one weighs more."""
    mixer = Mixer(num_experts=2, rates=(), share_rate=0.5)
    for _ in range(1_000):
        mixer.mix(np.array([[0.9, 0.1], [0.4, 0.6]]))
        mixer.learn(0, 1.0)
    if hastened:
        mixer.hasten()
    for row in range(100):
        mixer.mix(np.array([[0.9, 0.1], [0.4, 0.6]]))
        mixer.learn(1, 1.0)
        if mixer.expert_weights[1] > mixer.expert_weights[0]:
            return row + 1
    raise AssertionError("the better expert is never trusted")


def test_a_hastened_mixer_finds_the_better_expert_sooner() -> None:
    slow, fast = rows_until_trusted(hastened=False), rows_until_trusted(hastened=True)
    assert fast < slow


def test_haste_goes_on_where_it_was_saved() -> None:
    first, second = Haste(), Haste()
    first.begin()
    for _ in range(HASTE_ROWS - 1):
        first.next_factor()
    second.load_state_dict(first.state_dict())
    assert [second.next_factor(), second.next_factor()] == [first.next_factor(), first.next_factor()] == [10.0, 1.0]


def test_a_reaction_that_is_switched_off_changes_no_bit() -> None:
    model = text_mixture(with_encoder=False)
    model._reactions = Reactions(faster_mixer=False)
    model.react()
    model.turn(1.0)
    assert model.state_dict()["mixer"]["share"]["haste"] == {"rows_left": 0}
    model._reactions = Reactions()
    model.react()
    model.turn(1.0)
    assert model.state_dict()["mixer"]["share"]["haste"] == {"rows_left": HASTE_ROWS}


def learned(model: Model, *, cut: int, alarm_at: int = 130, not_learned: slice = slice(0)) -> Model:
    """400 rows in micro-batches of `cut`, with an alarm at a row."""
    batch, target_B = topic_rows(400, seed=1)
    weight_B = np.ones(400)
    weight_B[not_learned] = 0.0
    rows = Batch(batch.texts, [{"x": float(len(text))} for text in batch.texts])
    for start in range(0, 400, cut):
        micro_batch = range(start, min(start + cut, 400))
        for piece in model.pieces(weight_B[micro_batch]):
            part = micro_batch[piece]
            model.learn(Batch([rows.texts[i] for i in part], [rows.features[i] for i in part]), target_B[part], weight_B[part])
            if alarm_at in part:
                model.react()
    return model


@pytest.mark.parametrize(
    "make",
    [
        make_mixture,
        lambda: text_mixture(with_encoder=False),
        lambda: Late(pool=text_mixture(with_encoder=False), delay=30, blends=True),
    ],
    ids=["tables", "texts", "late labels"],
)
def test_where_micro_batches_end_does_not_change_when_a_reaction_applies(make: Callable[[], Model]) -> None:
    whole = learned(make(), cut=400).state_dict()
    assert whole.get("pool", whole)["anchor"]["holds"]
    for cut in (7, 64, 100):
        assert_same_state(learned(make(), cut=cut).state_dict(), whole)


@pytest.mark.parametrize(
    ("make", "delay"),
    [
        (make_mixture, 0),
        (lambda: text_mixture(with_encoder=False), 0),
        (lambda: Late(pool=text_mixture(with_encoder=False), delay=30, blends=True), 30),
    ],
    ids=["tables", "texts", "late labels"],
)
def test_an_alarm_on_a_row_that_is_not_learned_is_in_time_for_the_next_that_is(make: Callable[[], Model], delay: int) -> None:
    """Rows 128 to 139 are only scored, after 128 that were learned: a reaction to one of them has its place before row 140."""
    states = []
    for cut in (1, 7, 64, 400):
        model = learned(make(), cut=cut, alarm_at=130 + delay, not_learned=slice(128, 140))
        states.append(model.state_dict())
        assert_same_state(states[-1], states[0])
    anchor = states[0].get("pool", states[0])["anchor"]
    assert anchor["holds"]
    in_time = learned(make(), cut=64, alarm_at=127 + delay, not_learned=slice(128, 140)).state_dict()
    assert_same_state(in_time, states[0])


def test_a_stream_with_a_drift_is_learned_alike_however_it_is_cut(tmp_path: Path, torch_switches: None) -> None:
    file, hashes = learners.stream("table", tmp_path, num_rows=1_200), set()
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    flipped = [line.replace('"up"', '"?"').replace('"down"', '"up"').replace('"?"', '"down"') for line in lines[600:]]
    file.write_text("".join(lines[:600] + flipped), encoding="utf-8")
    for batch_rows in (7, 64):
        settings = learners.settings("table", tmp_path, file, f"training.batch_rows={batch_rows}", data=f"data {batch_rows}")
        with training(settings, until_end=True) as assembled:
            hashes.add(assembled.trainer.run())
        assert assembled.pipeline.evaluation.report()["drift_alarms"]
    assert len(hashes) == 1
