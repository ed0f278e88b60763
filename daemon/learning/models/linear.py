"""The cheap learner: one linear model on hashed inputs, learning one row after the other in compiled code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from daemon.errors import StateError
from daemon.learning.batch import Batch
from daemon.learning.experts.slots import Slots, SlotTable
from daemon.learning.models import linear_kernels as kernels
from daemon.learning.models.base import Floats, Model, check_rows
from daemon.learning.models.linear_inputs import RowReader, Rows
from daemon.state import JSON, State


class Linear(Model):
    """Softmax regression (classification) or linear regression with Huber's loss, with a step size for each weight.

    Inputs of a row: of every numeric column its running z-score, clipped to ±5; with `earlier_rows` the change of that from
    the row before and from averages over 4, 16 and 64 rows, each over its mean size; with `earlier_labels` the last two labels
    and their shares lately (of the first 32 labels), or the last target and its averages; one hashed input for each category;
    with `reads_text` hashed words and byte 4-grams. A column that is missing adds nothing, nor does a value that lies 10⁴
    deviations away. Columns are discovered as they appear, up to `max_columns` (later ones are not read).

    A step is A += g², W −= weight · rate · g / √(A + .001); the rate is .15 for numbers and labels, .3 for what is hashed, and
    .1 for a regression. A spare class is trained as a negative and is never answered; a new label inherits its weights. A
    regression learns what an autoregression of order 1 (without `earlier_labels`: the mean) leaves of the target.

    Memory: `max_bytes` for the inputs hashed, of which those unused for longest are forgotten (see `SlotTable`), and about
    40 · (C + 4) bytes a numeric column.

    >>> linear = Linear(classifies=True, earlier_labels=False)
    >>> batch = Batch(["", "", ""], [{"x": 0.0}, {"x": 1.0}, {"colour": "red"}])
    >>> linear.learn(batch, np.array([0.0, 1.0, 1.0]), np.ones(3)).round(3).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.505, 0.495]]

    AdaGrad after Duchi, Hazan and Singer 2011.
    """

    weights_name = "linear"

    def __init__(
        self,
        *,
        classifies: bool,
        reads_features: bool = True,
        reads_text: bool = False,
        earlier_rows: bool = True,
        earlier_labels: bool = True,
        max_columns: int = 512,
        max_bytes: int = 128 << 20,
    ) -> None:
        self._classifies, self._earlier_rows, self._earlier_labels = classifies, earlier_rows, earlier_labels
        self._arguments: dict[str, JSON] = {
            "classifies": classifies,
            "reads_features": reads_features,
            "reads_text": reads_text,
            "earlier_rows": earlier_rows,
            "earlier_labels": earlier_labels,
        }
        self._reader = RowReader(reads_features=reads_features, reads_text=reads_text, max_columns=max_columns)
        num_places = kernels.COLUMNS + kernels.PER_COLUMN * max_columns
        self._dense = SlotTable(num_features=num_places, num_planes=2, max_bytes=1 << 62)
        self._sparse = SlotTable(num_features=self._reader.num_tokens, num_planes=2, max_bytes=max_bytes)
        self.num_classes = 0
        self.num_rows = 0
        self._stats_NS = np.zeros((0, kernels.NUM_STATS))
        self._history_F = np.zeros(kernels.NUM_HISTORY if classifies else kernels.NUM_TARGET_STATS)
        if classifies:
            self._history_F[: kernels.SHARES] = -1.0
        self._progress_F = np.zeros(2)
        # A place of the dense table is its slot, as all are claimed in their order.
        self._dense.claim(np.arange(kernels.COLUMNS, dtype=np.int32))

    def learn(self, batch: Batch, target_B: Floats, weight_B: Floats) -> Floats:
        targets, weights, num_rows = target_B.tolist(), weight_B.tolist(), len(target_B)
        check_rows(targets, weights, classifies=self._classifies)
        rows = self._reader.read(batch, weights)
        self._fit_columns()
        newest = max([target for target, weight in zip(targets, weights, strict=True) if weight > 0.0], default=-1.0)
        output_BK = self._outputs(num_rows, max(self.num_classes, int(newest) + 1))
        start = 0
        if self._is_new(newest) or self._may_forget(rows):
            for row in range(num_rows):
                if weights[row] > 0.0 and (self._is_new(targets[row]) or self._may_forget(rows)):
                    self._run(rows, start, row, target_B, weight_B, output_BK)
                    self._learn_apart(rows, row, target_B, weight_B, output_BK)
                    start = row + 1
        self._run(rows, start, num_rows, target_B, weight_B, output_BK)
        self.num_rows += num_rows
        return self._answers(output_BK)

    def predict(self, batch: Batch) -> Floats:
        output_BK, nothing_B = self._outputs(len(batch), self.num_classes), np.zeros(len(batch))
        rows = self._reader.read(batch, nothing_B.tolist())
        self._run(rows, 0, len(batch), nothing_B, nothing_B, output_BK)
        return self._answers(output_BK)

    def _outputs(self, num_rows: int, num_classes: int) -> Floats:
        return np.zeros((num_rows, num_classes if self._classifies else 1))

    def _answers(self, output_BK: Floats) -> Floats:
        return output_BK if self._classifies else output_BK[:, 0]

    def _is_new(self, target: float) -> bool:
        return self._classifies and target >= self.num_classes

    def _may_forget(self, rows: Rows) -> bool:
        """Whether the micro-batch may need more places than there are, so that some are given up."""
        return len(rows.token_T) > 0 and self._sparse.num_slots + len(rows.token_T) > self._sparse.max_slots

    def _learn_apart(self, rows: Rows, row: int, target_B: Floats, weight_B: Floats, output_BK: Floats) -> None:
        """Predict a row, then make room for what it brings, then learn it."""
        self._run(rows, row, row + 1, target_B, np.zeros(len(weight_B)), output_BK)
        while self._is_new(float(target_B[row])):
            self._dense.grow()
            self._sparse.grow()
            self.num_classes += 1
        self._run(rows, row, row + 1, target_B, weight_B, np.zeros_like(output_BK))

    def _run(self, rows: Rows, start: int, stop: int, target_B: Floats, weight_B: Floats, output_BK: Floats) -> None:
        """Rows [start, stop), none of which brings a label. Places are claimed first: new ones hold 0."""
        if start == stop:
            return
        slot_T = self._slots(rows, start, stop, weight_B) if len(rows.token_T) else rows.token_T
        kernels.run_rows(
            start, stop, rows.column_V, rows.value_V, rows.end_of_values_B, slot_T, rows.x_T, rows.end_of_tokens_B,
            target_B, weight_B, output_BK, self._stats_NS, self._history_F, self._progress_F, self._dense.cells,
            self._sparse.cells, self.num_classes if self._classifies else -1, self._earlier_rows, self._earlier_labels,
        )  # fmt: skip

    def _slots(self, rows: Rows, start: int, stop: int, weight_B: Floats) -> Slots:
        slot_T = np.full(len(rows.token_T), -1, np.int32)
        for row in range(start, stop):
            first, end = rows.end_of_tokens_B[row - 1] if row else 0, rows.end_of_tokens_B[row]
            if first < end:
                find = self._sparse.claim if weight_B[row] > 0.0 else self._sparse.find
                slot_T[first:end] = find(rows.token_T[first:end])
        return slot_T

    def _fit_columns(self) -> None:
        """Room for all columns known."""
        num_known, num_columns = len(self._stats_NS), self._reader.num_columns
        if num_known < num_columns:
            self._stats_NS = np.concatenate([self._stats_NS, np.zeros((num_columns - num_known, kernels.NUM_STATS))])
            # One by one, so that the state does not tell how many came in the same micro-batch.
            for column in range(num_known, num_columns):
                self._dense.claim(kernels.COLUMNS + kernels.PER_COLUMN * column + np.arange(kernels.PER_COLUMN, dtype=np.int32))

    def react(self) -> None:
        """Nothing to do: a linear model has no mixer to hasten."""

    def set_rate(self, learning_rate: float) -> None:
        """Nothing to do: the step size is fixed, as the accumulated gradients scale it."""

    def stats(self) -> dict[str, float]:
        return {"loss": float(self._progress_F[kernels.LOSS])}

    def state_dict(self) -> State:
        return self._shared_state() | {
            "rows": self.num_rows,
            "progress": self._progress_F.copy(),
            "dense": self._dense.state_dict(),
            "sparse": self._sparse.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        self._load_shared(state)
        self.num_rows = int(state["rows"])
        self._progress_F = np.array(state["progress"], np.float64)
        self._dense.load_state_dict(state["dense"])
        self._sparse.load_state_dict(state["sparse"])

    def weights(self) -> State:
        return self._shared_state() | {"dense": self._dense.weights(1), "sparse": self._sparse.weights(1)}

    def load_weights(self, state: State) -> None:
        self._load_shared(state)
        self._dense.load_weights(state["dense"])
        self._sparse.load_weights(state["sparse"])

    def _shared_state(self) -> State:
        return {
            "arguments": dict(self._arguments),
            "num_classes": self.num_classes,
            "names": self._reader.names,
            "stats": self._stats_NS.copy(),
            "history": self._history_F.copy(),
        }

    def _load_shared(self, state: State) -> None:
        if state["arguments"] != self._arguments:
            raise StateError(
                f"the saved linear model was made with {state['arguments']}, this one with {self._arguments}; "
                "set the model as it was when the state was saved, or start with a fresh folder"
            )
        self._reader.names = state["names"]
        self.num_classes = int(state["num_classes"])
        self._stats_NS = np.array(state["stats"], np.float64)
        self._history_F = np.array(state["history"], np.float64)

    def companions(self) -> Mapping[str, Path | JSON]:
        return {}

    def state_bytes(self) -> dict[str, int]:
        return {"dense": self._dense.num_bytes(), "sparse": self._sparse.num_bytes(), "columns": self._stats_NS.nbytes}
