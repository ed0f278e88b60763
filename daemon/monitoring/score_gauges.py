"""The figures of an evaluation as Prometheus series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from daemon.monitoring.evaluation import Evaluation
from daemon.monitoring.metrics.base import Figures
from daemon.monitoring.slices import OTHER

# Figure -> what it is, for the model and for each baseline.
_FIGURES: Final[Mapping[str, str]] = {
    "accuracy": "Share of rows answered rightly",
    "macro_f1": "Mean F1 over the classes",
    "kappa": "Cohen's kappa",
    "log_loss": "Mean log loss in nats",
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
}
_TESTED: Final = "each row predicted before it was learned"
_WORST: Final = "Lowest accuracy over any 500 rows in a row"

# Values of the label `over`.
SINCE_START: Final = "start"
WINDOW: Final = "window"


class ScoreGauges:
    """Gauges for the model, its baselines, its slices and its labels. A figure that does not apply has no series."""

    def __init__(self, *, registry: CollectorRegistry, max_labels: int) -> None:
        self._max_labels = max_labels
        self._model = {
            name: Gauge(f"learnd_prequential_{name}", f"{text}, {_TESTED}.", ["over"], registry=registry)
            for name, text in _FIGURES.items()
        }
        self._baselines = {
            name: Gauge(
                f"learnd_baseline_{name}", f"{text}, of a baseline, {_TESTED}.", ["baseline", "over"], registry=registry
            )
            for name, text in _FIGURES.items()
        }
        self._slices = {
            name: Gauge(f"learnd_slice_{name}", f"{text}, by slice, {_TESTED}.", ["slice", "value"], registry=registry)
            for name, text in _FIGURES.items()
        }
        self._registry = registry
        self._worst: Gauge | None = None  # a gauge without labels has a series at once, and there is no figure yet
        self._baselines_worst = Gauge(
            "learnd_baseline_worst_500_accuracy", f"{_WORST}, of a baseline.", ["baseline"], registry=registry
        )
        self._examples = Gauge("learnd_examples", "Rows scored and learned since the start of the stream.", registry=registry)
        self._labels = Gauge("learnd_label_rows", "Rows by label, later labels as other.", ["label"], registry=registry)

    def show(self, evaluation: Evaluation, *, labels: Sequence[str]) -> None:
        """Take the figures as they are now; `labels` names the classes by index."""
        figures = evaluation.since_start()
        self._examples.set(evaluation.rows)
        since_start = evaluation.baselines_since_start()
        self._show_worst(figures, since_start)
        for over, model, baselines in (
            (SINCE_START, figures, since_start),
            (WINDOW, evaluation.window(), evaluation.baselines_window()),
        ):
            _set(self._model, model, over)
            for baseline, its_figures in baselines.items():
                _set(self._baselines, its_figures, baseline, over)
        for (name, value), its_figures in evaluation.slices_since_start().items():
            _set(self._slices, its_figures, name, value)
        self._show_labels(evaluation.target_counts(), labels)

    def _show_worst(self, figures: Figures, baselines: Mapping[str, Figures]) -> None:
        worst = figures.get("worst_500")
        if worst is not None:
            if self._worst is None:
                self._worst = Gauge("learnd_worst_500_accuracy", f"{_WORST}.", registry=self._registry)
            self._worst.set(worst)
        for baseline, its_figures in baselines.items():
            _set({"worst_500": self._baselines_worst}, its_figures, baseline)

    def _show_labels(self, counts: Sequence[int], labels: Sequence[str]) -> None:
        named = min(len(labels), len(counts), self._max_labels)
        for label, count in zip(labels[:named], counts[:named], strict=True):
            self._labels.labels(label).set(count)
        if len(counts) > named:
            own = sum(counts[i] for i in range(named) if labels[i] == OTHER)  # a label may bear that name itself
            self._labels.labels(OTHER).set(own + sum(counts[named:]))


def _set(gauges: Mapping[str, Gauge], figures: Figures, *labels: str) -> None:
    for name, gauge in gauges.items():
        value = figures.get(name)
        if value is not None:
            gauge.labels(*labels).set(value)
