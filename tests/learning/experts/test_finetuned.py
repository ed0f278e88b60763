"""The contract of experts over a fine-tuned transformer, and what it must do in the mixture."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.experts.finetuned import FinetunedExpert
from daemon.learning.features.tokens import TextTokens
from daemon.learning.late import Late
from daemon.learning.models.base import Model
from daemon.learning.models.finetuned import Finetuned
from daemon.learning.models.mixture import Mixture
from daemon.learning.models.slow_part import SlowPart
from daemon.learning.optimizers import AdamW
from daemon.learning.pretrained import Tokens
from daemon.learning.reactions import Reactions
from daemon.learning.replay.balanced import Balanced
from daemon.learning.schedules import Schedule
from daemon.state import State
from daemon.storage.tensors import all_finite, host_copy
from tests.contracts.expert_checks import CHECKS, Case, Pool, assert_same_state, states_differ
from tests.contracts.weight_checks import check_weight_two_doubles_the_step
from tests.learning.orders import order_mixture, order_rows
from tests.learning.texts import topic_rows
from tests.learning.tiny import tiny_bert

Floats = NDArray[np.float64]
TOPICS, TOPIC_TARGETS = topic_rows(60, seed=5)
ORDERS, ORDER_TARGETS = order_rows(1_000, seed=1)
DEVICES = [
    pytest.param("cpu", id="cpu"),
    pytest.param(
        "cuda",
        id="cuda",
        marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")],
    ),
]
pytestmark = pytest.mark.usefixtures("deterministic")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights that learn an order within a few hundred rows; with some others it takes a thousand."""
    return tiny_bert(tmp_path_factory.mktemp("encoder"), [*ORDERS.texts, *TOPICS.texts], seed=2)


@pytest.fixture(params=DEVICES)
def make(request: pytest.FixtureRequest, encoder: Path) -> Callable[..., Model]:
    """Mixtures on the device of the test."""
    return partial(order_mixture, encoder, device=request.param)


def pool(encoder: Path, *, rate: float = 1e-3, rows_per_step: int = 8) -> Pool:
    """That expert alone, with small steps and replay."""
    tokens = TextTokens(tokenizer=Tokens(encoder, max_tokens=16))
    slow = SlowPart(
        network=Finetuned(encoder=str(encoder), device=torch.device("cpu"), max_tokens=16, seed=0),
        classifies=True,
        optimizer=AdamW(),
        schedule=Schedule(learning_rate=rate, num_warmup_steps=4),
        replay=Balanced(capacity=2 * rows_per_step, recent_share=0.25, seed=0),
        rows_per_step=rows_per_step,
        replayed_per_step=rows_per_step,
        seed=0,
        reactions=Reactions(rewarm=True, recent_replay=True),
    )
    return [tokens], [FinetunedExpert(tokens=tokens, slow=slow)]


def learn(
    model: Model,
    start: int,
    stop: int,
    *,
    cut: int = 64,
    weight: Floats = np.ones(1_000),  # noqa: B008 - it is only read
    target: Floats = ORDER_TARGETS,
) -> NDArray[np.int64]:
    """Learn rows of `ORDERS` as the loop does, in micro-batches that the model cuts; the answered class of each, or -1."""
    answers: list[int] = []
    for first in range(start, stop, cut):
        end = min(first + cut, stop)
        for piece in model.pieces(weight[first:end]):
            rows = slice(first + piece.start, first + piece.stop)
            output_BC = model.learn(Batch(ORDERS.texts[rows], ORDERS.features[rows]), target[rows], weight[rows])
            answers += [int(p_C.argmax()) if p_C.sum() else -1 for p_C in np.pad(output_BC, ((0, 0), (0, 1)))]
    return np.array(answers)


def batch(start: int, stop: int) -> Batch:
    return Batch(ORDERS.texts[start:stop], ORDERS.features[start:stop])


def errors(answers: NDArray[np.int64], start: int) -> int:
    return int((answers != ORDER_TARGETS[start : start + len(answers)]).sum())


def expert(model: Model) -> State:
    state: State = model.state_dict()["experts"]["finetuned"]
    return state


def case(encoder: Path) -> Case:
    return Case("finetuned", lambda: pool(encoder), TOPICS, TOPIC_TARGETS)


@pytest.mark.parametrize("check", [*CHECKS, check_weight_two_doubles_the_step], ids=lambda check: check.__name__)
def test_contract(encoder: Path, check: Callable[[Case], None]) -> None:
    check(case(encoder))


def test_what_only_the_order_of_words_tells_is_learned_and_the_expert_earns_its_weight(make: Callable[..., Model]) -> None:
    frozen, full = make(training="frozen"), make()
    last = [learn(model, 0, 600)[400:] for model in (frozen, full)]
    assert errors(last[0], 400) >= 40
    assert errors(last[1], 400) <= 2
    weights = {name: weight for name, weight in full.stats().items() if name.startswith("expert_weight_")}
    assert max(weights, key=lambda name: weights[name]) == "expert_weight_finetuned"
    assert weights["expert_weight_finetuned"] > 0.9


def test_cuts_of_the_stream_change_nothing_but_rounding(make: Callable[..., Model]) -> None:
    learned, answers = [], []
    for cut in (1, 7, 64):
        model = make()
        answers.append(learn(model, 0, 240, cut=cut))
        learned.append(expert(model))
        assert model.stats()["slow_steps"] == 30
    for other, answer in zip(learned[1:], answers[1:], strict=True):
        assert (answer == answers[0]).all()
        for name, weight in learned[0]["weights"].items():
            np.testing.assert_allclose(other["weights"][name], weight, atol=1e-3, err_msg=name)


def test_a_micro_batch_that_is_not_cut_is_learned_all_the_same(make: Callable[..., Model]) -> None:
    cut, whole = make(), make()
    answers = learn(cut, 0, 128, cut=128)
    output_BC = whole.learn(batch(0, 128), ORDER_TARGETS[:128], np.ones(128))
    assert (output_BC[2:].argmax(axis=1) == answers[2:]).all()
    assert whole.stats()["slow_steps"] == 16
    np.testing.assert_allclose(
        expert(whole)["weights"]["classifier.weight"], expert(cut)["weights"]["classifier.weight"], atol=1e-4
    )


def test_each_piece_is_one_forward_pass(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, passed = order_mixture(encoder), []
    logits = Finetuned.logits
    monkeypatch.setattr(Finetuned, "logits", lambda self, rows: passed.append(len(rows["length"])) or logits(self, rows))
    learn(model, 0, 20)
    assert passed == [8, 8, 8, 16, 4]  # eight rows and their step; eight more and theirs, with as many replayed; the rest


@pytest.mark.parametrize("saved_at", [60, 64])
def test_saved_and_loaded_it_goes_on_bit_for_bit(make: Callable[..., Model], saved_at: int) -> None:
    # After 60 rows four wait for their step; after 64 none does.
    whole, resumed = make(), make()
    learn(whole, 0, saved_at)
    whole.react()
    whole.set_rate(1e-3)
    saved = host_copy(whole.state_dict())
    assert saved["experts"]["finetuned"]["generators"] == {"seed": 0, "steps": saved_at // 8, "reaction_due": False}
    assert saved["reaction"] == {"learned": saved_at, "due": True}
    assert len(saved["experts"]["finetuned"]["pending"].get("target", ())) == saved_at % 8
    resumed.load_state_dict(saved)
    assert (learn(whole, saved_at, 200, cut=9) == learn(resumed, saved_at, 200, cut=9)).all()
    assert_same_state(host_copy(whole.state_dict()), host_copy(resumed.state_dict()))


def test_the_served_weights_answer_as_the_learner_does(make: Callable[..., Model]) -> None:
    """What the gate's shadow and the server hold."""
    learner, shadow = make(), make()
    learn(learner, 0, 100)
    shadow.load_weights(host_copy(learner.weights()))
    assert shadow.predict(batch(200, 270)).tobytes() == learner.predict(batch(200, 270)).tobytes()
    learner.react()  # the pool as it was answers beside it from here on
    learn(learner, 100, 150, target=1.0 - ORDER_TARGETS)
    assert learner.weights()["anchor"]["holds"]
    shadow.load_weights(host_copy(learner.weights()))
    assert shadow.predict(batch(200, 270)).tobytes() == learner.predict(batch(200, 270)).tobytes()


def test_predictions_in_between_change_nothing(make: Callable[..., Model]) -> None:
    alone, asked = make(), make()
    for start in range(0, 60, 12):
        learn(alone, start, start + 12)
        learn(asked, start, start + 12)
        asked.predict(batch(100, 140))
    assert_same_state(host_copy(alone.state_dict()), host_copy(asked.state_dict()))


def test_rows_of_weight_zero_leave_no_trace_but_the_row_count(make: Callable[..., Model]) -> None:
    told, spared = make(), make()
    weight = np.where(np.arange(1_000) % 4 == 3, 0.0, 1.0)
    learn(told, 0, 80, cut=1, weight=weight)
    for row in np.flatnonzero(weight[:80]):
        learn(spared, row, row + 1)
    first, second = host_copy(told.state_dict()), host_copy(spared.state_dict())
    assert (first.pop("rows"), second.pop("rows")) == (80, 60)
    assert_same_state(first, second)
    assert first["experts"]["finetuned"]["generators"]["steps"] == 7


def test_a_new_label_is_known_from_the_next_row_on(make: Callable[..., Model]) -> None:
    """Though the row after it was predicted in the same forward pass as those before."""
    model = make()
    learn(model, 0, 32)
    target = np.where(np.arange(1_000) % 8 == 4, 2.0, ORDER_TARGETS)
    output_BC = model.learn(batch(32, 40), target[32:40], np.ones(8))
    assert (output_BC[:5, 2] == 0.0).all()
    assert (output_BC[5:, 2] > 0.0).all()
    assert len(expert(model)["weights"]["classifier.bias"]) == 4
    assert len(expert(model)["optimizer"]["moments"]["classifier.bias"]["exp_avg"]) == 4


def test_a_new_rate_and_the_reactions_reach_it(make: Callable[..., Model]) -> None:
    model = make()
    learn(model, 0, 60)
    assert model.stats()["learning_rate"] == 0.003
    model.set_rate(1e-3)
    assert model.stats()["learning_rate"] == 1e-3
    model.react()
    learn(model, 60, 64)
    assert model.stats()["learning_rate"] == 1e-3, "it applies from a multiple of 64 rows on"
    before = expert(model)["replay"]
    learn(model, 64, 65)
    assert model.stats()["learning_rate"] == 0.25e-3, "a quarter of the way up again"
    assert states_differ({"replay": before}, {"replay": expert(model)["replay"]})
    switched_off = make("reactions.rewarm=false", "reactions.recent_replay=false")
    learn(switched_off, 0, 64)
    before = expert(switched_off)
    switched_off.react()
    switched_off.turn(1.0)
    assert_same_state(before, expert(switched_off))


def test_what_telemetry_shows(make: Callable[..., Model]) -> None:
    model = make()
    learn(model, 0, 64)
    stats, state_bytes = model.stats(), model.state_bytes()
    assert (stats["slow_steps"], stats["replay_rows"], stats["nonfinite_steps"]) == (8, 64, 0)
    assert stats["slow_loss"] > 0.0
    assert stats["grad_norm"] > 0.0
    assert stats["loss"] != stats["slow_loss"]
    num_weights = sum(weight.nbytes for name, weight in expert(model)["weights"].items() if "position_ids" not in name)
    assert state_bytes["finetuned_weights"] == num_weights
    assert state_bytes["finetuned_optimizer"] > 2 * num_weights
    assert state_bytes["finetuned_replay"] > 64 * 16 * 4
    assert state_bytes["finetuned_pending"] == 0


# On a GPU other bits are drawn, with which the network learns the order again at once: without the anchor too.
@pytest.mark.parametrize("make", DEVICES[:1], indirect=True)
def test_what_it_was_before_a_burst_of_wrong_labels_answers_right_behind_it(make: Callable[..., Model]) -> None:
    """The pool's mixer and the network are kept as they were: what was learned of the order is not lost."""
    errors_after = []
    for anchor in ("true", "false"):
        model = make(f"reactions.anchor={anchor}")
        learn(model, 0, 800)
        model.react()
        learn(model, 800, 900, target=1.0 - ORDER_TARGETS)
        errors_after.append(errors(learn(model, 900, 1_000), 900))
    assert errors_after[0] <= 8
    assert errors_after[1] >= 20


def test_logits_that_overflow_do_not_reach_the_mixer(make: Callable[..., Model]) -> None:
    model = make()
    learn(model, 0, 64)
    saved = host_copy(model.state_dict())
    saved["experts"]["finetuned"]["weights"]["classifier.bias"][:] = np.nan
    model.load_state_dict(saved)
    answers = learn(model, 64, 128)
    assert (answers >= 0).all()
    assert all_finite(model.state_dict()["mixer"])
    assert model.stats()["nonfinite_steps"] == 8


def test_labels_may_come_late(make: Callable[..., Model]) -> None:
    prompt, late = make(), make(label_delay=30)
    assert isinstance(late, Late)
    learn(prompt, 0, 94)
    learn(late, 0, 94)
    late.finish()
    assert late.stats()["slow_steps"] == prompt.stats()["slow_steps"] == 11
    np.testing.assert_allclose(
        late.state_dict()["pool"]["experts"]["finetuned"]["weights"]["classifier.weight"],
        expert(prompt)["weights"]["classifier.weight"],
        atol=1e-4,
    )


def test_without_it_the_mixture_is_what_it_was(make: Callable[..., Model]) -> None:
    frozen, full = make(training="frozen"), make()
    assert isinstance(frozen, Mixture)
    assert isinstance(full, Mixture)
    assert (*frozen.expert_names, "finetuned") == full.expert_names
    assert set(frozen.state_dict()["extractors"]) == {"text"}
    assert frozen.pieces(np.ones(64)) == [slice(0, 64)]
    assert full.pieces(np.ones(20)) == [slice(0, 8), slice(8, 16), slice(16, 20)]
