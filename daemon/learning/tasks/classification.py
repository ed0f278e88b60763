"""One label out of a set that may grow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from daemon.errors import StateError
from daemon.learning.tasks.base import Target, Task
from daemon.state import JSON, State


class Classification(Task):
    """Labels get their class index in the order of first appearance.

    `max_labels` bounds how many are learned. `labels` fixes the set: no other label is admitted (a label of the set is
    still known to the model only once it has appeared). An empty `labels` lets the set grow. `class_weights` multiplies the
    weights of a label's examples; labels that it leaves out have 1.

    >>> task = Classification(max_labels=2)
    >>> task.encode(["ham", "spam", "ham"], np.ones(3)).tolist(), task.labels
    ([0.0, 1.0, 0.0], ('ham', 'spam'))
    >>> task.look_up(["spam", "eggs"]).tolist()
    [1.0, nan]
    >>> task.admits(["spam", "eggs"], np.ones(2))
    [True, False]
    >>> Classification(max_labels=2, class_weights={"spam": 3.0}).weigh(["ham", "spam"], np.array([1.0, 0.5])).tolist()
    [1.0, 1.5]
    >>> task.decode(np.array([[0.25, 0.75]]))
    [{'label': 'spam', 'scores': {'ham': 0.25, 'spam': 0.75}}]
    """

    name = "classification"

    def __init__(
        self, *, max_labels: int, labels: Sequence[str] = (), class_weights: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        if max_labels < 1:
            raise ValueError(f"max_labels is {max_labels}; it must be at least 1")
        for label, weight in class_weights.items():
            if not (math.isfinite(weight) and weight >= 0.0):
                raise ValueError(f"the class weight of {label!r} is {weight}; it must be a finite number of at least 0")
        self._class_weights = dict(class_weights)
        self._max_labels = max_labels
        self._fixed = frozenset(labels)
        self._index: dict[str, int] = {}

    @property
    def labels(self) -> tuple[str, ...]:  # type: ignore[override] # a contract's attribute may be read through a property
        return tuple(self._index)

    def admits(self, targets: Sequence[Target], weight_B: NDArray[np.float64]) -> list[bool]:
        if all(map(self._index.__contains__, targets)):
            return [True] * len(targets)
        known = set(self._index)
        admitted = []
        for target, weight in zip(targets, weight_B.tolist(), strict=True):
            ok = target in known or self._may_join(target, num_known=len(known))
            if ok and weight > 0.0:  # one that is not learned takes no place
                known.add(str(target))
            admitted.append(ok)
        return admitted

    def weigh(self, targets: Sequence[Target], weight_B: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self._class_weights:
            return weight_B
        factor_B = np.array([self._class_weights.get(str(target), 1.0) for target in targets])
        weighed_B: NDArray[np.float64] = weight_B * factor_B
        return weighed_B

    def encode(self, targets: Sequence[Target], weight_B: NDArray[np.float64]) -> NDArray[np.float64]:
        target_B = np.empty(len(targets), np.float64)
        for row, target in enumerate(targets):
            index = self._index.get(target)  # type: ignore[arg-type]  # a number is no label, and not found
            if index is None:
                if not self._may_join(target, num_known=len(self._index)):
                    raise ValueError(self._refusal(target))
                if weight_B[row] == 0:
                    target_B[row] = np.nan
                    continue
                index = self._index[str(target)] = len(self._index)
            target_B[row] = index
        return target_B

    def look_up(self, targets: Sequence[Target]) -> NDArray[np.float64]:
        return np.array([self._index.get(str(target), np.nan) for target in targets], np.float64)

    def decode(self, output: NDArray[np.float64]) -> list[dict[str, JSON]]:
        labels = self.labels[: output.shape[1]]
        if not labels:
            return [{"label": None, "scores": {}} for _ in range(len(output))]
        return [
            {"label": labels[int(best)], "scores": dict(zip(labels, scores, strict=True))}
            for best, scores in zip(output.argmax(axis=1), output.tolist(), strict=True)
        ]

    def state_dict(self) -> State:
        return {"labels": list(self._index)}

    def load_state_dict(self, state: State) -> None:
        labels = state.get("labels")
        if not isinstance(labels, list) or len(set(labels)) != len(labels):
            raise StateError(f"labels are {labels!r}, not a list of distinct labels; use the checkpoint before this one")
        strange = [label for label in labels if self._fixed and label not in self._fixed]
        if len(labels) > self._max_labels or strange:
            raise StateError(
                f"the saved state knows {len(labels)} labels, among them {strange!r} outside the fixed set; "
                f"max_labels is {self._max_labels}: restore the settings that it was learned with"
            )
        self._index = {label: index for index, label in enumerate(labels)}

    def _may_join(self, target: Target, *, num_known: int) -> bool:
        return isinstance(target, str) and num_known < self._max_labels and (not self._fixed or target in self._fixed)

    def _refusal(self, target: Target) -> str:
        if not isinstance(target, str):
            return f"label {target!r} is not a string; decode labels to strings"
        if self._fixed and target not in self._fixed:
            return f"label {target!r} is not in the fixed set of {len(self._fixed)} labels; add it there or leave the set open"
        return f"label {target!r} would be number {self._max_labels + 1}; max_labels is {self._max_labels}: raise it"
