"""River's learners, each with its defaults and a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from river import compose, ensemble, feature_extraction, forest, linear_model, multiclass, preprocessing, tree

from benchmarks.quality.peers.base import Peer, Row


class River(Peer):
    """A River estimator behind the contract of the peers."""

    def __init__(self, estimator: Any, *, task: str) -> None:
        self._estimator, self._task = estimator, task

    def predict(self, row: Row) -> Mapping[str, float] | float:
        inputs = row["text"] if "text" in row else row["features"]
        if self._task == "regression":
            return float(self._estimator.predict_one(inputs) or 0.0)
        predicted = self._estimator.predict_proba_one(inputs)
        return {str(label): float(p) for label, p in predicted.items()}

    def learn(self, row: Row, label: Any) -> None:
        self._estimator.learn_one(row["text"] if "text" in row else row["features"], label)


def adaptive_random_forest(*, task: str, labels: Sequence[str], seed: int) -> River:
    kind = forest.ARFRegressor if task == "regression" else forest.ARFClassifier
    return River(kind(seed=seed), task=task)


def mondrian_forest(*, task: str, labels: Sequence[str], seed: int) -> River:
    kind = forest.AMFRegressor if task == "regression" else forest.AMFClassifier
    return River(kind(seed=seed), task=task)


def streaming_random_patches(*, task: str, labels: Sequence[str], seed: int) -> River:
    return River(ensemble.SRPClassifier(model=tree.HoeffdingTreeClassifier(), n_models=10, seed=seed), task=task)


def logistic_regression(*, task: str, labels: Sequence[str], seed: int) -> River:
    return River(compose.Pipeline(preprocessing.StandardScaler(), _logistic(labels)), task=task)


def linear_regression(*, task: str, labels: Sequence[str], seed: int) -> River:
    return River(compose.Pipeline(preprocessing.StandardScaler(), linear_model.LinearRegression()), task=task)


def tfidf_sgd(*, task: str, labels: Sequence[str], seed: int) -> River:
    last = linear_model.LinearRegression() if task == "regression" else _logistic(labels)
    return River(compose.Pipeline(feature_extraction.TFIDF(), last), task=task)


def _logistic(labels: Sequence[str]) -> Any:
    binary = linear_model.LogisticRegression()
    return binary if len(labels) == 2 else multiclass.OneVsRestClassifier(binary)
