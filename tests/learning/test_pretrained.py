from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging

from daemon.errors import ModelError
from daemon.learning.pretrained import Tokens, load_model
from tests.learning.tiny import tiny_bert


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("encoder"), ["cheap pills", "lunch today"])


def test_tokens_are_cut_and_padded_to_one_length(folder: Path) -> None:
    rows = Tokens(folder, max_tokens=5).encode(["cheap pills", "lunch lunch lunch lunch lunch lunch", ""])
    assert rows["tokens"].tolist() == [[2, 77, 79, 3, 0], [2, 78, 78, 78, 3], [2, 3, 0, 0, 0]]
    assert rows["length"].tolist() == [4, 5, 2]


def test_more_tokens_than_the_encoder_takes_are_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="max_tokens is 65, but the encoder takes at most 64; lower it"):
        Tokens(folder, max_tokens=65)


def test_what_a_folder_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="it holds no tokenizer"):
        Tokens(tmp_path, max_tokens=5)
    with pytest.raises(ModelError, match="transformers cannot load it"):
        load_model(AutoModelForSequenceClassification, tmp_path, seed=0)


def test_pickled_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load_model(AutoModelForSequenceClassification, tmp_path, seed=0)


def test_missing_weights_come_from_the_seed_and_the_global_generator_is_left_alone(folder: Path) -> None:
    before = torch.get_rng_state()
    first, second, other = (
        load_model(AutoModelForSequenceClassification, folder, seed=seed, num_labels=3).classifier.weight for seed in (0, 0, 1)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_loading_says_nothing_and_leaves_the_settings_of_transformers_as_they_were(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = logging.get_verbosity()
    model = load_model(AutoModelForSequenceClassification, folder, seed=0, num_labels=3)
    assert capfd.readouterr() == ("", "")
    assert logging.get_verbosity() == before
    assert not model.training
