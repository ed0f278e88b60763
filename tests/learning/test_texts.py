from __future__ import annotations

from daemon.learning.features.text import TextFeatures
from daemon.learning.texts import text_experts
from tests.learning.texts import HashedEncoder

SOFTMAXES = ["softmax_0", "softmax_1", "softmax_2"]


def names(*, with_encoder: bool = True, label_history: bool = True) -> list[str]:
    features = TextFeatures(encoder=HashedEncoder() if with_encoder else None)
    return [expert.name for expert in text_experts(features, label_history=label_history)]


def test_the_pool_with_an_encoder_and_without() -> None:
    assert names() == ["lda", "knn", *SOFTMAXES, "naive_bayes", "word_bayes", "markov", "prior"]
    assert names(with_encoder=False) == [*SOFTMAXES, "naive_bayes", "word_bayes", "markov", "prior"]


def test_without_label_history_no_expert_reads_earlier_labels_alone() -> None:
    assert names(label_history=False) == ["lda", "knn", *SOFTMAXES, "naive_bayes", "word_bayes"]
