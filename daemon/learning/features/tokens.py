"""A micro-batch of texts as a transformer reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Extractor
from daemon.learning.replay.base import Rows
from daemon.state import State


class Tokenizer(Protocol):
    """What turns N >= 1 texts into columns of rows, such as "tokens" (N, T) and "length" (N,)."""

    def encode(self, texts: Sequence[str]) -> Rows: ...


class TextTokens(Extractor):
    """The tokens of `text` by row; label-free, so nothing is learned here.

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

    def learn(self, target: float, weight: float) -> None:
        """Nothing: the tokens of a text depend on that text alone."""

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None: ...

    def weights(self) -> State:
        return {}

    def load_weights(self, state: State) -> None: ...
