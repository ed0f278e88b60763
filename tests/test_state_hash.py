"""`state_sha256` covers each part of the state: whichever is lost on the way through a checkpoint, the hash tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace

import pytest

from daemon.assembly.training import training
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.text import TextFeatures
from daemon.learning.tables import table_experts
from daemon.learning.texts import text_experts
from daemon.monitoring.baselines import classification_baselines
from daemon.monitoring.rivals import BEST_EXPERT
from daemon.pipeline import Pipeline
from daemon.state import State
from daemon.storage.checkpoints import Checkpoints
from daemon.storage.tensors import host_copy
from tests import learners

# What every model's state has, whatever learns. "/" parts the keys.
WATCHED = (
    "evaluation/metrics/model",
    "evaluation/metrics/slices",
    *(f"evaluation/baselines/{name}" for name in classification_baselines()),
    "evaluation/detectors",
    "learner/labels",
    "progress/positions",
    "progress/journaled",
)
TRANSFORMER = ("weights", "optimizer", "schedule", "replay", "generators", "pending")
MIXTURE = ("rows", "reaction", "num_classes", "rows_alone", "rows_since_new", "loss", "errors", "mixer", "anchor")

# Into how many steps the rows were cut, and what was published on the way, changes nothing that is learned.
LEFT_OUT = ("progress/step", "guard")


def experts(model: str) -> list[str]:
    """The pool's experts that have a state of their own (softmaxes share the first one's)."""
    text, table = TextFeatures(encoder=SimpleNamespace(width=8)), TableFeatures(label_history=True, earlier_rows=True)  # type: ignore[arg-type]
    pool = table_experts(table, seed=0) if model == "table" else text_experts(text)
    return [f"experts/{expert.name}" for expert in pool if expert.state_dict()]


def components(model: str) -> list[str]:
    """Each part of the state that is hashed."""
    watched = list(WATCHED)
    if model == "transformer":
        own = list(TRANSFORMER)
    elif model == "finetuned":
        # All else of that mixture stands under "text".
        return [f"learner/model/experts/finetuned/{part}" for part in TRANSFORMER]
    else:
        watched.append(f"evaluation/baselines/{BEST_EXPERT}")
        # A text's features depend on that text alone; a table's on the rows before it.
        own = [*MIXTURE, *experts(model), *(["extractors/table"] if model == "table" else [])]
    return [*watched, *(f"learner/model/{part}" for part in own)]


@dataclass(frozen=True, slots=True)
class Trained:
    """A run that has ended: the hash that it told, the state in its last checkpoint, and the state that it began with."""

    sha256: str
    state: State
    fresh: State
    pipeline: Pipeline
    """As it is after a restart, with nothing loaded but that checkpoint."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, torch_switches: None) -> Iterator[Callable[[str], Trained]]:
    """A run of each model, made when it is first asked for."""
    with ExitStack() as stack:

        @cache
        def run(model: str) -> Trained:
            folder = tmp_path_factory.mktemp(model)
            settings = learners.settings(model, folder, learners.stream(model, folder))
            with training(settings, until_end=True) as first:
                sha256 = first.trainer.run()
            checkpoint = Checkpoints(settings.storage.folder / "checkpoints").load_newest()
            assert checkpoint is not None
            pipeline = stack.enter_context(training(settings, until_end=True)).pipeline
            fresh = host_copy(pipeline.state_dict())
            pipeline.load_state_dict(host_copy(checkpoint.state))
            return Trained(sha256, checkpoint.state, fresh, pipeline)

        yield run


MODELS = ("text", "table", "finetuned", "transformer")
CASES = [(model, component) for model in MODELS for component in components(model)]


@pytest.mark.parametrize(("model", "component"), CASES)
def test_one_component_reset_is_another_hash(
    trained: Callable[[str], Trained], monkeypatch: pytest.MonkeyPatch, model: str, component: str
) -> None:
    run = trained(model)
    lossy = with_part(run.state, component, part(run.fresh, component))
    monkeypatch.setattr(run.pipeline, "state_dict", lambda: shallow_copy(lossy))
    assert run.pipeline.state_sha256() != run.sha256


@pytest.mark.parametrize("model", MODELS)
def test_a_restart_takes_every_component_from_the_checkpoint(
    trained: Callable[[str], Trained], monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    run = trained(model)
    assert run.pipeline.state_sha256() == run.sha256
    monkeypatch.setattr(run.pipeline, "state_dict", lambda: shallow_copy(run.state))
    assert run.pipeline.state_sha256() == run.sha256


@pytest.mark.parametrize("model", MODELS)
def test_no_part_of_the_state_is_without_its_case(trained: Callable[[str], Trained], model: str) -> None:
    known = (*components(model), *(components("text") if model == "finetuned" else ()), *LEFT_OUT)
    strangers = [path for path in leaves(trained(model).state) if not any(f"{path}/".startswith(f"{k}/") for k in known)]
    assert strangers == [], "hashed without a proof: name them above"


def part(state: State, path: str) -> object:
    """What lies at `path`; an empty state where a fresh one has nothing there."""
    for key in path.split("/"):
        state = state.get(key, {})
    return state


def with_part(state: State, path: str, value: object) -> State:
    """A state that differs from `state` at `path` alone."""
    key, _, rest = path.partition("/")
    return {**state, key: with_part(state[key], rest, value) if rest else value}


def shallow_copy(state: State) -> State:
    """Deep enough for `state_sha256`, which leaves out what lies two keys deep at most."""
    return {name: dict(below) for name, below in state.items()}


def leaves(state: State, path: str = "") -> Iterator[str]:
    for key, value in state.items():
        here = f"{path}/{key}".removeprefix("/")
        if isinstance(value, dict):
            yield from leaves(value, here)
        else:
            yield here
