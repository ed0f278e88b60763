"""Memory over a million rows that never repeat: every model and expert, detector, replay policy and schedule.

`make test-soak` runs these; that no expert or model is left out is in `test_experts.py`.
"""

from __future__ import annotations

import ctypes
import gc
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.experts import tiles
from daemon.learning.experts.base import array_bytes
from daemon.learning.experts.text_table import GRAM_BYTES, WORD_BYTES
from daemon.learning.features.hashing import NUM_FEATURES
from daemon.learning.features.sparse_row import CATEGORY_BITS, MARK_BITS, MAX_SLOTS
from daemon.learning.features.text import TextFeatures
from daemon.learning.late import Late
from daemon.learning.mixer import Mixer
from daemon.learning.models.base import Floats, Model
from daemon.learning.models.linear import Linear
from daemon.learning.models.mixture import Mixture
from daemon.learning.models.transformer import Transformer
from daemon.learning.replay.balanced import Balanced
from daemon.learning.replay.base import Rows
from daemon.learning.schedules import Schedule
from daemon.learning.texts import text_experts, text_mixer
from daemon.monitoring.drift.inputs import InputShift
from daemon.storage.tensors import all_finite
from tests.contracts.test_detectors import CASES as DETECTORS
from tests.contracts.test_detectors import LARGEST_STATE, largest_state
from tests.contracts.test_replay import CASES as POLICIES
from tests.contracts.test_replay import Case as Policy
from tests.learning.experts import test_finetuned
from tests.learning.test_regressors import make_model
from tests.learning.test_schedules import DECAYS
from tests.learning.test_tables import make_mixture
from tests.learning.tiny import tiny_bert
from tests.learning.transformers import transformer

NUM_ROWS, BATCH_ROWS = 1_000_000, 500
# The state is measured every so many rows; after the first `FULL_AT`, by when every bounded store is full, it grows no more.
SAMPLE_ROWS, FULL_AT = 50_000, 200_000
# What the process may take beyond the most that it took until then: fragments of what came and went.
RESIDENT_GROWTH = 64 << 20
WIDTH = 64
NUM_TOPICS = 10
MAX_COLUMNS = 8
# Rows of a slow step, new ones and as many replayed: with fewer, the tiny networks below take most of an hour.
STEP_ROWS = 64
LABEL_DELAY = 1_000

pytestmark = [pytest.mark.soak, pytest.mark.timeout(4 * 3600)]

Row = dict[str, float | str]


@dataclass(frozen=True)
class Stream:
    """A model and the rows for it."""

    name: str
    make: Callable[[Path], Model]
    """From an empty folder."""
    rows: Callable[[int, int], tuple[Batch, Floats]]
    """Rows [start, stop)."""
    bounds: Mapping[str, int] = field(default_factory=dict)
    """Bytes that a part is documented to stay under, where it comes and goes below them."""

    def __str__(self) -> str:
        return self.name


class Directions:
    """A stand-in encoder: a vector of length 1 at random for each text, near that of its topic, which is its first letter."""

    width = WIDTH

    def __init__(self) -> None:
        self._random = np.random.default_rng(3)
        self._topic_CD = np.random.default_rng(4).normal(size=(NUM_TOPICS, WIDTH))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        topics = [ord(text[0]) - ord("a") for text in texts]
        vectors_BD = self._topic_CD[topics] + 2.0 * self._random.normal(size=(len(texts), WIDTH))
        return (vectors_BD / np.linalg.norm(vectors_BD, axis=1, keepdims=True)).astype(np.float32)


def texts(start: int, stop: int) -> tuple[Batch, Floats]:
    """Eight words each that never came before, after one that tells the topic."""
    random = np.random.default_rng([1, start])
    target_B = np.where(
        np.arange(start, stop) < NUM_TOPICS, np.arange(start, stop), random.integers(NUM_TOPICS, size=stop - start)
    )
    words_BW = random.integers(1 << 60, size=(stop - start, 8)).tolist()
    lines = [
        " ".join([chr(ord("a") + topic), *(f"{word:x}" for word in words)])
        for topic, words in zip(target_B.tolist(), words_BW, strict=True)
    ]
    return Batch(lines, [{}] * len(lines)), target_B.astype(np.float64)


def tables(start: int, stop: int) -> tuple[Batch, Floats]:
    """A category and a column that never came before, beside two numbers that tell one label of two, now and then wrongly."""
    random = np.random.default_rng([2, start])
    x_BN = random.normal(size=(stop - start, 2))
    target_B = (x_BN.sum(axis=1) + 0.3 * random.normal(size=stop - start) > 0.0).astype(np.float64)
    if start == 0:
        target_B[:2] = 0.0, 1.0
    rows: list[Row] = [
        {"user": f"user {i}", "x": x, "y": y, f"column {i}": 1.0} for i, (x, y) in enumerate(x_BN.tolist(), start)
    ]
    return Batch([""] * len(rows), rows), target_B


def numbers(start: int, stop: int) -> tuple[Batch, Floats]:
    """The rows of `tables`, with texts of ever new words, and a number that follows both the row and the number before."""
    batch, _ = tables(start, stop)
    x_B = np.array([float(row["x"]) for row in batch.features])
    return Batch([f"row {start + i}" for i in range(len(x_B))], batch.features), x_B + np.sin(np.arange(start, stop) / 50.0)


def text_pool() -> Mixture:
    features = TextFeatures(encoder=Directions())
    experts = text_experts(features)
    return Mixture(
        extractors={"text": features},
        experts=experts,
        mixer=text_mixer(experts, late=False),
        make_experts=lambda: text_experts(features),
        shows_inputs=True,
    )


def finetuned(folder: Path) -> Mixture:
    """A tiny network as the only expert: the others of its pool are those of "texts"."""
    [tokens], experts = test_finetuned.pool(tiny_bert(folder, ["a b c"]), rows_per_step=STEP_ROWS)
    return Mixture(extractors={"tokens": tokens}, experts=experts, mixer=Mixer(num_experts=1))


def tiny_transformer(folder: Path) -> Transformer:
    replay = Balanced(capacity=1_000, recent_share=0.25, seed=0)
    step = {"replay": replay, "rows_per_step": STEP_ROWS, "replayed_per_step": STEP_ROWS}
    return transformer(tiny_bert(folder, ["a b c"]), **step)


# A forest's bound: 8 bytes · 2,000 rows a column, and at most about 100 bytes · 2,000 rows for each of 32 trees.
FOREST_BYTES = 8 * 2000 * MAX_COLUMNS + 32 * 100 * 2000
# Of the hashed features those unused for longest are forgotten, a quarter at a time; the index of all takes 4 bytes each. The
# numbers by coordinate of the embedding are 2 · 2 rates · 12 classes, with 16 bytes to find them.
SOFTMAX_BYTES = WORD_BYTES + GRAM_BYTES + 4 * NUM_FEATURES + (WIDTH + 1) * (2 * 2 * 12 * 4 + 16)
LINEAR_BYTES = 128 << 20
# Categories likewise, with four bytes of the index for each feature; beside them naive Bayes has 96 bytes a column and class,
# the spare and all together among these, how many categories a column has, each class's rows twice, and two of a temperature.
# A slot has 12 bytes beside its numbers: of each plane 4, for two classes and the spare in steps of four.
INDEX_BYTES = 4 * ((1 << CATEGORY_BITS) + (1 << MARK_BITS) + MAX_COLUMNS)
LOGISTIC_BYTES = MAX_SLOTS * (2 * 16 + 12) + INDEX_BYTES + 4
TABLE_BAYES_BYTES = MAX_SLOTS * (16 + 12) + 4 * (1 << CATEGORY_BITS) + 96 * MAX_COLUMNS * 4 + 8 * (MAX_COLUMNS + 2 * 3 + 2)
PROBIT_BYTES = MAX_SLOTS * (4 * 16 + 12) + INDEX_BYTES + 8 * 2 * 3 * (MAX_COLUMNS + 2) ** 2
TILE_BYTES = {
    name: members * (tiles.MAX_BYTES + 2 * 4 * 4) + (4 << tiles.BITS)
    for name, members in (("tiles_slow", 3), ("tiles_fine", 1), ("context_tiles_slow", 2))
}
TABLE_BYTES = TILE_BYTES | {
    "forest": FOREST_BYTES, "logistic_0": LOGISTIC_BYTES, "probit_0": PROBIT_BYTES, "table_bayes": TABLE_BAYES_BYTES
}  # fmt: skip
# Rows that wait for their step: 16 tokens of 4 bytes; length, target and weight of 8 bytes each.
PENDING_BYTES = (STEP_ROWS - 1) * (16 * 4 + 3 * 8)
TEXT_BYTES = {"softmax_0": SOFTMAX_BYTES}

STREAMS = (
    Stream("linear", lambda _: Linear(classifies=True, reads_text=True), texts, {"sparse": LINEAR_BYTES}),
    Stream("tables", lambda _: make_mixture(max_columns=MAX_COLUMNS), tables, TABLE_BYTES),
    Stream("texts", lambda _: text_pool(), texts, TEXT_BYTES),
    Stream("late texts", lambda _: Late(pool=text_pool(), delay=LABEL_DELAY, blends=True), texts, TEXT_BYTES),
    Stream("numbers", lambda _: make_model(text=True, max_columns=MAX_COLUMNS), numbers),
    Stream("finetuned", finetuned, texts, {"finetuned_pending": PENDING_BYTES}),
    Stream("transformer", tiny_transformer, texts, {"pending": PENDING_BYTES}),
)


def resident_bytes() -> int:
    """What the process holds of the machine's memory, without what its allocator keeps for later use."""
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) << 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the resident memory is read from /proc")
@pytest.mark.parametrize("stream", STREAMS, ids=str)
def test_a_model_grows_no_more_once_its_stores_are_full(stream: Stream, tmp_path: Path) -> None:
    model, full, most_resident = stream.make(tmp_path), dict[str, int](), 0
    for stop in range(BATCH_ROWS, NUM_ROWS + 1, BATCH_ROWS):
        batch, target_B = stream.rows(stop - BATCH_ROWS, stop)
        model.learn(batch, target_B, np.ones(BATCH_ROWS))
        if stop % SAMPLE_ROWS:
            continue
        sizes, resident = model.state_bytes(), resident_bytes()
        print(f"{stream} {stop:,} rows: {sum(sizes.values()):,} bytes of state, {resident:,} resident", flush=True)
        if stop <= FULL_AT:
            full, most_resident = sizes, max(most_resident, resident)
        else:
            for part, size in sizes.items():
                assert size <= stream.bounds.get(part, 1.01 * full[part]), (part, stop)
            assert resident <= most_resident + RESIDENT_GROWTH, stop
        # A drift keeps what the pool was for 2,000 rows, which are over when it is measured next.
        model.react()
    assert all_finite(model.weights())


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_stays_small(name: str) -> None:
    assert largest_state(name, NUM_ROWS) < LARGEST_STATE


def test_the_detector_of_the_inputs_stays_as_small_as_it_was_when_full() -> None:
    """Without an alarm, so that its reference grows throughout; a value is missing now and then."""
    detector, random, sizes = InputShift(threshold=1e9, seed=0), np.random.default_rng(6), set()
    for _ in range(0, NUM_ROWS, SAMPLE_ROWS):
        x_ND = random.normal(size=(SAMPLE_ROWS, MAX_COLUMNS)).astype(np.float32)
        x_ND[::7, 1] = np.nan
        for x_D in x_ND:
            detector.update(x_D)
        sizes.add(array_bytes(detector.state_dict()))
    assert len(sizes) == 1
    assert detector.state_dict()["reference_rows"] == NUM_ROWS - 200


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_a_replay_policy_keeps_to_its_capacity(policy: Policy) -> None:
    replay, sizes = policy.make(1), set()
    for start in range(0, NUM_ROWS, SAMPLE_ROWS):
        replay.update(_replayable(start, start + SAMPLE_ROWS))
        sizes.add((len(replay), replay.state_bytes(), array_bytes(replay.state_dict())))
        replay.prefer_recent()
        assert len(replay.sample(8, ordinal=start).get("target", ())) == policy.sampled
    assert len(sizes) == 1
    assert len(replay) == policy.kept


def _replayable(start: int, stop: int) -> Rows:
    number = np.arange(start, stop)
    return {
        "tokens": np.repeat(number[:, None], 4, axis=1),
        "target": (number % 3).astype(float),
        "weight": np.ones(stop - start),
    }


@pytest.mark.parametrize("decay", DECAYS)
def test_a_schedule_is_three_numbers_after_a_million_steps(decay: Literal["constant", "cosine"]) -> None:
    schedule = Schedule(learning_rate=1.0, num_warmup_steps=100, decay=decay, num_decay_steps=1000, floor=0.1)
    for step in range(NUM_ROWS):
        assert 0.0 < schedule.rate(schedule.step) <= 1.0
        schedule.advance()
        if step % SAMPLE_ROWS == 0:
            schedule.rewarm()
    assert json.dumps(schedule.state_dict()) == '{"learning_rate": 1.0, "step": 1000000, "rewarmed_at": 950001}'
