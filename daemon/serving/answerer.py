"""What is served: an object built from a snapshot that answers inputs, and the inputs and answers themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NotRequired, Protocol, TypeAlias, TypedDict, final

from daemon.errors import ModelError
from daemon.storage.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Input:
    """One row to be answered. A row without text has "", a row without features has {}; a missing column is a missing value."""

    text: str = ""
    features: Mapping[str, float | str] = field(default_factory=dict)


def features_of(values: Mapping[str, float | str | bool | None]) -> dict[str, float | str]:
    """The features that JSON values stand for, as the stream's decoder reads them: otherwise the model would meet other
    inputs in questions than it learned from.

    >>> features_of({"age": 7.0, "colour": "red", "is_new": True, "size": None})
    {'age': 7.0, 'colour': 'red', 'is_new': 'true'}
    """
    return {
        name: ("true" if value else "false") if isinstance(value, bool) else value
        for name, value in values.items()
        if value is not None
    }


@final
class Labelled(TypedDict):
    """Classification: the label with the highest score, the score of each label, and, where the model has such an answer, the
    scores as if all labels were equally frequent: for streams whose labels come sorted."""

    label: str
    scores: dict[str, float]
    scores_balanced: NotRequired[dict[str, float]]


@final
class Valued(TypedDict):
    """Regression."""

    value: float


Answer: TypeAlias = Labelled | Valued


class Answerer(Protocol):
    """Answers inputs with the weights of one snapshot; no answer changes the next.

    One thread calls `answer` of what is served, but the next snapshot warms up on another: parts that two answerers share
    (a frozen encoder) must bear that.
    """

    @property
    def task(self) -> Literal["classification", "regression"]: ...

    @property
    def labels(self) -> Sequence[str]:
        """The labels that scores are given for, in their order; empty for regression."""

    @property
    def reads(self) -> Sequence[Literal["text", "features"]]:
        """Which parts of an input the answer depends on."""

    def answer(self, inputs: Sequence[Input]) -> Sequence[Answer]:
        """One answer for each input, in order: `Labelled` or `Valued`, as `task` says."""


Load: TypeAlias = Callable[[Snapshot], Answerer]
"""Builds the answerer of a snapshot. Runs beside the serving one, on a thread of its own."""


def answer_all(answerer: Answerer, inputs: Sequence[Input]) -> Sequence[Answer]:
    """What `answerer` answers, once it is sure that there is one finite answer for each input.

    Raises `ModelError` where not: a number that is not finite has no place in JSON, nor in anybody's decision.
    """
    answers = answerer.answer(inputs)
    if len(answers) != len(inputs):
        raise ModelError(f"the model gave {len(answers)} answers to {len(inputs)} inputs; its answer() must keep their number")
    for row, answer in enumerate(answers):
        numbers = (
            [*answer["scores"].values(), *answer.get("scores_balanced", {}).values()]
            if "scores" in answer
            else [answer["value"]]
        )
        if not all(map(math.isfinite, numbers)):
            raise ModelError(
                f"the answer to row {row} of {len(inputs)} is not finite: {answer}; roll back to an older snapshot"
            )
    return answers
