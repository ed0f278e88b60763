"""River's learners, each with its defaults and a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from river import compose, ensemble, feature_extraction, forest, linear_model, multiclass, preprocessing, tree

from benchmarks.quality.peers.base import Peer, Row


class River(Peer):
    """A River estimator behind the contract; `booleans` are the two labels of one that knows only False and True."""

    def __init__(self, estimator: Any, *, task: str, booleans: Sequence[str] = ()) -> None:
        self._estimator, self._task, self._booleans = estimator, task, tuple(booleans)

    def predict(self, row: Row) -> Mapping[str, float] | float:
        inputs = row["text"] if "text" in row else row["features"]
        if self._task == "regression":
            return float(self._estimator.predict_one(inputs) or 0.0)
        predicted = self._estimator.predict_proba_one(inputs)
        if self._booleans:
            return {name: float(predicted[value]) for name, value in zip(self._booleans, (False, True), strict=True)}
        return {str(label): float(p) for label, p in predicted.items()}

    def learn(self, row: Row, label: Any) -> None:
        label = label == self._booleans[1] if self._booleans else label
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
    return _logistic(preprocessing.StandardScaler(), labels=labels)


def linear_regression(*, task: str, labels: Sequence[str], seed: int) -> River:
    return River(compose.Pipeline(preprocessing.StandardScaler(), linear_model.LinearRegression()), task=task)


def tfidf_sgd(*, task: str, labels: Sequence[str], seed: int) -> River:
    if task == "classification":
        return _logistic(feature_extraction.TFIDF(), labels=labels)
    return River(compose.Pipeline(feature_extraction.TFIDF(), linear_model.LinearRegression()), task=task)


def _logistic(first: Any, *, labels: Sequence[str]) -> River:
    """One regression where two labels are told apart, else one for each label."""
    binary = linear_model.LogisticRegression()
    if len(labels) == 2:
        return River(compose.Pipeline(first, binary), task="classification", booleans=labels)
    return River(compose.Pipeline(first, multiclass.OneVsRestClassifier(binary)), task="classification")
