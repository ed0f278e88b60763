"""Metrics by slice: the named groups that examples say they belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from daemon.monitoring.metrics.base import Figures, Metrics
from daemon.monitoring.saved import take
from daemon.state import State

OTHER: Final = "other"


class SliceMetrics:
    """Metrics for each value of each slice name, for the first `max_values` values of a name; later ones count as "other".

    Names come from the settings, so they are few; values come from the stream, so they are capped.

    >>> from daemon.monitoring.metrics.regression import RegressionMetrics
    >>> slices = SliceMetrics(new_metrics=lambda: RegressionMetrics(window_rows=10), max_values=1)
    >>> for country, error in [("de", 1.0), ("fr", 2.0), ("it", 4.0), ("de", 3.0)]:
    ...     slices.update({"country": country}, error, 0.0, 0.0)
    >>> {value: figures["mae"] for (_, value), figures in slices.since_start().items()}
    {'de': 2.0, 'other': 3.0}
    """

    def __init__(self, *, new_metrics: Callable[[], Metrics], max_values: int) -> None:
        self._new_metrics = new_metrics
        self._max_values = max_values
        self._metrics: dict[tuple[str, str], Metrics] = {}
        self._num_values: dict[str, int] = {}

    def update(self, slices: Mapping[str, str], target: float, answer: float, probability: float) -> None:
        """Score one row under each of its slices."""
        for name, value in slices.items():
            self._of(name, value).update(target, answer, probability)

    def _of(self, name: str, value: str) -> Metrics:
        metrics = self._metrics.get((name, value))
        if metrics is not None:
            return metrics
        if self._num_values.get(name, 0) >= self._max_values:
            return self._metrics.setdefault((name, OTHER), self._new_metrics())
        return self._add(name, value)

    def _add(self, name: str, value: str) -> Metrics:
        if value != OTHER:
            self._num_values[name] = self._num_values.get(name, 0) + 1
        metrics = self._metrics[(name, value)] = self._new_metrics()
        return metrics

    def since_start(self) -> dict[tuple[str, str], Figures]:
        """Figures by (name, value), in order of first appearance."""
        return {key: metrics.since_start() for key, metrics in self._metrics.items()}

    def state_dict(self) -> State:
        # Values are free text, which has no place in the keys of a state.
        return {
            "keys": [list(key) for key in self._metrics],
            "metrics": {str(i): metrics.state_dict() for i, metrics in enumerate(self._metrics.values())},
        }

    def load_state_dict(self, state: State) -> None:
        self._metrics, self._num_values = {}, {}
        saved = take(state, "metrics", owner="slices")
        for i, (name, value) in enumerate(take(state, "keys", owner="slices")):
            self._add(name, value).load_state_dict(take(saved, str(i), owner="slices"))
