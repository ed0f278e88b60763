"""Where prequential predictions are written down, one JSON line a row, when somebody asked for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from daemon.errors import ConfigError
from daemon.learning.learner import Scored
from daemon.learning.tasks.base import Task
from daemon.state import JSON
from streams.record import Example


class PredictionLog(Protocol):
    """Takes what was predicted for each example before it was learned."""

    def write(self, examples: Sequence[Example], scored: Scored, *, task: Task) -> None: ...

    def close(self) -> None: ...


class NoPredictions:
    """Nobody asked."""

    def write(self, examples: Sequence[Example], scored: Scored, *, task: Task) -> None:
        pass

    def close(self) -> None:
        pass


class PredictionFile:
    """JSON lines with row, label, prediction and scores of the labels known then; regression: no scores.

    `row` is the row of the file, counted from 0; one that became a dead letter has no line. Raises `ConfigError` where the
    file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise ConfigError(f"--predictions {path}: cannot be written ({error.strerror}); name a path that can") from None

    def write(self, examples: Sequence[Example], scored: Scored, *, task: Task) -> None:
        for example, answer in zip(examples, task.decode(scored.output), strict=True):
            line = {"row": example.offset, "label": example.target, **_fields(answer)}
            self._file.write(msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        self._file.close()


def _fields(answer: Mapping[str, JSON]) -> dict[str, JSON]:
    if "value" in answer:
        return {"prediction": answer["value"], "scores": None}
    scores = answer["scores"]
    assert isinstance(scores, dict)
    # A label that was not known yet has 0, wherever the micro-batch was cut; before any was known there was no answer.
    known: dict[str, JSON] = {label: score for label, score in scores.items() if score}
    return {"prediction": answer["label"] if known else None, "scores": known}
