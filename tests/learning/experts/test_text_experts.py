"""The contract of experts over the text pool, and what each expert alone must do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert
from daemon.learning.experts.knn import NearestNeighbours
from daemon.learning.experts.lda import StreamingLDA
from daemon.learning.experts.markov import MarkovLabel
from daemon.learning.experts.naive_bayes import NaiveBayes
from daemon.learning.experts.prior import DecayedPrior
from daemon.learning.experts.softmax import SoftmaxBank
from daemon.learning.experts.word_bayes import WordBayes
from daemon.learning.features.text import TextFeatures
from tests.contracts.expert_checks import CHECKS, Case, Pool, Runner
from tests.contracts.weight_checks import check_weight_two_doubles_the_step
from tests.learning.texts import HashedEncoder, text_experts, topic_rows

BATCH, TARGETS = topic_rows(60, seed=5)


def case(name: str, experts: Callable[[TextFeatures], list[Expert]], *, with_encoder: bool = True) -> Case:
    def make() -> Pool:
        text = TextFeatures(encoder=HashedEncoder() if with_encoder else None)
        return [text], experts(text)

    return Case(name, make, BATCH, TARGETS)


def lda_and_softmaxes(text: TextFeatures) -> list[Expert]:
    lda = StreamingLDA(text=text)
    return [lda, *SoftmaxBank(text=text, lda=lda).experts()]


CASES = (
    case("lda", lambda text: [StreamingLDA(text=text)]),
    case("softmax", lambda text: list(SoftmaxBank(text=text, lda=None).experts()), with_encoder=False),
    case("lda+softmax", lda_and_softmaxes),
    case("naive_bayes", lambda text: [NaiveBayes(text=text)], with_encoder=False),
    case("word_bayes", lambda text: [WordBayes(text=text)], with_encoder=False),
    case("knn", lambda text: [NearestNeighbours(text=text, capacity=16)]),
    case("markov", lambda text: [MarkovLabel(decay=0.9, pseudo_count=0.5)]),
    case("prior", lambda text: [DecayedPrior(half_life=8.0, pseudo_count=0.5)]),
    case("all", text_experts),
)


@pytest.mark.parametrize("check", [*CHECKS, check_weight_two_doubles_the_step], ids=lambda check: check.__name__)
@pytest.mark.parametrize("example", CASES, ids=str)
def test_contract(example: Case, check: Callable[[Case], None]) -> None:
    check(example)


def test_lda_holds_the_inverse_of_the_scatter_it_has_seen() -> None:
    example = case("lda", lambda text: [StreamingLDA(text=text)])
    runner = Runner(example)
    runner.learn(0, 60)
    x_BD = HashedEncoder().encode(BATCH.texts).astype(np.float64)
    scatter_DD, mean_CD, count_C = np.eye(12), np.zeros((4, 12)), np.zeros(4)
    for x_D, label in zip(x_BD, TARGETS.astype(int), strict=True):
        d_D = x_D - mean_CD[label]
        scatter_DD += count_C[label] / (count_C[label] + 1) * np.outer(d_D, d_D)
        count_C[label] += 1
        mean_CD[label] += d_D / count_C[label]
    state = runner.state()["experts"]["lda"]
    inverse_DD = np.linalg.inv(scatter_DD)
    np.testing.assert_allclose(state["inverse"], inverse_DD, atol=1e-12)
    assert (state["inverse"] == state["inverse"].T).all()
    np.testing.assert_allclose(state["means"][:, :4].T, mean_CD, atol=1e-12)
    np.testing.assert_allclose(state["solved"][:, :4], inverse_DD @ mean_CD.T, atol=1e-12)
    np.testing.assert_allclose(state["squares"][:4], np.diag(mean_CD @ inverse_DD @ mean_CD.T), atol=1e-12)


def test_lda_stays_exact_over_many_rows() -> None:
    """Sherman and Morrison's updates add up rounding: after 20,000 of them the inverse is still one."""
    text = TextFeatures(encoder=HashedEncoder())
    lda = StreamingLDA(text=text)
    lda.grow()
    rng = np.random.default_rng(3)
    scatter_DD, mean_D = np.eye(12), np.zeros(12)
    for count in range(20_000):
        text.embedding = rng.normal(size=12).astype(np.float32)
        d_D = text.embedding - mean_D
        scatter_DD += count / (count + 1) * np.outer(d_D, d_D)
        mean_D += d_D / (count + 1)
        lda.learn(0, 1.0)
    np.testing.assert_allclose(lda.state_dict()["inverse"] @ scatter_DD, np.eye(12), atol=1e-9)


def softmax_weights(weight: float) -> dict[str, np.ndarray]:
    text = TextFeatures(encoder=HashedEncoder())
    bank = SoftmaxBank(text=text, lda=None)
    text.begin(Batch(["wind and sail"], [{}]))
    text.encode(0)
    bank.predict()
    bank.grow()
    bank.learn(0, weight)
    state = bank.state_dict()
    return {part: state["table"][part]["cells"] for part in ("words", "grams")} | {"dense": state["dense"]["cells"]}


@pytest.mark.parametrize("part", ["words", "grams", "dense"])
def test_weight_two_doubles_the_step_of_every_softmax(part: str) -> None:
    single, double = softmax_weights(1.0)[part], softmax_weights(2.0)[part]
    half = single.shape[1] // 2
    assert (double[:, :2] == 2.0 * single[:, :2]).all()
    assert (double[:, half:] == single[:, half:]).all()  # the accumulated squares do not depend on the weight
    assert np.abs(single[:, :2]).min() > 0.0


def test_the_first_step_of_a_softmax_is_adagrads() -> None:
    weights = softmax_weights(1.0)
    cells = np.concatenate([weights[part][:, :2] for part in ("words", "grams")])  # class 0 and the spare, both at 1/2
    text = TextFeatures(encoder=None)
    text.begin(Batch(["wind and sail"], [{}]))
    text.encode(0)
    g = 0.5 * text.values.astype(np.float64)
    step = g / np.sqrt(g * g + 3e-5)
    for plane, rate in enumerate((0.1, 0.4)):
        np.testing.assert_allclose(cells[:, plane, 0], rate * step, rtol=1e-5)
        np.testing.assert_allclose(cells[:, plane, 1], -rate * step, rtol=1e-5)


def test_weight_two_counts_twice() -> None:
    once, twice = Runner(CASES[3]), Runner(CASES[3])
    once.learn(0, 1)
    twice.learn(0, 1, weight=2.0)
    first, second = (runner.state()["experts"]["naive_bayes"] for runner in (once, twice))
    for part in ("words", "grams"):
        cells, doubled = (state["table"][part]["cells"][:, -1] for state in (first, second))  # the plane of the counts
        assert (doubled == 2.0 * cells).all()
        assert cells.any()
    assert (second["rows"] == 2.0 * first["rows"]).all()


def test_naive_bayes_by_hand() -> None:
    text = TextFeatures(encoder=None)
    bayes = NaiveBayes(text=text, smoothing=0.5)
    text.begin(Batch(["a", "b"], [{}, {}]))  # too short for a 4-gram: one feature each, of value 1
    for row in (0, 1):
        text.encode(row)
        bayes.predict()
        bayes.grow()
        bayes.learn(row, 1.0)
    text.encode(0)
    # rows 1, 1, 0 and a half each; word counts (1 + .5) / 2.5, .5 / 2.5, and .5 / 1.5 for the spare (3 = 2 features + 1),
    # where 1 + .5 is 3 times .5 by a logarithm held in float32
    counted = 0.5 * np.exp(float(np.log(np.float32(3.0))))
    expected = np.array([1.5 * counted / 2.5, 1.5 * 0.5 / 2.5, 0.5 * 0.5 / 1.5])
    np.testing.assert_allclose(bayes.predict(), expected / expected.sum(), rtol=1e-9)


def test_neighbours_are_the_last_ones_and_those_of_the_same_micro_batch() -> None:
    text = TextFeatures(encoder=HashedEncoder())
    knn = NearestNeighbours(text=text, capacity=2, num_neighbours=1, pseudo_count=0.1, sharpness=4.0)
    batch = Batch(["sail", "bread", "goal", "bread", "sail"], [{}] * 5)
    text.begin(batch)
    knn.begin(batch)
    predicted = []
    for row, target in enumerate([0, 1, 2, 1, 0]):
        text.encode(row)
        predicted.append(knn.predict())
        if row < 3:
            knn.grow()
        knn.learn(target, 1.0)
    np.testing.assert_allclose(predicted[3], np.array([0.1, 1.1, 0.1, 0.1]) / 1.4, rtol=1e-6)  # "bread" of this batch
    assert predicted[4].argmax() != 0  # "sail" of row 0 has been overwritten


def test_a_weight_multiplies_the_vote_of_a_neighbour_and_not_its_balanced_one() -> None:
    text = TextFeatures(encoder=HashedEncoder())
    knn = NearestNeighbours(text=text, pseudo_count=0.1)
    batch = Batch(["sail"] * 3, [{}] * 3)
    text.begin(batch)
    knn.begin(batch)
    for label, weight in enumerate((3.0, 1.0)):
        text.encode(label)
        knn.grow()
        knn.learn(label, weight)
    text.encode(2)
    np.testing.assert_allclose(knn.predict(), np.array([3.1, 1.1, 0.1]) / 4.3, rtol=1e-6)
    # The mean weight of a class is 4 / 3, with the spare.
    np.testing.assert_allclose(knn.predict_balanced(), np.array([4 / 3, 4 / 3, 0.0]) / 2.9667 + 0.1 / 2.9667, rtol=1e-4)


def test_a_state_of_another_shape_is_refused() -> None:
    from daemon.errors import StateError

    narrow = SoftmaxBank(text=TextFeatures(encoder=None), lda=None, rates=(0.1,))
    wide = SoftmaxBank(text=TextFeatures(encoder=None), lda=None)
    with pytest.raises(StateError, match="start with a fresh folder"):
        narrow.load_state_dict(wide.state_dict())


def test_a_new_label_is_expected_to_stay_where_labels_come_sorted() -> None:
    """From the second row of a new label on, the first of them is the best guess, however many labels there were before."""
    chain, wrong = MarkovLabel(decay=0.995, pseudo_count=0.5), 0
    for row, label in enumerate(np.repeat(np.arange(40), 25).tolist()):
        p_K = chain.predict()
        wrong += row > 0 and p_K.argmax() != label
        if label == len(p_K) - 1:
            chain.grow()
        chain.learn(label, 1.0)
    assert wrong == 39
    assert chain.predict()[39] > 0.9
