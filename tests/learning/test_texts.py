from __future__ import annotations

import numpy as np

from daemon.learning.batch import Batch
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.text import TextFeatures
from daemon.learning.texts import text_experts
from tests.contracts.expert_checks import Case, Pool, Runner
from tests.learning.texts import HashedEncoder

# They share a table; `word_bayes` and the logistic regressions read words alone.
WORDS_AND_BYTES = ["softmax_0", "softmax_1", "naive_bayes", "word_bayes", "logistic_0", "logistic_1"]


def names(*, with_encoder: bool = True, label_history: bool = True) -> list[str]:
    features = TextFeatures(encoder=HashedEncoder() if with_encoder else None)
    return [expert.name for expert in text_experts(features, label_history=label_history)]


def test_the_pool_with_an_encoder_and_without() -> None:
    assert names() == ["lda", "knn", *WORDS_AND_BYTES, "markov", "prior"]
    assert names(with_encoder=False) == [*WORDS_AND_BYTES, "markov", "prior"]


def test_without_label_history_no_expert_reads_earlier_labels_alone() -> None:
    assert names(label_history=False) == ["lda", "knn", *WORDS_AND_BYTES]


def test_beside_a_table_the_logistic_regressions_read_its_columns_too() -> None:
    rows = [{"x": float(x)} for x in np.random.default_rng(0).normal(size=400)]
    first = rows[0]["x"] > 0.0
    targets = np.array([float((row["x"] > 0.0) != first) for row in rows])

    def pool() -> Pool:
        texts, table = TextFeatures(encoder=None), TableFeatures()
        read = ("softmax", "logistic")  # the softmaxes hold the table
        return [texts, table], [expert for expert in text_experts(texts, columns=table) if expert.name.startswith(read)]

    runner = Runner(Case("columns", pool, Batch(["the same words"] * 400, rows), targets))
    runner.learn(0, 300)
    p_BE = runner.predict(300, 400)
    softmax, logistic = (np.array([p_K[:2].argmax() for p_K in p_BE[e::4]]) for e in (0, 3))
    assert (softmax == targets[300:]).mean() < 0.7
    assert (logistic == targets[300:]).mean() > 0.9
