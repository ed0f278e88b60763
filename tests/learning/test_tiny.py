from __future__ import annotations

from pathlib import Path

from transformers import AutoModel, AutoTokenizer

from tests.learning.tiny import tiny_bert


def test_the_same_texts_give_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    first, second, other = (tiny_bert(tmp_path / name, ["cheap pills", "lunch today"], seed) for name, seed in _FOLDERS)
    names = sorted(path.name for path in first.iterdir())
    assert names == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
    assert (first / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()


_FOLDERS = [("a", 0), ("b", 0), ("c", 1)]


def test_it_loads_through_the_auto_classes(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path, ["cheap pills"])
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert tokenizer.tokenize("Cheap pills, x") == ["cheap", "pills", "[UNK]", "x"]
    model = AutoModel.from_pretrained(folder, local_files_only=True)
    assert model(**tokenizer("cheap pills", return_tensors="pt")).last_hidden_state.shape == (1, 4, 32)
