"""Small texts, labels and a stand-in encoder for the tests of the text pool."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert
from daemon.learning.experts.knn import NearestNeighbours
from daemon.learning.experts.lda import StreamingLDA
from daemon.learning.experts.logistic import LogisticBank
from daemon.learning.experts.markov import MarkovLabel
from daemon.learning.experts.naive_bayes import NaiveBayes
from daemon.learning.experts.prior import DecayedPrior
from daemon.learning.experts.softmax import SoftmaxBank
from daemon.learning.experts.word_bayes import WordBayes
from daemon.learning.features.text import TextFeatures
from daemon.learning.models.mixture import Mixture
from daemon.learning.texts import text_mixer

TOPICS = (
    "ship boat harbour sail wind",
    "oven bread flour yeast salt",
    "goal match team league score",
    "court judge law appeal verdict",
)


class HashedEncoder:
    """The mean of one fixed random vector a word, to length 1: texts that share words are near each other."""

    def __init__(self, width: int = 12) -> None:
        self.width = width

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([self._vector(text) for text in texts]) if texts else np.zeros((0, self.width), np.float32)

    def _vector(self, text: str) -> NDArray[np.float32]:
        words = text.split() or [""]
        seeds = [int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") for word in words]
        vector = np.mean([np.random.default_rng(seed).normal(size=self.width) for seed in seeds], axis=0)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def topic_rows(num_rows: int, *, seed: int) -> tuple[Batch, NDArray[np.float64]]:
    """Texts of four topics, three topic words and two that every topic shares; labels first appear in the order 0, 1, 2, 3."""
    rng = np.random.default_rng(seed)
    targets = np.concatenate([[0, 0, 1, 0, 2, 1, 3], rng.integers(0, 4, size=num_rows)])[:num_rows]
    texts = [
        " ".join([*rng.choice(TOPICS[target].split(), size=3), *rng.choice(["the", "a", "of", "to", "and", "by"], size=2)])
        for target in targets
    ]
    return Batch(texts, [{}] * num_rows), targets.astype(np.float64)


def text_experts(text: TextFeatures) -> list[Expert]:
    """The whole text pool."""
    lda = StreamingLDA(text=text) if text.width else None
    experts: list[Expert] = [lda, NearestNeighbours(text=text, capacity=16)] if lda else []
    softmaxes = SoftmaxBank(text=text, lda=lda, num_logistic=2)
    return [
        *experts,
        *softmaxes.experts(),
        NaiveBayes(text=text, table=softmaxes.table),
        WordBayes(text=text, table=softmaxes.table),
        *LogisticBank(text=text, table=None, words=softmaxes.table).experts(),
        MarkovLabel(decay=0.995, pseudo_count=0.5),
        DecayedPrior(half_life=32.0, pseudo_count=0.5),
    ]


def text_mixture(*, with_encoder: bool = True, width: int = 12, late: bool = False) -> Mixture:
    text = TextFeatures(encoder=HashedEncoder(width) if with_encoder else None)
    experts = text_experts(text)
    return Mixture(
        extractors={"text": text},
        experts=experts,
        mixer=text_mixer(experts, late=late),
        make_experts=lambda: text_experts(text),
        shows_inputs=True,
    )
