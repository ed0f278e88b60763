"""deep-river's multilayer perceptron on standardised columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from deep_river.classification.zoo import MultiLayerPerceptron  # type: ignore[import-not-found]  # in the peers' environment
from river import compose, preprocessing

from benchmarks.quality.peers.base import Peer, Row
from benchmarks.quality.peers.river_peers import River

# Its own default, five layers of five units under SGD, hardly learns; this is the shape of learnd's own MLP.
WIDTH, LAYERS, OPTIMIZER, RATE = 64, 2, "adam", 1e-3


class MLP(Peer):
    """It must be told the number of columns, so it is built at the first row."""

    def __init__(self, *, labels: Sequence[str], seed: int) -> None:
        self._labels, self._seed = labels, seed
        self._river: River | None = None

    def predict(self, row: Row) -> Mapping[str, float]:
        if self._river is None:
            return {}
        predicted = self._river.predict(row)
        assert isinstance(predicted, Mapping)
        # Classes that it has not seen are there too, as Unobserved0 and so on.
        return {label: p for label, p in predicted.items() if label in self._labels}

    def learn(self, row: Row, label: Any) -> None:
        if self._river is None:
            self._river = self._build(len(row["features"]))
        self._river.learn(row, label)

    def _build(self, num_features: int) -> River:
        torch.set_num_threads(1)
        torch.manual_seed(self._seed)
        model = MultiLayerPerceptron(
            n_features=num_features,
            n_width=WIDTH,
            n_layers=LAYERS,
            n_init_classes=len(self._labels),
            optimizer_fn=OPTIMIZER,
            lr=RATE,
            seed=self._seed,
        )
        return River(compose.Pipeline(preprocessing.StandardScaler(), model), task="classification")


def multilayer_perceptron(*, task: str, labels: Sequence[str], seed: int) -> MLP:
    """deep-river has regressors too; they are not run here."""
    assert task == "classification"
    return MLP(labels=labels, seed=seed)
