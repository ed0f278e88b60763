"""Pretrained models and tokenizers from a folder: offline, safetensors alone, no code of strangers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AttentionInterface, AttentionMaskInterface, AutoTokenizer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.utils import logging as transformers_logging

from daemon.errors import ModelError
from daemon.learning.draws import draws

TOKENIZER_FILES = (
    "added_tokens.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
ATTENTION = "sdpa_with_mask"


def load_model(auto_class: Any, folder: Path, *, seed: int, **kwargs: Any) -> Any:
    """A model of one of transformers' auto classes, in float32 and evaluation mode: dropout is off, gradients are not.

    Weights that the folder lacks are drawn from `seed`. Raises `ModelError` where the folder holds no such model.
    """
    try:
        # transformers draws missing weights from torch's global generator, which is put back afterwards.
        with _quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(draws(seed, "weights", 0).integers(2**63)))
            model = auto_class.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                dtype=torch.float32,
                **kwargs,
            )
            always_mask(model)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"{folder}: transformers cannot load it: {error}; name a folder with config.json and model.safetensors "
            "of an architecture that needs no code of its own"
        ) from error
    return model.eval()


class Tokens:
    """Turns texts into token ids, cut at `max_tokens` and padded to it.

    Raises `ModelError` where the folder holds no tokenizer, or one that takes fewer tokens.
    """

    def __init__(self, folder: Path, *, max_tokens: int) -> None:
        try:
            with _quiet():
                self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{folder}: it holds no tokenizer: {error}; save the model's tokenizer there") from error
        longest = self._tokenizer.model_max_length
        if max_tokens > longest:
            raise ModelError(f"{folder}: max_tokens is {max_tokens}, but the encoder takes at most {longest}; lower it")
        self.max_tokens = max_tokens
        pad = self._tokenizer.pad_token_id
        self.pad_id: int = pad if pad is not None else self._tokenizer.eos_token_id or 0

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """ "tokens" (N, T) int32, T = max_tokens, and "length" (N,) int64 of what is not padding, at least 1."""
        ids = self._tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"]
        tokens_NT = np.full((len(texts), self.max_tokens), self.pad_id, np.int32)
        for row, ids_T in enumerate(ids):
            tokens_NT[row, : len(ids_T)] = ids_T
        # An empty text of a tokenizer without special tokens is one padding token: attention over nothing is NaN.
        length_N = np.array([max(1, len(ids_T)) for ids_T in ids], np.int64)
        return {"tokens": tokens_NT, "length": length_N}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' load report and progress bars off the terminal: a fresh head is what we ask for."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call] # transformers does not type it
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call] # transformers does not type it
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call] # transformers does not type it


def always_mask(model: Any) -> None:
    """Have a model that uses torch's attention give it the mask always: to look whether it could be left out, the host would
    wait for a GPU. Architectures with an attention of their own (MPNet, DeBERTa) stay as they are."""
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(ATTENTION, sdpa_attention_forward)
        AttentionMaskInterface.register(ATTENTION, _mask)
        model.set_attn_implementation(ATTENTION)


def _mask(*args: Any, **kwargs: Any) -> Any:
    return sdpa_mask(*args, **(kwargs | {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}))
