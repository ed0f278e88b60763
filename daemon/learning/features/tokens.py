"""A micro-batch of texts as a transformer reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Stateless
from daemon.learning.replay.base import Rows


class Tokenizer(Protocol):
    """What turns N >= 1 texts into columns of rows, such as "tokens" (N, T) and "length" (N,)."""

    def encode(self, texts: Sequence[str]) -> Rows: ...


class TextTokens(Stateless):
    """The tokens of `text` by row.

    `rows` are those of the micro-batch ({} where it is empty), with `row` the current one.
    """

    def __init__(self, *, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.rows: Rows = {}
        self.row = 0

    def begin(self, batch: Batch) -> None:
        self.rows = self._tokenizer.encode(batch.texts) if len(batch) else {}

    def encode(self, row: int) -> None:
        self.row = row
