"""What a text says to the pool: hashed words, hashed bytes, and the embedding of a frozen encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Stateless
from daemon.learning.features.hashing import Indices, TextHasher, Values


class SentenceEncoder(Protocol):
    """Anything frozen that turns texts into vectors of length 1; the same texts together always give the same bits."""

    width: int

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(B, D) for B texts."""


class TextFeatures(Stateless):
    """Hashed features of `text` by row, and embeddings of a micro-batch at once.

    After `encode`: `indices` and `values`, both (n,), as `TextHasher` makes them; `embedding`, (D,), and
    `embeddings_BD` of the micro-batch with `row` the current one. Without an encoder D is 0.

    Raises `ValueError` where the encoder gives NaN or infinity.
    """

    def __init__(self, *, encoder: SentenceEncoder | None, max_characters: int = 4000) -> None:
        self._encoder = encoder
        self._max_characters = max_characters
        self._hasher = TextHasher(max_characters=max_characters)
        self._hashed: list[tuple[Indices, Values]] = []
        self.width = encoder.width if encoder else 0
        """D, the width of an embedding."""
        self.row = 0
        self.embeddings_BD = np.zeros((0, self.width), dtype=np.float32)
        self._ahead: tuple[list[str], NDArray[np.float32]] = [], self.embeddings_BD  # texts of micro-batches to come
        self.indices = np.zeros(0, dtype=np.int32)
        self.values = np.zeros(0, dtype=np.float32)
        self.embedding = np.zeros(self.width, dtype=np.float32)

    def foresee(self, batch: Batch) -> None:
        texts = self._cut(batch)
        self._ahead = texts, self._embed(texts)

    def begin(self, batch: Batch) -> None:
        texts = self._cut(batch)
        self._hashed = [self._hasher.hash(text) for text in texts]
        ahead, ahead_BD = self._ahead
        if texts and ahead[: len(texts)] == texts:
            self.embeddings_BD = ahead_BD[: len(texts)]
            self._ahead = ahead[len(texts) :], ahead_BD[len(texts) :]
        else:
            self.embeddings_BD = self._embed(texts)

    def _cut(self, batch: Batch) -> list[str]:
        return [text[: self._max_characters] for text in batch.texts]

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        """(B, D) in one call of the encoder."""
        if not (self._encoder and texts):
            return np.zeros((len(texts), self.width), dtype=np.float32)
        embeddings_BD = self._encoder.encode(texts)
        if not np.isfinite(embeddings_BD).all():
            raise ValueError("the encoder gave an embedding that is not finite; its files are damaged: get them anew")
        return embeddings_BD

    def encode(self, row: int) -> None:
        self.row = row
        self.indices, self.values = self._hashed[row]
        if self._encoder:
            self.embedding = self.embeddings_BD[row]

    def summary(self) -> NDArray[np.float32]:
        return self.embedding
