"""Labels that arrive a fixed number of rows after their row was predicted."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from daemon.errors import StateError
from daemon.learning.batch import Batch
from daemon.learning.models.base import Floats, Model, check_rows
from daemon.learning.models.pool import Pool
from daemon.learning.models.regression import RegressionMixture
from daemon.learning.stale_prior import StalePrior
from daemon.state import JSON, State


@dataclass(frozen=True, slots=True)
class _Pending:
    """A row that was predicted and whose label is on its way, with what the experts and the pool said of it then."""

    text: str
    features: Mapping[str, float | str]
    target: float
    weight: float
    said: Floats
    answers: tuple[Floats, ...]

    def num_bytes(self) -> int:
        """Memory of the arrays, the text and the fields."""
        fields = sum(sys.getsizeof(part) for item in self.features.items() for part in item)
        return self.said.nbytes + sum(answer.nbytes for answer in self.answers) + sys.getsizeof(self.text) + fields


class Late(Model):
    """A pool that learns each row `delay` rows after it was predicted: row i is predicted, then row i − `delay` is learned.

    `learn` returns what its own rows were predicted to be, and learns rows of earlier calls; `finish` learns the rest. The
    mixer learns from what the experts said when the row was predicted, so that it trusts each as far as it can be trusted
    that long before the label; experts that count labels see only those that had arrived. Rows predicted before any label had
    arrived have no class to be answered: 0 throughout. The mixer learns them by what the experts would say now.

    With `blends` the pool's answer is blended with its balanced one, as far as late labels tell the frequency of the classes
    (see `StalePrior`): of texts, whose balanced answer is as good; that of a table is naive Bayes alone. The mixer then learns
    nothing from the first rows, of which its answer is no better for being sure of labels that are all one.

    Memory: `delay` rows, with what E experts said of each.
    """

    def __init__(self, *, pool: Pool, delay: int, blends: bool) -> None:
        if delay < 1:
            raise ValueError(f"a label delay of {delay} rows; it must be at least 1: without one, learn with the pool itself")
        self._pool = pool
        self._delay = delay
        self._blends = blends
        self._prior = StalePrior()
        self._pending: deque[_Pending] = deque()
        self.weights_name = pool.weights_name

    @property
    def num_classes(self) -> int:  # type: ignore[override] # a contract's attribute may be read through a property
        return self._pool.num_classes

    @property
    def expert_names(self) -> tuple[str, ...]:
        return self._pool.expert_names

    def learn(self, batch: Batch, target_B: Floats, weight_B: Floats) -> Floats:
        classifies = not isinstance(self._pool, RegressionMixture)
        check_rows(target_B.tolist(), weight_B.tolist(), classifies=classifies)
        num_waiting = len(self._pending)
        num_due = max(0, num_waiting + len(batch) - self._delay)
        # Due rows of earlier calls go before the new ones: the k-th row that comes due is the k-th of this micro-batch.
        due = [(row.text, row.features) for row in islice(self._pending, num_due)]
        new = list(zip(batch.texts, batch.features, strict=True))
        self._begin([*due, *new])
        outputs, num_learned = [], 0
        for row, (text, features) in enumerate(new):
            is_one_due = len(self._pending) == self._delay
            self._pool.turn(self._pending[0].weight if is_one_due else 0.0)
            said = self._pool.say(len(due) + row)
            answers = self._pool.answers(said, balanced=self._blends)
            outputs.append(self._prior.blend(*answers) if len(answers) == 2 else answers[0] if answers else np.zeros(0))
            self._pool.look(said)
            self._pending.append(_Pending(text, features, float(target_B[row]), float(weight_B[row]), said, answers))
            if is_one_due:
                self._learn_oldest(num_learned)
                num_learned += 1
        self.best_expert, self.inputs_BD = self._pool.show()
        return self._stacked(outputs)

    def finish(self) -> None:
        """Learn the rows whose labels are still on their way."""
        if not self._pending:
            return
        self._begin([(row.text, row.features) for row in self._pending])
        for row in range(len(self._pending)):
            self._pool.turn(self._pending[0].weight)
            self._learn_oldest(row)

    def _begin(self, rows: Sequence[tuple[str, Mapping[str, float | str]]]) -> None:
        self._pool.begin(Batch([text for text, _ in rows], [features for _, features in rows]))

    def _learn_oldest(self, row: int) -> None:
        oldest = self._pending.popleft()
        if len(oldest.answers) == 2 and oldest.weight > 0.0:
            self._prior.learn(*oldest.answers, int(oldest.target), oldest.weight)
        if self._pool.num_rows <= self._delay and not self._blends:
            # It was predicted before any label had arrived: of what was said then nothing can be weighed.
            self._pool.take(row, None, oldest.target, oldest.weight)
        else:
            self._pool.take(row, oldest.said, oldest.target, oldest.weight, late_by=self._delay)

    def _stacked(self, outputs: Sequence[Floats]) -> Floats:
        """(B,), or (B, C) with 0 where a class was not known when its row was predicted."""
        if isinstance(self._pool, RegressionMixture):
            return np.concatenate(outputs)
        stacked_BC = np.zeros((len(outputs), self.num_classes))
        for row, output_C in enumerate(outputs):
            stacked_BC[row, : len(output_C)] = output_C
        return stacked_BC

    def predict(self, batch: Batch) -> Floats:
        return self._pool.predict(batch)

    def predict_balanced(self, batch: Batch) -> Floats:
        return self._pool.predict_balanced(batch)

    def pieces(self, weight_B: Floats) -> list[slice]:
        """Where the rows that come due make the pool turn."""
        first = min(max(0, self._delay - len(self._pending)), len(weight_B))  # rows that no label comes with
        waiting = np.array([row.weight for row in self._pending] + weight_B.tolist())
        ends = {first + piece.stop for piece in self._pool.pieces(waiting[: len(weight_B) - first])}
        return [slice(start, end) for start, end in pairwise(sorted({0, *ends, len(weight_B)}))]

    def react(self) -> None:
        self._pool.react()

    def set_rate(self, learning_rate: float) -> None:
        self._pool.set_rate(learning_rate)

    def stats(self) -> dict[str, float]:
        return self._pool.stats()

    def state_dict(self) -> State:
        pending = list(self._pending)
        return {
            "pool": self._pool.state_dict(),
            "delay": self._delay,
            # Pairs: an object comes back with its keys sorted, and columns count in the order in which they came.
            "inputs": [[row.text, [list(item) for item in row.features.items()]] for row in pending],
            "targets": np.array([row.target for row in pending]),
            "weights": np.array([row.weight for row in pending]),
            "said": {str(place): row.said.copy() for place, row in enumerate(pending)},
            "answers": {
                str(place): {str(kind): answer.copy() for kind, answer in enumerate(row.answers)}
                for place, row in enumerate(pending)
            },
            "prior": self._prior.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        if state["delay"] != self._delay:
            raise StateError(
                f"the saved rows wait {state['delay']} rows for their labels, these {self._delay}; "
                "set the delay as it was when the state was saved, or start with a fresh folder"
            )
        self._pool.load_state_dict(state["pool"])
        self._prior.load_state_dict(state["prior"])
        rows = zip(state["inputs"], state["targets"], state["weights"], strict=True)
        self._pending = deque(
            _Pending(
                text,
                dict(features),
                float(target),
                float(weight),
                np.array(state["said"][str(place)], dtype=np.float64),
                tuple(np.array(answer, dtype=np.float64) for answer in state["answers"][str(place)].values()),
            )
            for place, ((text, features), target, weight) in enumerate(rows)
        )

    def weights(self) -> State:
        return self._pool.weights()

    def load_weights(self, state: State) -> None:
        self._pool.load_weights(state)

    def companions(self) -> Mapping[str, Path | JSON]:
        return self._pool.companions()

    def set_labels(self, labels: Sequence[str]) -> None:
        self._pool.set_labels(labels)

    def state_bytes(self) -> dict[str, int]:
        return self._pool.state_bytes() | {"pending": sum(row.num_bytes() for row in self._pending)}
