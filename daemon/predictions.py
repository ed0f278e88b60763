"""Where prequential predictions are written down, one JSON line a row, when somebody asked for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from daemon.learning.learner import Scored
from daemon.learning.models.base import Floats
from streams.record import Example


class PredictionLog(Protocol):
    """Takes what was predicted for each example before it was learned."""

    def write(self, examples: Sequence[Example], scored: Scored) -> None: ...

    def close(self) -> None: ...


class NoPredictions:
    """Nobody asked."""

    def write(self, examples: Sequence[Example], scored: Scored) -> None:
        pass

    def close(self) -> None:
        pass


class PredictionFile:
    """JSON lines with row (counted from 0), label, prediction and scores; regression: value in place of scores."""

    def __init__(self, path: Path, *, decode: Callable[[Floats], Sequence[Mapping[str, object]]]) -> None:
        self._decode = decode
        self._file = path.open("wb")
        self._row = 0

    def write(self, examples: Sequence[Example], scored: Scored) -> None:
        for example, answer in zip(examples, self._decode(scored.output), strict=True):
            line = {"row": self._row, "label": example.target, **_fields(answer)}
            self._file.write(msgspec.json.encode(line) + b"\n")
            self._row += 1

    def close(self) -> None:
        self._file.close()


def _fields(answer: Mapping[str, object]) -> dict[str, object]:
    if "value" in answer:
        return {"prediction": answer["value"], "scores": None}
    return {"prediction": answer["label"], "scores": answer["scores"]}
