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
    first, second = Haste(share=0.001), Haste(share=0.001)
    first.begin()
    for _ in range(HASTE_ROWS - 1):
        first.next_share()
    second.load_state_dict(first.state_dict())
    assert [second.next_share(), second.next_share()] == [first.next_share(), first.next_share()] == [0.01, 0.001]


def test_a_reaction_that_is_switched_off_changes_no_bit() -> None:
    model = text_mixture(with_encoder=False)
    model._reactions = Reactions(faster_mixer=False)
    model.react()
    model.turn()
    assert model.state_dict()["mixer"]["haste"] == {"rows_left": 0}
    model._reactions = Reactions()
    model.react()
    model.turn()
    assert model.state_dict()["mixer"]["haste"] == {"rows_left": HASTE_ROWS}


def learned(model: Model, *, cut: int) -> Model:
    """400 rows in micro-batches of `cut`, with an alarm at row 130."""
    batch, target_B = topic_rows(400, seed=1)
    rows = Batch(batch.texts, [{"x": float(len(text))} for text in batch.texts])
    for start in range(0, 400, cut):
        micro_batch = range(start, min(start + cut, 400))
        for piece in model.pieces(np.ones(len(micro_batch))):
            part = micro_batch[piece]
            model.learn(
                Batch([rows.texts[i] for i in part], [rows.features[i] for i in part]), target_B[part], np.ones(len(part))
            )
            if 130 in part:
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
