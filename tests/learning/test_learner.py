from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from daemon.learning.learner import Learner, inputs
from daemon.learning.tasks.classification import Classification
from streams.record import Example
from tests.contracts.expert_checks import assert_same_state
from tests.learning.test_transformer_snapshot import EXAMPLES, QUESTIONS, transformer
from tests.learning.texts import text_mixture
from tests.learning.tiny import tiny_bert

pytestmark = pytest.mark.usefixtures("deterministic")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("encoder"), [example.text for example in EXAMPLES])


def learner(encoder: Path) -> Learner:
    return Learner(task=Classification(max_labels=3), model=transformer(encoder, "full"))


def test_a_micro_batch_is_scored_before_it_is_learned(encoder: Path) -> None:
    scored = learner(encoder).learn(EXAMPLES[:4])
    assert scored.labels == ("ham", "spam")
    assert scored.target_B.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(scored.output, [[0, 0], [1, 0], [0.5, 0.5], [0.5, 0.5]], atol=1e-6)
    assert scored.weight_B.tolist() == [1, 1, 1, 1]


def test_a_row_of_weight_zero_teaches_no_label(encoder: Path) -> None:
    told, spared = learner(encoder), learner(encoder)
    skipped = Example("x", "invoice", {}, "bill", weight=0.0)
    scored = told.learn([*EXAMPLES[:3], skipped, *EXAMPLES[3:6]])
    spared.learn(EXAMPLES[:6])
    assert np.isnan(scored.target_B[3])
    assert scored.labels == told.task.labels == ("ham", "spam")
    assert told.state_dict()["labels"] == spared.state_dict()["labels"]
    np.testing.assert_allclose(scored.output[3], [0.5, 0.5], atol=1e-6)


def test_a_class_weight_is_worth_as_much_on_the_examples() -> None:
    by_class = Learner(task=Classification(max_labels=2, class_weights={"spam": 2.0}), model=text_mixture(with_encoder=False))
    by_row = Learner(task=Classification(max_labels=2), model=text_mixture(with_encoder=False))
    weighted = [replace(example, weight=2.0 if example.target == "spam" else 1.0) for example in EXAMPLES[:20]]
    one, other = by_class.learn(EXAMPLES[:20]), by_row.learn(weighted)
    assert one.weight_B.tolist() == other.weight_B.tolist()
    assert one.output.tobytes() == other.output.tobytes()
    assert_same_state(by_class.state_dict(), by_row.state_dict())


def test_the_balanced_answer_comes_from_the_model() -> None:
    learner = Learner(task=Classification(max_labels=2), model=text_mixture(with_encoder=False))
    learner.learn(EXAMPLES[:20])
    assert learner.predict_balanced(QUESTIONS).tobytes() == learner.model.predict_balanced(QUESTIONS).tobytes()
    assert learner.predict_balanced(QUESTIONS).tobytes() != learner.predict(QUESTIONS).tobytes()


def test_reload_goes_on_with_labels_and_weights(encoder: Path) -> None:
    first, second = learner(encoder), learner(encoder)
    first.learn(EXAMPLES[:20])
    second.load_state_dict(first.state_dict())
    after_first, after_second = first.learn(EXAMPLES[20:40]), second.learn(EXAMPLES[20:40])
    assert after_second.labels == after_first.labels
    assert np.array_equal(after_second.output, after_first.output)
    assert np.array_equal(second.predict(QUESTIONS), first.predict(QUESTIONS))


def test_rate_and_re_warming_reach_the_model(encoder: Path) -> None:
    one = learner(encoder)
    one.learn(EXAMPLES)
    one.set_rate(1e-3)
    assert one.model.stats()["learning_rate"] == 1e-3
    one.react()
    assert one.model.stats()["learning_rate"] == 2.5e-4


def test_a_label_too_many_is_refused(encoder: Path) -> None:
    with pytest.raises(ValueError, match="max_labels is 3: raise it"):
        learner(encoder).learn([Example(label, "", {}, label) for label in "abcd"])


def test_inputs_are_texts_and_features() -> None:
    batch = inputs([Example("1", "hello", {"size": 3.0}, "ham")])
    assert (list(batch.texts), list(batch.features), len(batch)) == (["hello"], [{"size": 3.0}], 1)
