from __future__ import annotations

from daemon.learning.features.text import TextFeatures
from daemon.learning.texts import text_experts
from tests.learning.texts import HashedEncoder

# The softmaxes and those that count share a table; the logistic regressions read words alone.
WORDS_AND_BYTES = ["softmax_0", "softmax_1", "softmax_2", "naive_bayes", "word_bayes", "logistic_0", "logistic_1"]


def names(*, with_encoder: bool = True, label_history: bool = True) -> list[str]:
    features = TextFeatures(encoder=HashedEncoder() if with_encoder else None)
    return [expert.name for expert in text_experts(features, label_history=label_history)]


def test_the_pool_with_an_encoder_and_without() -> None:
    assert names() == ["lda", "knn", *WORDS_AND_BYTES, "markov", "prior"]
    assert names(with_encoder=False) == [*WORDS_AND_BYTES, "markov", "prior"]


def test_without_label_history_no_expert_reads_earlier_labels_alone() -> None:
    assert names(label_history=False) == ["lda", "knn", *WORDS_AND_BYTES]


def test_beside_a_table_the_logistic_regressions_are_those_of_the_table() -> None:
    experts = text_experts(TextFeatures(encoder=None), beside_table=True)
    assert not any(expert.name.startswith("logistic") for expert in experts)
