"""Late labels: what is predicted when, what each part sees, cuts, reload."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from daemon.assembly import models
from daemon.errors import StateError
from daemon.learning.batch import Batch
from daemon.learning.experts.residual import Guess
from daemon.learning.experts.word_bayes import WordBayes
from daemon.learning.features.target_history import TargetHistory
from daemon.learning.late import Late
from daemon.learning.models.base import Model
from daemon.learning.models.mixture import Mixture
from daemon.learning.models.regression import RegressionMixture
from daemon.learning.regression_mixer import RegressionMixer
from daemon.settings import Settings
from daemon.storage.tensors import host_copy, read_state, write_state
from tests.contracts.expert_checks import assert_same_state
from tests.learning.texts import text_mixture, topic_rows

Floats = NDArray[np.float64]
BATCH, TARGETS = topic_rows(120, seed=3)


def late(delay: int, *, with_encoder: bool = True) -> tuple[Late, Mixture]:
    pool = text_mixture(with_encoder=with_encoder)
    return Late(pool=pool, delay=delay, blends=True), pool


def learn(model: Late | Mixture, rows: range, *, cut: int, weight: float = 1.0) -> Floats:
    output = np.zeros((len(rows), 4))
    for start in range(rows.start, rows.stop, cut):
        stop = min(start + cut, rows.stop)
        batch = Batch(BATCH.texts[start:stop], BATCH.features[start:stop])
        output_BC = model.learn(batch, TARGETS[start:stop], np.full(stop - start, weight))
        output[start - rows.start : stop - rows.start, : output_BC.shape[1]] = output_BC
    return output


def test_only_labels_that_had_arrived_are_answered() -> None:
    model, _ = late(3)
    # The labels come in the order 0 0 1 0 2 1 3: the first is learned after row 3 was predicted, the third after row 5.
    output = learn(model, range(10), cut=10)
    known = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert (output > 0.0).sum(axis=1).tolist() == known
    np.testing.assert_allclose(output[4:].sum(axis=1), 1.0, rtol=1e-12)
    assert model.best_expert is not None
    assert (model.best_expert > 0.0).sum(axis=1).tolist() == known
    assert model.num_classes == 4


def test_a_balanced_answer_is_blended_in_only_where_it_is_wanted() -> None:
    """Texts that say nothing, under labels of which half are the first: the pool follows it, the balanced answer does not."""
    nothing, target_B = Batch([""] * 80, [{}] * 80), np.array([0.0, 1.0, 0.0, 2.0] * 20)
    answers, weights = [], []
    for blends in (True, False):
        model = Late(pool=text_mixture(with_encoder=False, late=True), delay=5, blends=blends)
        answers.append(model.learn(nothing, target_B, np.ones(80))[-1])
        weights.append(model.state_dict()["prior"]["weight"])
    assert answers[1][0] > answers[0][0] + 0.02
    assert weights[1] == 0.5


def test_finished_it_has_learned_what_the_pool_learns_save_the_mixing() -> None:
    model, pool = late(50, with_encoder=False)
    learn(model, range(120), cut=16)
    assert pool.num_rows == 70
    model.finish()
    model.finish()  # nothing is left
    assert pool.num_rows == 120
    prompt = text_mixture(with_encoder=False)
    learn(prompt, range(120), cut=16)
    assert_same_state(pool.state_dict()["experts"], prompt.state_dict()["experts"])


def test_the_mixer_learns_from_what_was_said_in_time() -> None:
    model, pool = late(30)
    target_B = np.repeat([0.0, 1.0], [40, 60])
    model.learn(Batch(BATCH.texts[:100], BATCH.features[:100]), target_B, np.ones(100))
    model.finish()
    # Rows 40 to 70 were predicted before the label of row 40 had arrived, so that no expert had a chance to be right.
    assert pool.errors_E.min() >= 31


def test_of_rows_that_nothing_was_known_of_the_mixer_of_numbers_learns_what_would_be_said_now() -> None:
    rng = np.random.default_rng(1)
    rows, target_B = [{"x": float(x)} for x in rng.normal(size=101)], rng.normal(size=101).cumsum()
    states = []
    for delay, num_rows in ((50, 101), (0, 51)):  # row 50 is learned, the last that was predicted before any label had arrived
        model = table_regression(label_delay=delay)
        model.learn(Batch([""] * num_rows, rows[:num_rows]), target_B[:num_rows], np.ones(num_rows))
        states.append(model.state_dict())
    late_mixer, prompt_mixer = states[0]["pool"]["mixer"], states[1]["mixer"]
    np.testing.assert_array_equal(late_mixer["mixers"], prompt_mixer["mixers"])
    np.testing.assert_array_equal(late_mixer["share"], prompt_mixer["share"])
    assert np.ptp(prompt_mixer["share"]) > 0.0


def test_of_those_rows_a_mixer_that_blends_learns_nothing() -> None:
    model, pool = late(50, with_encoder=False)
    fresh = pool.state_dict()["mixer"]["mixers"]
    learn(model, range(101), cut=101)
    np.testing.assert_array_equal(pool.state_dict()["mixer"]["mixers"], fresh)
    learn(model, range(101, 103), cut=2)
    assert (pool.state_dict()["mixer"]["mixers"] != fresh).any()


def test_a_balanced_answer_that_is_not_blended_in_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(expert: WordBayes) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(WordBayes, "predict_balanced", refuse)
    model = Late(pool=text_mixture(with_encoder=False, late=True), delay=5, blends=False)
    model.learn(BATCH, TARGETS, np.ones(120))


@pytest.mark.parametrize("delay", [5, 50])
def test_a_late_random_walk_is_followed_as_well_as_by_its_last_value(delay: int) -> None:
    model, rng = table_regression(label_delay=delay), np.random.default_rng(1)
    target_B = rng.normal(size=1000).cumsum()
    rows = [{"x": float(x)} for x in rng.normal(size=1000)]
    output_B = model.learn(Batch([""] * 1000, rows), target_B, np.ones(1000))
    last_B = np.concatenate([np.zeros(delay + 1), target_B])[:1000]  # row `delay` is predicted before any target was learned
    error, of_last = (float(abs(answer_B - target_B)[delay:].sum()) for answer_B in (output_B, last_B))
    assert error <= 1.02 * of_last


def table_regression(*, label_delay: int) -> Model:
    return table(task="regression", label_delay=label_delay)


def table(*, task: str = "classification", label_delay: int) -> Model:
    sections = {"task": {"kind": task}, "model": {"inputs": "features"}, "source": {"kind": "files", "paths": []}}
    settings = Settings.model_validate(sections)
    return models.model(settings, encoder=models.NO_ENCODER, device=torch.device("cpu"), label_delay=label_delay)


def test_an_alarm_does_not_hasten_the_mixer_of_late_labels() -> None:
    model = table_regression(label_delay=5)
    rows = [{"x": float(row)} for row in range(70)]
    model.learn(Batch([""] * 70, rows), np.arange(70.0), np.ones(70))
    model.react()
    model.learn(Batch([""] * 70, rows), np.arange(70.0), np.ones(70))
    assert model.state_dict()["pool"]["mixer"]["haste"] == {"rows_left": 0}


def test_a_row_knows_nothing_of_the_labels_on_their_way() -> None:
    targets = TARGETS.copy()
    one, _ = late(20)
    first = learn(one, range(120), cut=120)
    other, _ = late(20)
    targets[90:] = 0.0  # learned after row 110
    second = np.zeros((120, 4))
    output_BC = other.learn(BATCH, targets, np.ones(120))
    second[:, : output_BC.shape[1]] = output_BC
    assert first[:111].tobytes() == second[:111].tobytes()
    assert first[111:].tobytes() != second[111:].tobytes()


@pytest.mark.parametrize("cut", [1, 7, 64])
def test_the_cut_of_the_stream_changes_nothing_but_rounding(cut: int) -> None:
    whole, pieces = late(20)[0], late(20)[0]
    np.testing.assert_allclose(learn(whole, range(120), cut=120), learn(pieces, range(120), cut=cut), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rows", [10, 60])
def test_reloaded_it_goes_on_bit_for_bit(rows: int) -> None:
    whole, resumed = late(20)[0], late(20)[0]
    learn(whole, range(rows), cut=rows)
    resumed.load_state_dict(whole.state_dict())
    assert learn(whole, range(rows, 120), cut=16).tobytes() == learn(resumed, range(rows, 120), cut=16).tobytes()
    assert_same_state(whole.state_dict(), resumed.state_dict())


def test_columns_of_rows_that_wait_keep_their_order_in_a_checkpoint(tmp_path: Path) -> None:
    """Not that of the alphabet, by which a stored object is sorted: columns count in the order in which they come."""
    rng = np.random.default_rng(6)
    rows = [{"z": float(z), "b": "red" if z > 0.0 else "blue", "a": float(a)} for z, a in rng.normal(size=(60, 2))]
    batch, target_B = Batch([""] * 60, rows), rng.integers(2, size=60).astype(np.float64)
    whole, first, second = (table(label_delay=7) for _ in range(3))
    outputs = []
    for start, stop in ((0, 5), (5, 60)):
        part, weight_B = Batch(batch.texts[start:stop], rows[start:stop]), np.ones(stop - start)
        outputs.append(whole.learn(part, target_B[start:stop], weight_B))
        if start == 0:
            first.learn(part, target_B[start:stop], weight_B)
            write_state(tmp_path, "late", host_copy(first.state_dict()))
            second.load_state_dict(read_state(tmp_path, "late"))
        else:
            assert second.learn(part, target_B[start:stop], weight_B).tobytes() == outputs[-1].tobytes()
    assert_same_state(second.state_dict(), whole.state_dict())


def test_rows_of_weight_zero_are_predicted_and_not_learned() -> None:
    model, _ = late(5)
    learn(model, range(60), cut=60)
    model.finish()
    before = model.state_dict()
    predicted = learn(model, range(60, 90), cut=30, weight=0.0)
    model.finish()
    np.testing.assert_allclose(predicted.sum(axis=1), 1.0, rtol=1e-12)
    after = model.state_dict()
    assert (before["pool"].pop("rows"), after["pool"].pop("rows")) == (60, 90)
    assert_same_state(before, after)


def test_it_learns() -> None:
    output = learn(late(20)[0], range(120), cut=16)
    assert (output.argmax(axis=1) != TARGETS)[60:].sum() <= 6


def test_numbers_are_late_too() -> None:
    history = TargetHistory(table=None, enabled=True)
    last = Guess(name="last", reference=history.last)
    pool = RegressionMixture(extractors={"history": history}, experts=[last], mixer=RegressionMixer(num_experts=1))
    model = Late(pool=pool, delay=2, blends=True)
    output = model.learn(Batch([""] * 5, [{}] * 5), np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.ones(5))
    assert output.tolist() == [0.0, 0.0, 0.0, 1.0, 2.0]
    assert model.best_expert is not None
    assert model.best_expert.tolist() == output.tolist()


def test_a_delay_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="a label delay of 0 rows"):
        late(0)


def test_a_state_of_another_delay_is_refused() -> None:
    with pytest.raises(StateError, match="the saved rows wait 3 rows for their labels, these 4"):
        late(4)[0].load_state_dict(late(3)[0].state_dict())


def test_what_waits_is_counted_with_its_texts_and_fields() -> None:
    sizes = []
    for text, fields in (("", {}), ("x" * 5000, {}), ("", {"a column": 1.0, "another": "c" * 3000})):
        model, _ = late(10, with_encoder=False)
        model.learn(Batch([text] * 10, [fields] * 10), np.zeros(10), np.ones(10))
        sizes.append(model.state_bytes()["pending"])
    assert sizes[1] >= sizes[0] + 10 * 5000
    assert sizes[2] >= sizes[0] + 10 * 3000
    model.finish()
    assert model.state_bytes()["pending"] == 0
