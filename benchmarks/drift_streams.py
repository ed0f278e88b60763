"""Streams with known drifts, and the learner that the drift bench resets on an alarm."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

DATA: Final = Path(__file__).parents[2] / "shared" / "data"

_CIRCLES: Final = (((0.2, 0.5), 0.15), ((0.4, 0.5), 0.2), ((0.6, 0.5), 0.25), ((0.8, 0.5), 0.3))


class Stream(NamedTuple):
    """N rows of two features and a label, 0 or 1."""

    points_N2: NDArray[np.float64]
    label_N: NDArray[np.int64]
    drifts: tuple[int, ...]
    """The first row of each new concept's transition."""
    allowed_rows: int
    """An alarm so many rows after a drift, or fewer, has found it."""


def sine1(seed: int) -> Stream:
    """100,000 rows; the labels of the two sides of y = sin x change places every 20,000 rows, within 50 rows."""
    concept_N = _concepts(length=20_000, num=5, width=50, at=lambda drift: drift * 20_000, seed=seed) % 2
    generator = np.random.default_rng([seed, 1])
    points_N2, label_N = _balanced(lambda xy, _: xy[:, 1] <= np.sin(xy[:, 0]), concept_N, generator)
    return Stream(points_N2, _noisy(label_N ^ concept_N, generator), (20_000, 40_000, 60_000, 80_000), 250)


def circles(seed: int) -> Stream:
    """100,000 rows; a circle moves and grows every 25,000 rows, within 500 rows."""
    return _circles(seed, at=lambda drift: drift * 25_000)


def circles_as_published(seed: int) -> Stream:
    """The same with each transition one concept early, as in the published generator and its file.

    It writes the mixture of concepts i and i + 1 over the first 500 rows of concept i: a change at once to a mixture that
    goes on to the concept after the next, and back at row 500.
    """
    return _circles(seed, at=lambda drift: (drift - 1) * 25_000)


def published(name: str) -> Stream:
    """The published file of `sine1` or `circles_as_published`."""
    file, like = {
        "sine1": ("sine1_w_50_n_0.1_101.arff.gz", sine1(0)),
        "circles": ("circles_w_500_n_0.1_101.arff.gz", circles(0)),
    }[name]
    with gzip.open(DATA / file, "rt", encoding="utf-8") as lines:
        rows = [line.split(",") for line in lines if line[:1].isdigit()]
    points_N2 = np.array([[float(x), float(y)] for x, y, _ in rows])
    return Stream(points_N2, np.array([label.strip() == "p" for *_, label in rows], np.int64), like.drifts, like.allowed_rows)


def _circles(seed: int, *, at: Callable[[int], int]) -> Stream:
    concept_N = _concepts(length=25_000, num=4, width=500, at=at, seed=seed)
    center_42, radius_4 = np.array([c for c, _ in _CIRCLES]), np.array([r for _, r in _CIRCLES])

    def outside(xy: NDArray[np.float64], concept: NDArray[np.int64]) -> NDArray[np.bool_]:
        is_outside_N: NDArray[np.bool_] = ((xy - center_42[concept]) ** 2).sum(axis=1) > radius_4[concept] ** 2
        return is_outside_N

    generator = np.random.default_rng([seed, 1])
    points_N2, label_N = _balanced(outside, concept_N, generator)
    return Stream(points_N2, _noisy(label_N, generator), (25_000, 50_000, 75_000), 1_000)


def _concepts(*, length: int, num: int, width: int, at: Callable[[int], int], seed: int) -> NDArray[np.int64]:
    """Each row's concept; drift i writes a sigmoid mixture of concepts i - 1 and i over `width` rows from row `at(i)`."""
    generator = np.random.default_rng([seed, 0])
    concept_N = np.repeat(np.arange(num), length)
    new_W = 1 / (1 + np.exp(-4 / width * (np.arange(width) - width / 2)))
    for drift in range(1, num):
        start = at(drift)
        concept_N[start : start + width] = drift - 1 + (generator.random(width) < new_W)
    return concept_N


def _balanced(
    classify: Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.bool_]],
    concept_N: NDArray[np.int64],
    generator: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points uniform in the unit square, drawn until each has the class that a fair coin asked for."""
    wanted_N = generator.random(len(concept_N)) < 0.5
    points_N2 = generator.random((len(concept_N), 2))
    while len(wrong := np.flatnonzero(classify(points_N2, concept_N) != wanted_N)):
        points_N2[wrong] = generator.random((len(wrong), 2))
    return points_N2, wanted_N.astype(np.int64)


def _noisy(label_N: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    flipped = generator.choice(len(label_N), len(label_N) // 10, replace=False)
    label_N[flipped] ^= 1
    return label_N


class GaussianNaiveBayes:
    """Two features, two classes; forgets everything on `reset`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._count = [0, 0]
        self._mean = [[0.0, 0.0], [0.0, 0.0]]
        self._square = [[0.0, 0.0], [0.0, 0.0]]

    def predict(self, x: float, y: float) -> int:
        return int(self._score(1, x, y) > self._score(0, x, y))

    def _score(self, label: int, x: float, y: float) -> float:
        n = self._count[label]
        if n < 2:
            return float(n) - 1e9
        score = math.log(n)
        for value, mean, square in zip((x, y), self._mean[label], self._square[label], strict=True):
            variance = square / (n - 1) + 1e-9
            score -= 0.5 * (math.log(variance) + (value - mean) ** 2 / variance)
        return score

    def learn(self, x: float, y: float, label: int) -> None:
        self._count[label] += 1
        mean, square = self._mean[label], self._square[label]
        for feature, value in enumerate((x, y)):
            delta = value - mean[feature]
            mean[feature] += delta / self._count[label]
            square[feature] += delta * (value - mean[feature])
