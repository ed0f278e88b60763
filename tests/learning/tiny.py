"""A tiny BERT with random weights and a WordPiece vocabulary taken from given texts: right for code paths, not for claims."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
from transformers.utils import logging

SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
VOCAB_SIZE = 400


def tiny_bert(folder: Path, texts: Sequence[str], seed: int = 0) -> Path:
    """Write a BERT of 2 layers and 32 hidden units into `folder`, the same bytes for the same texts and seed.

    It loads through `AutoModel`, `AutoModelForSequenceClassification` and `AutoTokenizer` with no hub. Returns `folder`.
    """
    logging.disable_progress_bar()
    wordpiece = BertWordPieceTokenizer(vocab={piece: index for index, piece in enumerate(_vocabulary(texts))}, lowercase=True)
    special = {f"{name}_token": token for name, token in SPECIAL.items()}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=wordpiece._tokenizer, model_max_length=64, **special)
    config = BertConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2,  # at the usual .02 so small a network tells texts apart only after thousands of steps
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def _vocabulary(texts: Sequence[str]) -> list[str]:
    """Special tokens, letters and digits (alone and as continuations), then the most frequent words. Trainers of the
    tokenizers library break ties at random; this breaks them by spelling."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = [*SPECIAL.values(), *letters, *(f"##{letter}" for letter in letters)]
    words = Counter(word for text in texts for word in re.findall(r"[a-z0-9]{2,}", text.lower()))
    ranked = sorted(words, key=lambda word: (-words[word], word))
    return (pieces + ranked)[:VOCAB_SIZE]
