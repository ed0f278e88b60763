"""What is no number is refused by every model, and by the learner, before anything of its micro-batch is learned."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert
from daemon.learning.features.text import TextFeatures
from daemon.learning.late import Late
from daemon.learning.learner import Learner
from daemon.learning.mixer import Mixer
from daemon.learning.models.base import Model
from daemon.learning.models.linear import Linear
from daemon.learning.models.mixture import Mixture
from daemon.learning.regression_mixer import RegressionMixer
from daemon.learning.tasks.base import Task
from daemon.learning.tasks.classification import Classification
from daemon.learning.tasks.regression import Regression
from daemon.state import State
from streams.record import Example
from tests.contracts.expert_checks import assert_same_state
from tests.contracts.test_replay import CASES as POLICIES
from tests.contracts.test_replay import Case as Policy
from tests.learning.experts import test_finetuned
from tests.learning.test_regressors import make_model
from tests.learning.test_tables import make_mixture
from tests.learning.texts import text_experts, text_mixture
from tests.learning.tiny import tiny_bert
from tests.learning.transformers import transformer

NOT_FINITE = (math.nan, math.inf, -math.inf)
# A target is a number, or names a class; each of the new rows brings one, and a column.
EXAMPLES = [Example(str(i), f"row {i}", {"x": float(i)}, float(i % 2)) for i in range(12)]
NEW = [Example("a", "new", {"x": 1.0, "new": 1.0}, 2.0), Example("b", "newer", {"x": 2.0, "newer": 1.0}, 3.0)]


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[Path], Model]
    """From a folder with an encoder."""
    classifies: bool = True
    reads_features: bool = True

    def __str__(self) -> str:
        return self.name

    def learner(self, folder: Path) -> Learner:
        task: Task = Classification(max_labels=9) if self.classifies else Regression()
        return Learner(task=task, model=self.make(folder))

    def examples(self, examples: Sequence[Example]) -> list[Example]:
        return [replace(row, target=f"class {row.target}") for row in examples] if self.classifies else list(examples)


def finetuned(folder: Path) -> Mixture:
    """That expert alone."""
    [tokens], experts = test_finetuned.pool(folder, rows_per_step=4)
    return Mixture(extractors={"tokens": tokens}, experts=experts, mixer=Mixer(num_experts=1))


def with_replay(policy: Policy) -> Case:
    def make(folder: Path) -> Model:
        return transformer(folder, max_tokens=8, rows_per_step=4, replayed_per_step=4, replay=policy.make(1))

    return Case(f"transformer_{policy.name}", make, reads_features=False)


CASES = (
    Case("tables", lambda _: make_mixture()),
    Case("texts", lambda _: text_mixture(), reads_features=False),
    Case("numbers", lambda _: make_model(), classifies=False),
    Case("late", lambda _: Late(pool=make_mixture(), delay=3, blends=True)),
    Case("late_numbers", lambda _: Late(pool=make_model(), delay=3, blends=True), classifies=False),
    Case("linear", lambda _: Linear(classifies=True)),
    Case("linear_numbers", lambda _: Linear(classifies=False), classifies=False),
    Case("finetuned", finetuned, reads_features=False),
    *(with_replay(policy) for policy in POLICIES),
)
every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_value = pytest.mark.parametrize("value", NOT_FINITE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("encoder"), [example.text for example in EXAMPLES])


def plain(state: State) -> State:
    """With tensors as arrays."""
    return {
        key: plain(value) if isinstance(value, dict) else value.numpy() if isinstance(value, torch.Tensor) else value
        for key, value in state.items()
    }


@every_case
def test_a_learner_takes_nothing_of_a_micro_batch_with_what_is_no_number(case: Case, folder: Path) -> None:
    learner = case.learner(folder)
    learner.learn(case.examples(EXAMPLES))
    before = plain(learner.state_dict())
    first, second = case.examples(NEW)
    bad = [replace(second, weight=value) for value in (*NOT_FINITE, -1.0)] + [replace(second, target=math.nan)]
    if case.reads_features:
        bad += [replace(second, features={"x": value}) for value in NOT_FINITE]
    for example in bad:
        with pytest.raises(ValueError, match=r"not a finite number|not a string"):
            learner.learn([first, example])
        assert_same_state(before, plain(learner.state_dict()))
    learner.learn([first, second])
    assert plain(learner.state_dict())["labels"] == {
        "labels": [f"class {c}" for c in (0.0, 1.0, 2.0, 3.0)] if case.classifies else []
    }


@pytest.mark.parametrize("case", [case for case in CASES if case.classifies], ids=str)
def test_a_label_that_only_comes_without_weight_stays_unknown(case: Case, folder: Path) -> None:
    learner = case.learner(folder)
    examples = case.examples(EXAMPLES)
    unheard = replace(examples[0], target="unheard", weight=0.0)
    scored = learner.learn([unheard, *examples, unheard])
    assert np.isnan(scored.target_B[[0, -1]]).all()
    assert scored.labels == ("class 0.0", "class 1.0")
    assert learner.learn([unheard]).output.shape == (1, 2)


@every_case
@every_value
def test_a_model_takes_no_row_of_a_micro_batch_with_such_a_target_or_weight(case: Case, value: float, folder: Path) -> None:
    model, batch = case.make(folder), Batch([row.text for row in EXAMPLES], [row.features for row in EXAMPLES])
    before = plain(model.state_dict())
    good_B, bad_B = np.array([row.target for row in EXAMPLES], np.float64), np.ones(len(EXAMPLES))
    bad_B[-1] = value
    with pytest.raises(ValueError, match=f"weight {value} is not a finite number of at least 0"):
        model.learn(batch, good_B, bad_B)
    with pytest.raises(ValueError, match=f"target {value} is not a "):
        model.learn(batch, bad_B, np.ones(len(EXAMPLES)))
    assert_same_state(before, plain(model.state_dict()))


class Broken:
    """An encoder whose second text is no vector."""

    width = 12

    def __init__(self, value: float) -> None:
        self._value = value

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors_BD = np.full((len(texts), self.width), 12**-0.5, np.float32)
        vectors_BD[1:2, 3] = self._value
        return vectors_BD


@every_value
def test_an_embedding_that_is_not_finite_is_refused(value: float) -> None:
    text = TextFeatures(encoder=Broken(value))
    experts: list[Expert] = text_experts(text)
    model = Mixture(extractors={"text": text}, experts=experts, mixer=Mixer(num_experts=len(experts)))
    model.learn(Batch(["one"], [{}]), np.zeros(1), np.ones(1))
    before = model.state_dict()
    for _ in range(2):
        with pytest.raises(ValueError, match="the encoder gave an embedding that is not finite"):
            model.learn(Batch(["one", "two"], [{}, {}]), np.zeros(2), np.ones(2))
        assert_same_state(before, model.state_dict())


@every_value
def test_an_expert_that_says_no_number_moves_only_its_own_weight(value: float) -> None:
    mixer, number = Mixer(num_experts=3), RegressionMixer(num_experts=3)
    for row in range(300):
        p_EK = np.array([[0.8, 0.2], [0.7, 0.3], [value, value]])
        assert mixer.mix(p_EK).sum() == pytest.approx(1.0)
        mixer.learn(0, 1.0)
        number.mix(np.array([row % 2, 0.5, value if row else 0.0]))
        number.learn(float(row % 2), 1.0)
    assert mixer.mix(p_EK)[0] > 0.7
    assert abs(number.mix(np.array([1.0, 0.5, value])) - 1.0) < 0.5
    for weight_E in (mixer.expert_weights, number.expert_weights):
        assert np.isfinite(weight_E).all()
        assert weight_E[2] < 0.05
