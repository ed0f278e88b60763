"""Every class of expert is under the contract: in a pool that the checks run over, in the table of steps, with an example.

A new class needs a place in a pool of its area, or a pool of its own that is listed here, its line in `STEPS`, and a place
among the pools whose memories are full (`test_full.py`) and among the models that are refused what is no number
(`test_refusals.py`) and that learn a million rows (`test_soak.py`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon import learning
from daemon.learning.experts.bank import Bank
from daemon.learning.experts.base import Expert, Extractor
from daemon.learning.models.base import Model
from tests.contracts import test_refusals, test_soak
from tests.contracts.discovery import classes_of, experts_of, has_example
from tests.contracts.expert_checks import Case
from tests.contracts.weight_checks import STEPS, elsewhere, entries
from tests.learning import test_regressors, test_tables
from tests.learning.experts import test_finetuned, test_logistic, test_text_experts
from tests.learning.tiny import tiny_bert

FOUND = classes_of(Expert, learning)
MODELS = classes_of(Model, learning)
WHOLE = ("all", "text and table", "naive_bayes", "word_bayes", "words")
PUBLIC = (kind for kind in FOUND if not kind.__name__.startswith("_"))
DOCUMENTED = sorted((*PUBLIC, *classes_of(Bank, learning)), key=lambda kind: kind.__name__)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """The whole pools that `CHECKS` and the table of steps run over in the tests of each area, and those with their own
    table, which they share in the pool."""
    areas = (*test_text_experts.CASES, *test_logistic.CASES, *test_tables.CASES, *test_regressors.CASES)
    encoder = tiny_bert(tmp_path_factory.mktemp("encoder"), test_finetuned.TOPICS.texts)
    return [*(case for case in areas if case.name in WHOLE), test_finetuned.case(encoder)]


def test_every_expert_and_extractor_is_in_a_pool_that_the_checks_run_over(cases: list[Case]) -> None:
    pools = [case.make() for case in cases]
    assert {type(expert) for _, pool in pools for expert in pool} == FOUND
    assert {type(extractor) for extractors, _ in pools for extractor in extractors} == classes_of(Extractor, learning)


def test_every_expert_and_model_is_refused_what_is_no_number(tmp_path: Path) -> None:
    encoder = tiny_bert(tmp_path, test_finetuned.TOPICS.texts)
    models = [case.make(encoder) for case in test_refusals.CASES]
    assert {type(model) for model in models} == MODELS
    assert set[type]().union(*map(experts_of, models)) == FOUND


def test_the_memory_of_every_expert_and_model_is_watched_over_a_million_rows(tmp_path: Path) -> None:
    models = [stream.make(tmp_path) for stream in test_soak.STREAMS]
    assert {type(model) for model in models} == MODELS
    assert set[type]().union(*map(experts_of, models)) == FOUND


def test_the_table_of_steps_names_every_expert() -> None:
    assert STEPS.keys() == FOUND


def test_every_step_is_taken(cases: list[Case]) -> None:
    """No relation holds because nothing moved."""
    moved = {
        (kind, path.partition(".")[2])
        for case in cases
        for kind, path, entry, relation in entries(case)
        if relation is not None and entry.one.shape == entry.two.shape and (entry.one != entry.two).any()
    }
    named = {
        (kind, path) for kind, relations in STEPS.items() for path, relation in relations.items() if relation is not elsewhere
    }
    assert named <= moved


@pytest.mark.parametrize("kind", DOCUMENTED)
def test_a_documented_example_is_there(kind: type[Expert | Bank]) -> None:
    assert has_example(kind)
