"""Scores every row before it is learned, beside baselines and under the eyes of drift detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from daemon.errors import ConfigError
from daemon.monitoring.alarm import Alarm
from daemon.monitoring.detectors import Detectors
from daemon.monitoring.drift.base import Detector
from daemon.monitoring.drift.inputs import InputShift
from daemon.monitoring.metrics.auc import BinaryScores
from daemon.monitoring.metrics.base import Figures, Metrics
from daemon.monitoring.metrics.classification import ClassificationMetrics
from daemon.monitoring.metrics.regression import RegressionMetrics
from daemon.monitoring.paired import capped
from daemon.monitoring.rivals import Rivals
from daemon.monitoring.saved import take
from daemon.monitoring.scored import ScoredRows, answers, values
from daemon.monitoring.slices import SliceMetrics
from daemon.state import State

Floats = NDArray[np.float64]

# Figures of report.json; what a task does not have is null there.
FIGURES: Final = ("examples", "errors", "accuracy", "macro_f1", "kappa", "log_loss", "auc", "worst_500", "mae", "rmse")


class Evaluation:
    """Prequential scores of the model and of its baselines, and drift alarms on the model's error.

    Where labels are late, the baselines learn each row `label_delay` rows after they predicted it, as the model does, and the
    detectors see its error then: an alarm's row is the one with which that label arrived. The first `label_delay` rows, which
    nobody could answer since no label had arrived, are not scored: their loss is 0.

    Rows of weight 0 are scored like all others, but the baselines, like the model, do not learn them. An output that is not
    a number is an error, never an exception.

    >>> from types import SimpleNamespace
    >>> evaluation = Evaluation(task="classification", detectors={}, window_rows=1000)
    >>> evaluation.observe(
    ...     SimpleNamespace(
    ...         target_B=np.array([0.0, 1.0, 1.0]),
    ...         output=np.array([[0.0, 0.0], [1.0, 0.0], [0.25, 0.75]]),
    ...         weight_B=np.ones(3),
    ...         best_expert=None,
    ...         inputs_BD=None,
    ...     )
    ... )
    []
    >>> evaluation.loss_B.tolist(), evaluation.baseline_loss_B["last_label"].tolist()
    ([1.0, 1.0, 0.0], [1.0, 1.0, 0.0])
    """

    loss_B: Floats
    """Losses of the rows observed last (0 or 1, or the absolute error); with `baseline_loss_B` what the gate compares."""

    baseline_loss_B: dict[str, Floats]
    """The same for each baseline."""

    def __init__(
        self,
        *,
        task: str,
        detectors: Mapping[str, Detector],
        window_rows: int,
        max_slice_values: int = 20,
        collect_auc: bool = False,
        label_delay: int = 0,
        has_experts: bool = False,
        inputs: InputShift | None = None,
    ) -> None:
        """`detectors` of the error, which are shown its losses, by the name under which they raise alarms (of a regression,
        those that take errors of any size: `drift/relative.py`), `inputs` that of the inputs; `collect_auc`
        (binary) takes 9 bytes a row; `label_delay` in rows; `has_experts` says that rows come with `best_expert`."""
        if task not in ("classification", "regression"):
            raise ConfigError(f"task is {task!r}; it must be 'classification' or 'regression'")
        self._task = task
        self._window_rows = window_rows
        self._metrics = self._new_metrics()
        self._slices = SliceMetrics(new_metrics=self._new_metrics, max_values=max_slice_values)
        collects = collect_auc and task == "classification"
        self._scores = BinaryScores() if collects else None
        self._rivals = Rivals(task=task, new_metrics=self._new_metrics, has_experts=has_experts, collect_auc=collects)
        self._detectors = Detectors(detectors, inputs=inputs, label_delay=label_delay)
        self._label_delay = label_delay
        self._num_unscored = 0
        self._on_their_way_2N = np.zeros((2, 0))  # targets, and whether they are to be learned
        self.loss_B, self.baseline_loss_B = np.empty(0), {name: np.empty(0) for name in self._rivals.baseline_names}

    def _new_metrics(self, has_probabilities: bool = True) -> Metrics:
        if self._task == "classification":
            return ClassificationMetrics(window_rows=self._window_rows, probabilistic=has_probabilities)
        return RegressionMetrics(window_rows=self._window_rows)

    @property
    def alarm_directions(self) -> dict[str, tuple[str, ...]]:
        """Each detector with the directions that an alarm of its may have."""
        return self._detectors.directions

    @property
    def num_alarms(self) -> int:
        """Alarms raised so far, of the newest 10,000."""
        return self._detectors.num_alarms

    @property
    def rows(self) -> int:
        """Rows observed so far: the ordinal of the next one."""
        return self._metrics.num_examples + self._num_unscored

    def observe(self, scored: ScoredRows, *, slices: Sequence[Mapping[str, str]] | None = None) -> list[Alarm]:
        """Score a micro-batch row by row, in order; the alarms that it raised. `slices`: each row's groups, name -> value."""
        num_rows = len(scored.target_B)
        read = answers if self._task == "classification" else values
        target_B, answer_B, p_B = read(scored.target_B, scored.output)
        on_their_way_2N = np.concatenate([self._on_their_way_2N, [target_B, scored.weight_B > 0]], axis=1)
        # Rows before any label had arrived come first; each one scored brings the label that is due with it.
        first = min(self._label_delay - self._num_unscored, num_rows)
        self._num_unscored += first
        num_arrived = num_rows - first
        (arrived_B, is_learned_B), self._on_their_way_2N = on_their_way_2N[:, :num_arrived], on_their_way_2N[:, num_arrived:]
        self.loss_B, losses_RB = np.zeros(num_rows), np.zeros((len(self._rivals.baseline_names), num_rows))
        self.baseline_loss_B = dict(zip(self._rivals.baseline_names, losses_RB, strict=True))
        if first == num_rows:
            return []
        expert = None if scored.best_expert is None else scored.best_expert[first:]
        start = self.rows
        self.loss_B[first:] = self._metrics.update_all(target_B[first:], answer_B[first:], p_B[first:])
        losses_RB[:, first:] = self._rivals.score(target_B[first:], arrived_B, is_learned_B > 0, expert)
        if slices is not None and any(slices):
            for row in range(first, num_rows):
                self._slices.update(slices[row], float(target_B[row]), float(answer_B[row]), float(p_B[row]))
        if self._scores is not None:
            self._scores.extend(target_B[first:], scored.output[first:])
        inputs_BD = None if scored.inputs_BD is None else scored.inputs_BD[first:]
        return self._detectors.observe(capped(self.loss_B[first:]), inputs_BD, start=start)

    def since_start(self) -> Figures:
        """The model's figures over all rows."""
        return self._metrics.since_start()

    def window(self) -> Figures:
        """The model's figures over the last rows; ask about once a second, not every row."""
        return self._metrics.window()

    def baselines_since_start(self) -> dict[str, Figures]:
        """Each baseline's figures over all rows, and the best single expert's."""
        return self._rivals.since_start()

    def baselines_window(self) -> dict[str, Figures]:
        """Each baseline's figures over the last rows, and the best single expert's; ask about once a second, not every row."""
        return self._rivals.window()

    def slices_since_start(self) -> dict[tuple[str, str], Figures]:
        """The model's figures by slice (name, value); values past the cap are together under "other"."""
        return self._slices.since_start()

    def target_counts(self) -> list[int]:
        """Rows by class index; empty for regression."""
        return self._metrics.target_counts()

    def summary(self) -> dict[str, float | None]:
        """The model's figures as a snapshot carries them."""
        return self.since_start()

    def report(self) -> dict[str, Any]:
        """The fields of report.json that are known here."""
        auc = self._scores.auc() if self._scores is not None else None
        rivals_auc = self._rivals.auc()
        return {
            "task": self._task,
            **_reported({**self.since_start(), "auc": auc}),
            "baselines": {
                name: _reported({**figures, "auc": rivals_auc.get(name)})
                for name, figures in self.baselines_since_start().items()
            },
            "drift_alarms": self._detectors.report(),
        }

    def state_dict(self) -> State:
        """Three components, "metrics", "baselines" and "detectors", each of which a resume needs."""
        metrics = {"model": self._metrics.state_dict(), "slices": self._slices.state_dict()}
        if self._scores is not None:
            metrics["scores"] = self._scores.state_dict()
        if self._label_delay:
            metrics["late"] = {"unscored": self._num_unscored, "targets": self._on_their_way_2N.copy()}
        return {"metrics": metrics, "baselines": self._rivals.state_dict(), "detectors": self._detectors.state_dict()}

    def load_state_dict(self, state: State) -> None:
        metrics, baselines, detectors = (
            take(state, part, owner="evaluation") for part in ("metrics", "baselines", "detectors")
        )
        self._metrics.load_state_dict(take(metrics, "model", owner="metrics"))
        self._slices.load_state_dict(take(metrics, "slices", owner="metrics"))
        if self._scores is not None:
            self._scores.load_state_dict(take(metrics, "scores", owner="metrics"))
        if self._label_delay:
            late = take(metrics, "late", owner="metrics")
            self._num_unscored = int(late["unscored"])
            self._on_their_way_2N = np.array(late["targets"], np.float64)
        self._rivals.load_state_dict(baselines)
        self._detectors.load_state_dict(detectors)


def _reported(figures: Figures) -> Figures:
    return {name: figures.get(name) for name in FIGURES}
