"""The pool of experts for regression: the one place that names them and their constants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts.base import Expert
from daemon.learning.experts.fourier_residual import FourierResidual
from daemon.learning.experts.hashed_residual import HashedResidual, SparseRow
from daemon.learning.experts.linear_residual import LinearResidual
from daemon.learning.experts.mlp_residual import MLPResidual
from daemon.learning.experts.residual import Guess
from daemon.learning.experts.steady_linear import SteadyLinear
from daemon.learning.features.hashing import BLOCK_BITS
from daemon.learning.features.references import Reference
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.table_kernels import CATEGORY
from daemon.learning.features.target_history import TargetHistory
from daemon.learning.features.text import TextFeatures

# As many as there are hashes of words and of all n-grams, so that none meet that the hasher keeps apart.
WORD_BITS, NGRAM_BITS = BLOCK_BITS, BLOCK_BITS + 1


def regression_experts(
    *, history: TargetHistory, table: TableFeatures | None, text: TextFeatures | None, seed: int
) -> list[Expert]:
    """Experts on a text, on the columns of a table, and, where `history` has them, on earlier targets."""
    experts: list[Expert] = [Guess(name="mean", reference=history.mean)]
    if text:
        experts += _on_text(text, history.mean)
    if table:
        experts += _on_table(table, history.mean, text, seed=seed)
    if history.enabled:
        experts += _on_targets(history, seed=seed)
        if table:
            experts += _on_both(history, table, seed=seed)
    return experts


class Embedding:
    """A text's embedding, as dense inputs."""

    def __init__(self, text: TextFeatures) -> None:
        self._text = text

    @property
    def values_D(self) -> NDArray[np.float32]:  # noqa: N802 - a shape suffix
        return self._text.embedding

    @property
    def width(self) -> int:
        return self._text.width


def _on_text(text: TextFeatures, mean: Reference) -> list[Expert]:
    """N-grams alone, words alone, the embedding alone; and n-grams for what the embedding leaves over."""
    experts = [
        _ngrams("ngrams_slow", text, mean, 1.0),
        _ngrams("ngrams_fast", text, mean, 3.0),
        _ngrams("words", text, mean, 3.0, bits=WORD_BITS),
    ]
    if text.width:
        embedding = LinearResidual(
            name="embedding", reference=mean, inputs=(Embedding(text),), forgetting=0.9999, error_limit=3.0
        )
        # After the embedding in the pool, whose prediction they start from.
        experts += [
            embedding,
            _ngrams("embedding_and_ngrams_slow", text, embedding.prediction, 0.3),
            _ngrams("embedding_and_ngrams_fast", text, embedding.prediction, 1.0),
        ]
    return experts


def _ngrams(name: str, text: TextFeatures, reference: Reference, rate: float, *, bits: int = NGRAM_BITS) -> Expert:
    """On the features of a text below 2 ** `bits`."""

    def row() -> SparseRow:
        kept_T = text.indices < 1 << bits
        return text.indices[kept_T].astype(np.uint64), text.values[kept_T]

    return HashedResidual(name=name, reference=reference, row=row, rate=rate, bits=bits, error_limit=1.0)


def _on_table(table: TableFeatures, mean: Reference, text: TextFeatures | None, *, seed: int) -> list[Expert]:
    """The columns; and n-grams for what the columns leave over."""
    row = table.current

    def fourier(name: str, bandwidth: float, forgetting: float, part: int) -> Expert:
        return FourierResidual(
            name=name, reference=mean, inputs=row, bandwidth=bandwidth, forgetting=forgetting, seed=seed + part, error_limit=3.0
        )

    def tiles() -> SparseRow:
        return table.tiles.hashes_T, np.ones(len(table.tiles.hashes_T), dtype=np.float32)

    def categories() -> SparseRow:
        hashes_T = table.row.category_N[table.row.known_N == CATEGORY]
        return hashes_T, np.ones(len(hashes_T), dtype=np.float32)

    def linear(name: str, forgetting: float) -> LinearResidual:
        return LinearResidual(name=name, reference=mean, inputs=(row,), forgetting=forgetting, error_limit=3.0)

    steady = SteadyLinear(name="steady_linear", reference=mean, table=table, forgetting=0.9998, error_limit=3.0)
    experts = [
        linear("linear", 0.9998),
        linear("linear_fast", 0.99),
        linear("linear_faster", 0.95),
        steady,
        SteadyLinear(name="steady_linear_fast", reference=mean, table=table, forgetting=0.99, error_limit=3.0),
        fourier("fourier_narrow", 0.4, 0.9998, 0),
        fourier("fourier_wide", 1.2, 0.999, 1),
        MLPResidual(name="mlp", reference=mean, inputs=row, seed=seed + 2),
        HashedResidual(name="tiles", reference=mean, row=tiles, rate=0.3),
        HashedResidual(name="categories", reference=mean, row=categories, rate=1.0),
        HashedResidual(name="linear_and_categories", reference=steady.prediction, row=categories, rate=3.0),
    ]
    if text:
        # After the steady one in the pool, whose prediction they start from.
        experts += [
            _ngrams("linear_and_ngrams_slow", text, steady.prediction, 1.0),
            _ngrams("linear_and_ngrams_fast", text, steady.prediction, 3.0),
            _ngrams("linear_and_words", text, steady.prediction, 3.0, bits=WORD_BITS),
        ]
    return experts


def _on_targets(history: TargetHistory, *, seed: int) -> list[Expert]:
    last, lags = history.last, history.lags
    return [
        Guess(name="last", reference=last),
        LinearResidual(name="lags", reference=last, inputs=(lags,), forgetting=0.999),
        LinearResidual(name="lags_fast", reference=last, inputs=(lags,), forgetting=0.99),
        FourierResidual(name="fourier_lags", reference=last, inputs=lags, bandwidth=2.0, forgetting=0.999, seed=seed + 3),
    ]


def _on_both(history: TargetHistory, table: TableFeatures, *, seed: int) -> list[Expert]:
    last, key, keyed, row, changes = history.last, history.key, history.keyed, table.current, table.context
    everything = (history.lags, row, changes)
    return [
        Guess(name="key_last", reference=key),
        Guess(name="key_mean", reference=history.key_mean),
        LinearResidual(name="changes", reference=last, inputs=(changes,), forgetting=0.99),
        LinearResidual(name="lags_and_row", reference=last, inputs=everything, forgetting=0.998),
        FourierResidual(name="fourier_changes", reference=last, inputs=changes, bandwidth=2.0, forgetting=0.999, seed=seed + 4),
        LinearResidual(name="keyed_fast", reference=key, inputs=(keyed,), forgetting=0.97, error_limit=3.0),
        LinearResidual(name="keyed_row_fast", reference=key, inputs=(keyed, row), forgetting=0.97, error_limit=3.0),
        LinearResidual(name="keyed_row", reference=key, inputs=(keyed, row), forgetting=0.99, error_limit=3.0),
        FourierResidual(
            name="fourier_keyed", reference=key, inputs=keyed, bandwidth=2.0, forgetting=0.999, seed=seed + 5, ridge=0.01
        ),
    ]
