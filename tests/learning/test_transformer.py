"""The stream of these tests: short mails of three kinds, the third of which appears after 40 rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from daemon.errors import ModelError, StateError
from daemon.learning.batch import Batch
from daemon.learning.models.transformer import Transformer
from daemon.learning.optimizers import AdamW
from daemon.learning.reactions import Reactions
from daemon.learning.replay.balanced import Balanced
from daemon.learning.replay.base import Replay
from daemon.learning.replay.none import NoReplay
from daemon.learning.schedules import Schedule
from daemon.state import State
from daemon.storage.tensors import all_finite
from tests.learning.host_reads import HostReads
from tests.learning.tiny import tiny_bert
from tests.learning.transformers import transformer

Training = Literal["full", "frozen"]
Make = Callable[..., Transformer]

WORDS = ("lunch today at noon", "cheap pills", "invoice attached please pay")
TARGET = np.array([2 if n >= 40 and n % 5 == 0 else n % 2 for n in range(192)], np.float64)
TEXTS = [f"{WORDS[int(kind)]} {'x ' * (n % 7)}{n}" for n, kind in enumerate(TARGET)]
ONES = np.ones(len(TEXTS))
CPU = torch.device("cpu")
DEVICES = [
    pytest.param("cpu", id="cpu"),
    pytest.param(
        "cuda",
        id="cuda",
        marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")],
    ),
]
pytestmark = pytest.mark.usefixtures("deterministic")
both = pytest.mark.parametrize("training", ["full", "frozen"])


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("encoder"), TEXTS)


@pytest.fixture(params=DEVICES)
def make(request: pytest.FixtureRequest, encoder: Path) -> Make:
    """Transformers on the device of the test, small steps, replay, warm-up and all reactions switched on."""

    def build(
        training: Training = "full", *, replay: Replay | None = None, seed: int = 0, rows_per_step: int = 8
    ) -> Transformer:
        return transformer(
            encoder,
            training,
            device=request.param,
            schedule=Schedule(learning_rate=1e-3, num_warmup_steps=4),
            replay=Balanced(capacity=32, recent_share=0.25, seed=seed) if replay is None else replay,
            rows_per_step=rows_per_step,
            replayed_per_step=8,
            seed=seed,
            reactions=Reactions(rewarm=True, recent_replay=True),
        )

    return build


def batch(start: int, end: int) -> Batch:
    return Batch(TEXTS[start:end], [{}] * (end - start))


def feed(
    model: Transformer,
    start: int,
    end: int,
    *,
    size: int = 20,
    weight: NDArray[np.float64] = ONES,
    target: NDArray[np.float64] = TARGET,
) -> list[NDArray[np.float64]]:
    """Learn rows start to end in micro-batches; returns what each micro-batch answered."""
    cuts = [*range(start, end, size), end]
    return [model.learn(batch(a, b), target[a:b], weight[a:b]) for a, b in pairwise(cuts)]


def stacked(outputs: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """(N, C) of micro-batches that knew fewer classes."""
    width = outputs[-1].shape[1]
    return np.concatenate([np.pad(output, ((0, 0), (0, width - output.shape[1]))) for output in outputs])


def same(first: State, second: State) -> bool:
    """Whether two states are equal to the bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, torch.Tensor | np.ndarray):
        return torch.equal(torch.as_tensor(first), torch.as_tensor(second))
    return bool(first == second)


@both
@pytest.mark.parametrize("cut", [12, 50, 60, 64])
def test_a_resumed_run_goes_on_bit_for_bit(make: Make, training: Training, cut: int) -> None:
    # 12: mid-step, two classes; 50 and 60: mid-step, after the third label; 64: nothing is pending.
    whole, first, second = make(training), make(training), make(training)
    for model in (whole, first):
        feed(model, 0, 30)
        model.react()
        model.set_rate(5e-4)
    restart = max(cut, 30)
    feed(whole, 30, restart, size=10)
    feed(first, 30, restart, size=10)
    saved = first.state_dict()
    second.load_state_dict(saved)
    feed(first, restart, 128, size=9)
    tail = feed(whole, restart, 128, size=9)
    assert same(whole.state_dict(), first.state_dict())
    assert all(np.array_equal(a, b) for a, b in zip(feed(second, restart, 128, size=9), tail, strict=True))
    assert same(second.state_dict(), whole.state_dict())
    assert same(saved["generators"], {"seed": 0, "rows": restart, "steps": restart // 8, "reaction_due": restart < 32})


@both
def test_cuts_of_the_stream_change_nothing_but_rounding(make: Make, training: Training) -> None:
    answers, steps = [], []
    for size in (1, 7, 64):
        model = make(training)
        answers.append(stacked(feed(model, 0, 192, size=size)))
        steps.append(model.stats()["slow_steps"])
    assert steps == [24, 24, 24]
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-4)
    np.testing.assert_allclose(answers[2], answers[0], atol=1e-4)


@both
def test_predictions_in_between_change_nothing(make: Make, training: Training) -> None:
    alone, asked = make(training), make(training)
    for start in range(0, 96, 12):
        feed(alone, start, start + 12)
        before = asked.predict(batch(100, 140))
        assert np.array_equal(asked.predict(batch(100, 140)), before)
        feed(asked, start, start + 12)
    assert same(alone.state_dict(), asked.state_dict())


@both
def test_rows_of_weight_zero_leave_no_trace_but_the_row_count(make: Make, training: Training) -> None:
    # The skipped rows have a label of their own, which nobody has taught: its index is NaN.
    skipped = np.arange(192) % 4 == 1
    weight, target = np.where(skipped, 0.0, 1.0), np.where(skipped, np.nan, TARGET)
    told, spared = make(training, rows_per_step=1), make(training, rows_per_step=1)
    answers = stacked(feed(told, 0, 96, size=1, weight=weight, target=target))
    for row in np.flatnonzero(~skipped[:96]):
        feed(spared, row, row + 1)
    first, second = told.state_dict(), spared.state_dict()
    assert (first["generators"].pop("rows"), second["generators"].pop("rows")) == (96, 72)
    assert same(first, second)
    np.testing.assert_allclose(answers[2:].sum(axis=1), 1.0, atol=1e-6)


def test_rows_of_weight_zero_do_not_count_towards_a_step(make: Make) -> None:
    model = make()
    weight = np.where(np.arange(192) % 2, 1.0, 0.0)
    feed(model, 0, 30, size=30, weight=weight, target=np.zeros(192))
    assert model.stats()["slow_steps"] == 1
    assert len(model.state_dict()["pending"]["target"]) == 7


def test_rows_that_wait_are_in_their_step_though_as_many_rows_of_weight_zero_came_between(make: Make) -> None:
    told, spared = make(rows_per_step=4), make(rows_per_step=4)
    weight = np.array([1.0, 1, 0, 0, 1, 1])
    feed(told, 0, 2, weight=weight)
    feed(told, 2, 6, weight=weight)
    assert told.stats()["slow_steps"] == 1
    assert told.state_dict()["pending"] == {}
    for row in np.flatnonzero(weight):
        feed(spared, row, row + 1)
    assert same(told.state_dict()["replay"], spared.state_dict()["replay"])


def test_a_weight_of_two_counts_as_the_row_twice(make: Make) -> None:
    doubled, repeated = make(replay=NoReplay(), rows_per_step=3), make(replay=NoReplay(), rows_per_step=4)
    doubled.learn(Batch(["lunch", "pills", "pay"], [{}] * 3), np.array([0.0, 1, 0]), np.array([1.0, 2, 1]))
    repeated.learn(Batch(["lunch", "pills", "pills", "pay"], [{}] * 4), np.array([0.0, 1, 1, 0]), np.ones(4))
    assert doubled.stats()["loss"] == pytest.approx(repeated.stats()["loss"], rel=1e-6)
    assert doubled.stats()["grad_norm"] == pytest.approx(repeated.stats()["grad_norm"], rel=1e-4)


@both
@pytest.mark.parametrize(("weight", "times"), [(0.25, 0.25), (2.0, 2.0), (1e9, 10.0)])
def test_rows_that_all_weigh_two_make_a_step_twice_as_long(make: Make, training: Training, weight: float, times: float) -> None:
    """As far as ten times, at all weights of the network, whatever the optimizer makes of the size of a gradient."""

    def steps(row_weight: float) -> dict[str, torch.Tensor]:
        model = make(training, replay=NoReplay(), rows_per_step=4)
        model.learn(batch(0, 3), TARGET[:3], np.full(3, row_weight))  # they wait
        before = {name: tensor.clone() for name, tensor in model.weights().items()}
        model.learn(batch(3, 4), TARGET[3:4], np.array([row_weight]))
        return {name: tensor - before[name] for name, tensor in model.weights().items()}

    once, often = steps(1.0), steps(weight)
    assert max(float(step.abs().max()) for step in once.values()) > 0.0
    for name, step in once.items():
        np.testing.assert_allclose(often[name], times * step, rtol=1e-3, atol=2e-6 * times)


def test_replayed_rows_lengthen_a_step_by_their_weight(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model, rates = make(rows_per_step=8), []
    step = model._slow._optimizer.step
    monkeypatch.setattr(model._slow._optimizer, "step", lambda *args, rate: (rates.append(rate), step(*args, rate=rate))[1])
    model.learn(batch(0, 8), TARGET[:8], np.full(8, 3.0))
    model.learn(batch(8, 16), TARGET[8:16], np.ones(8))  # beside eight replayed rows
    schedule = [model._slow._schedule.rate(number) for number in range(2)]
    assert rates == pytest.approx([3.0 * schedule[0], 2.0 * schedule[1]])


@both
@pytest.mark.parametrize("weight", [1e-46, 1e-300])
def test_rows_of_next_to_no_weight_are_a_step_of_next_to_no_length(make: Make, training: Training, weight: float) -> None:
    model = make(training, replay=NoReplay(), rows_per_step=4)
    model.learn(batch(0, 4), TARGET[:4], np.full(4, weight))
    stats = model.stats()
    assert np.isfinite(stats["loss"])
    assert (stats["slow_steps"], stats["nonfinite_steps"]) == (1, 0)


def test_the_stream_is_learned(make: Make) -> None:
    model = make()
    model.set_rate(4e-3)
    wrong_N = stacked(feed(model, 0, 192)).argmax(axis=1) != TARGET
    assert wrong_N[:48].sum() > 10
    assert wrong_N[144:].sum() == 0


def test_a_new_label_is_known_from_the_next_row_on(make: Make) -> None:
    model = make()
    assert model.predict(batch(0, 1)).shape == (1, 0)
    answers = feed(model, 0, 4, size=4)[0]
    np.testing.assert_allclose(answers, [[0, 0], [1, 0], [0.5, 0.5], [0.5, 0.5]], atol=1e-7)
    assert model.num_classes == 2
    assert model.learn(batch(4, 5), np.array([2.0]), np.ones(1)).shape == (1, 3)


def test_a_new_label_inherits_weights_and_moments_of_the_spare(make: Make) -> None:
    model = make()
    feed(model, 0, 16)
    before = model.state_dict()
    model.learn(batch(16, 17), np.array([2.0]), np.ones(1))
    after = model.state_dict()
    for name in ("classifier.weight", "classifier.bias"):
        spare = before["weights"][name][2]
        assert spare.abs().max() > 0
        assert torch.equal(after["weights"][name], torch.cat([before["weights"][name], spare[None]]))
        for key in ("exp_avg", "exp_avg_sq"):
            moments = before["optimizer"]["moments"][name][key]
            assert torch.equal(after["optimizer"]["moments"][name][key], torch.cat([moments, moments[2:]]))


def test_the_spare_is_never_answered(make: Make) -> None:
    model = make()
    feed(model, 0, 64)
    np.testing.assert_allclose(model.predict(batch(0, 40)).sum(axis=1), 1.0, atol=1e-6)


def test_steps_are_those_of_a_plain_loop(encoder: Path) -> None:
    model = transformer(encoder, optimizer=AdamW(max_grad_norm=1e9, weight_decay=0.0))
    feed(model, 0, 40, size=40)
    plain = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=3, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(encoder, local_files_only=True)
    torch.nn.init.zeros_(plain.classifier.weight)
    torch.nn.init.zeros_(plain.classifier.bias)
    # A pooler is absent from no BERT, so every weight but the head came from the folder.
    peer = torch.optim.AdamW(plain.parameters(), lr=1e-3, weight_decay=0.0)
    for start in range(0, 40, 8):
        inputs = tokenizer(TEXTS[start : start + 8], truncation=True, max_length=16, padding=True, return_tensors="pt")
        peer.zero_grad()
        plain(**inputs, labels=torch.tensor(TARGET[start : start + 8]).long()).loss.backward()
        peer.step()
    ours = model.state_dict()["weights"]
    assert ours.keys() == plain.state_dict().keys()
    for name, weight in plain.state_dict().items():
        torch.testing.assert_close(ours[name], weight, rtol=1e-3, atol=2e-5)


def test_nothing_in_the_loop_waits_for_the_device(encoder: Path, make: Make) -> None:
    model = make()
    feed(model, 0, 50)
    with HostReads() as reads:
        feed(model, 50, 100)
    assert reads.seen == []
    with HostReads() as reads:
        model.stats()
    assert "aten._local_scalar_dense" in reads.seen, "the counter counts"


@pytest.mark.parametrize("make", DEVICES[1:], indirect=True)
def test_a_micro_batch_waits_for_the_gpu_once(make: Make) -> None:
    model = make()
    feed(model, 0, 50)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with pytest.warns(UserWarning, match="called a synchronizing CUDA operation") as caught:
            feed(model, 50, 70, size=20)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(caught) == 1


def test_a_new_rate_and_a_re_warm_count_from_the_next_step(make: Make) -> None:
    model = make()
    feed(model, 0, 64)
    assert model.stats()["learning_rate"] == 1e-3
    model.set_rate(2e-3)
    assert model.stats()["learning_rate"] == 2e-3
    model.react()
    assert model.stats()["learning_rate"] == 5e-4
    feed(model, 64, 72)
    assert model.stats()["learning_rate"] == 1e-3


@pytest.mark.parametrize("size", [1, 7, 64])
def test_an_alarm_on_rows_that_are_not_learned_is_in_time_for_the_next_step(make: Make, size: int) -> None:
    """Rows 64 to 67 are only scored, between a step and the next."""
    weight = ONES.copy()
    weight[64:68] = 0.0
    rates = []
    for cut in (size, 68):
        model = make()
        feed(model, 0, 60)
        for start in range(60, 80, cut):
            rows = range(start, min(start + cut, 80))
            for piece in model.pieces(weight[rows.start : rows.stop]):
                part = rows[piece]
                feed(model, part.start, part.stop, weight=weight)
                if 65 in part:
                    model.react()
                    rates.append((model.stats()["slow_steps"], model.stats()["learning_rate"]))
    assert rates == [(8, 2.5e-4)] * 2


def test_a_weight_that_is_not_finite_is_noticed(make: Make) -> None:
    model = make()
    feed(model, 0, 16)
    assert all_finite(model.weights())
    state = model.state_dict()
    state["weights"]["bert.pooler.dense.bias"][3] = float("nan")
    model.load_state_dict(state)
    assert not all_finite(model.weights())


def test_a_step_that_is_not_finite_is_skipped_and_counted(make: Make) -> None:
    model = make()
    feed(model, 0, 16)
    before = model.state_dict()
    before["weights"]["classifier.weight"][0] = 3e38  # logits beyond what float32 holds
    model.load_state_dict(before)
    feed(model, 16, 24)
    after = model.state_dict()
    assert same(before["weights"], after["weights"])
    assert same(before["optimizer"]["moments"], after["optimizer"]["moments"])
    assert model.stats()["nonfinite_steps"] == 1


def test_states_that_do_not_fit_are_refused(make: Make) -> None:
    full, frozen = make("full"), make("frozen")
    feed(full, 0, 16)
    with pytest.raises(StateError, match="resume with the encoder that they were learned with"):
        frozen.load_state_dict(full.state_dict())
    with pytest.raises(StateError, match="drawn from seed 0, not 1"):
        make("full", seed=1).load_state_dict(full.state_dict())


def test_memory_is_told_by_part(make: Make) -> None:
    model = make()
    feed(model, 0, 50)
    sizes = model.state_bytes()
    assert sizes.keys() == {"weights", "optimizer", "replay", "pending"}
    assert sizes["optimizer"] > 2 * sizes["weights"] > 200_000
    assert sizes["pending"] == 2 * (16 * 4 + 8 + 8 + 8)


def test_an_empty_micro_batch_is_no_rows(make: Make) -> None:
    model = make()
    feed(model, 0, 4)
    assert model.learn(Batch([], []), np.zeros(0), np.zeros(0)).shape == (0, 2)
    assert model.predict(Batch([], [])).shape == (0, 2)


@both
def test_a_folder_without_a_model_is_refused(tmp_path: Path, training: Training) -> None:
    with pytest.raises(ModelError, match=r"tokenizer"):
        transformer(tmp_path, training)


@both
def test_a_number_can_be_learned(encoder: Path, training: Training) -> None:
    def build() -> Transformer:
        return transformer(encoder, training, classifies=False, schedule=Schedule(learning_rate=4e-3))

    model = build()
    error_N = np.abs(np.concatenate(feed(model, 0, 192, target=TARGET - 0.5)) - (TARGET - 0.5))
    if training == "full":  # the mean of random embeddings tells too little of a text
        assert error_N[144:].mean() < 0.3 * error_N[:48].mean()
    resumed = build()
    resumed.load_state_dict(model.state_dict())
    answering = build()
    answering.load_weights(model.weights())
    expected = model.predict(batch(0, 20))
    assert expected.shape == (20,)
    assert np.array_equal(resumed.predict(batch(0, 20)), expected)
    assert np.array_equal(answering.predict(batch(0, 20)), expected)
