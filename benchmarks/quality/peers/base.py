"""The contract of a peer, and the loop that all of them pass through: predict each row, then learn the label that arrived."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.quality.scores import Answers

Row = Mapping[str, Any]


class Peer(ABC):
    """A learner beside learnd. Peers know the labels of the whole stream from the start, which learnd does not."""

    @abstractmethod
    def predict(self, row: Row) -> Mapping[str, float] | float:
        """Label -> probability, as far as it has one; or a number (regression)."""

    @abstractmethod
    def learn(self, row: Row, label: Any) -> None:
        """Take one row in."""


def run(peer: Peer, rows: Sequence[Row], *, task: str, index: Mapping[str, int], delay: int = 0) -> Answers:
    """What `peer` answers to each row where its label is learned `delay` rows later."""
    num_rows = len(rows)
    answer_N, true_p_N, second_p_N = (np.full(num_rows, np.nan) for _ in range(3))
    names = list(index)
    late = deque[Row]()
    for i, row in enumerate(rows):
        predicted = peer.predict(row)
        if task == "regression":
            answer_N[i] = predicted
        else:
            assert isinstance(predicted, Mapping)
            answer_N[i] = index[max(predicted, key=lambda name: predicted[name])] if predicted else -1
            true_p_N[i] = predicted.get(str(row["label"]), 0.0)
            second_p_N[i] = predicted.get(names[1], 0.0) if len(names) > 1 else 0.0
        late.append(row)
        if len(late) > delay:
            row = late.popleft()
            peer.learn(row, row["label"])
    return Answers(answer_N, true_p_N, second_p_N)


def with_last_label(rows: Sequence[Row], *, task: str, index: Mapping[str, int]) -> list[Row]:
    """Tables whose rows have the label before them as further inputs: the number, or one column for each label.

    >>> rows = [{"features": {}, "label": "a"}, {"features": {}, "label": "b"}]
    >>> [row["features"] for row in with_last_label(rows, task="classification", index={"a": 0, "b": 1})]
    [{'last_a': 0.0, 'last_b': 0.0}, {'last_a': 1.0, 'last_b': 0.0}]
    """
    widened: list[Row] = []
    last: Any = None
    for row in rows:
        more = {"last": last or 0.0} if task == "regression" else {f"last_{name}": float(name == last) for name in index}
        widened.append({**row, "features": {**row["features"], **more}})
        last = row["label"] if task == "regression" else str(row["label"])
    return widened
