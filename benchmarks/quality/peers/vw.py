"""Vowpal Wabbit: hashed logistic (or least-squares) regression with adaptive, normalised steps, its defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import vowpalwabbit  # type: ignore[import-not-found]  # in the peers' environment

from benchmarks.quality.peers.base import Peer, Row

WORD = re.compile(r"\w+")
RESERVED = str.maketrans({":": "_", "|": "_", " ": "_", "\n": "_", "\t": "_"})


class VW(Peer):
    """Words and word pairs of a text, or columns, hashed to 2^20; a text's embedding, where the row has one, beside them."""

    def __init__(self, *, task: str, labels: Sequence[str], seed: int) -> None:
        self._number = {label: i + 1 for i, label in enumerate(labels)}
        self._labels, self._task = list(labels), task
        common = f"--quiet -b 20 --ngram t2 --random_seed {seed}"
        if task == "regression":
            self._vw = vowpalwabbit.Workspace(common)
        elif len(labels) == 2:
            self._vw = vowpalwabbit.Workspace(f"{common} --loss_function logistic --link logistic")
        else:
            self._vw = vowpalwabbit.Workspace(f"{common} --loss_function logistic --oaa {len(labels)} --probabilities")

    def predict(self, row: Row) -> Mapping[str, float] | float:
        example = self._vw.parse(_inputs(row), vowpalwabbit.LabelType.MULTICLASS if self._multiclass else None)
        predicted: Any = self._vw.predict(example)
        self._vw.finish_example(example)
        if self._task == "regression":
            return float(predicted)
        if self._multiclass:
            return dict(zip(self._labels, predicted, strict=True))
        return {self._labels[0]: 1.0 - predicted, self._labels[1]: predicted}

    def learn(self, row: Row, label: Any) -> None:
        if self._task == "regression":
            target: Any = float(label)
        elif self._multiclass:
            target = self._number[str(label)]
        else:
            target = 1 if str(label) == self._labels[1] else -1
        self._vw.learn(f"{target} {_inputs(row)}")

    @property
    def _multiclass(self) -> bool:
        return self._task == "classification" and len(self._labels) != 2


def _inputs(row: Row) -> str:
    """The row in Vowpal Wabbit's own text format."""
    parts = []
    if "text" in row:
        parts.append("|t " + " ".join(WORD.findall(row["text"].lower())))
    if "embedding" in row:
        parts.append("|e " + " ".join(f"{i}:{value:.5g}" for i, value in enumerate(row["embedding"])))
    if "features" in row:
        columns = (
            f"{_name(name)}={_name(value)}" if isinstance(value, str) else f"{_name(name)}:{value!r}"
            for name, value in row["features"].items()
        )
        parts.append("|f " + " ".join(columns))
    return " ".join(parts)


def _name(text: str) -> str:
    return text.translate(RESERVED)
