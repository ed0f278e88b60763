"""An encoder and its head, trained together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from daemon.errors import ModelError
from daemon.learning.device import autocast, to_device
from daemon.learning.encoders import find_encoder
from daemon.learning.models.network import Network
from daemon.learning.pretrained import TOKENIZER_FILES, Tokens, load_model
from daemon.learning.replay.base import Rows
from daemon.state import JSON


class Finetuned(Network):
    """Any encoder that transformers can classify sequences with; a snapshot of it is a folder that plain transformers loads."""

    weights_name = "model"

    def __init__(self, *, encoder: str, device: torch.device, max_tokens: int, seed: int) -> None:
        self.device = device
        self._folder = folder = find_encoder(encoder)
        self._tokens = Tokens(folder, max_tokens=max_tokens)
        self._model = load_model(AutoModelForSequenceClassification, folder, seed=seed, num_labels=1)
        self._model.config.pad_token_id = self._tokens.pad_id
        self.module = self._model
        linear = [name for name, part in self.module.named_modules() if isinstance(part, nn.Linear) and part.out_features == 1]
        if not linear:
            raise ModelError(f"{folder}: {type(self.module).__name__} has no linear head; name an encoder that has one")
        self.head_name = linear[-1]
        self.reset_head(1)
        self.module.to(device)

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        return self._tokens.encode(texts)

    def logits(self, rows: Rows) -> Tensor:
        length_N = rows["length"]
        tokens_NT = to_device(rows["tokens"][:, : length_N.max()], self.device).long()
        mask_NT = attention_mask(tokens_NT, to_device(length_N, self.device))
        with autocast(self.device):
            logits_NK: Tensor = self._model(input_ids=tokens_NT, attention_mask=mask_NT).logits
        return logits_NK.float()

    def companions(self, labels: Sequence[str], *, num_outputs: int) -> Mapping[str, Path | JSON]:
        config = json.loads(self._model.config.to_json_string(use_diff=False))
        names = list(labels) or [f"LABEL_{index}" for index in range(num_outputs)]
        config.pop("_name_or_path", None)  # a path of this machine
        config["architectures"] = [type(self._model).__name__]
        config["id2label"] = {str(index): label for index, label in enumerate(names)}
        config["label2id"] = {label: index for index, label in enumerate(names)}
        files: dict[str, Path | JSON] = {"config.json": config}
        files |= {name: self._folder / name for name in TOKENIZER_FILES if (self._folder / name).exists()}
        # Plain transformers cuts at the length that the tokenizer's own settings name.
        tokenizer = self._folder / "tokenizer_config.json"
        if tokenizer.exists():
            files[tokenizer.name] = json.loads(tokenizer.read_text()) | {"model_max_length": self._tokens.max_tokens}
        return files


def attention_mask(tokens_NT: Tensor, length_N: Tensor) -> Tensor:
    """(N, T), 1 where a token is not padding."""
    return (torch.arange(tokens_NT.shape[1], device=tokens_NT.device) < length_N[:, None]).long()
