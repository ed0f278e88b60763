"""Streams made for simple learners, with what they hold known: for each kind a generator of rows from a seed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.quality.cases import Task
from benchmarks.quality.streams import Row

NUM_ROWS: Final = 2_000
Floats = NDArray[np.float64]
Columns = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What is true of a stream, and how its rows are drawn."""

    name: str
    what: str
    rows: Callable[[int], Iterator[Row]]
    task: Task = "classification"


def _rows(columns: Columns, label_N: NDArray[Any]) -> Iterator[Row]:
    """`columns` are arrays of N values each; (N, D) ones are D columns."""
    flat = {
        f"{name}{d}" if values.ndim == 2 else name: column
        for name, values in columns.items()
        for d, column in enumerate(np.atleast_2d(values.T).tolist())
    }
    numbers = label_N.dtype.kind == "f"
    for i, label in enumerate(label_N.tolist()):
        yield {"features": {name: column[i] for name, column in flat.items()}, "label": label if numbers else str(label)}


def _named(category_N: NDArray[np.int64]) -> NDArray[np.str_]:
    return np.char.add("v", category_N.astype(str))


def _flipped(random: Generator, label_N: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Labels 0 and 1, a share of them wrong."""
    return label_N ^ (random.uniform(size=len(label_N)) < share)


def _coin(random: Generator, log_odds_N: Floats) -> NDArray[np.int64]:
    return (random.uniform(size=len(log_odds_N)) < 1 / (1 + np.exp(-log_odds_N))).astype(np.int64)


def hyperplane(seed: int, *, width: int, noise: float, drift: float = 0.0) -> Iterator[Row]:
    """Which side of a plane through the middle; the plane turns by `drift` a row, each weight now and then the other way."""
    random = np.random.default_rng(seed)
    x_ND, weight_D = random.uniform(size=(NUM_ROWS, width)), random.normal(size=width)
    turns_ND = np.cumprod(np.where(random.uniform(size=x_ND.shape) < 0.01 / width, -1, 1), axis=0)
    weight_ND = weight_D + drift * np.cumsum(random.choice([-1, 1], size=width) * turns_ND, axis=0)
    label_N = (((x_ND - 0.5) * weight_ND).sum(axis=1) > 0).astype(np.int64)
    return _rows({"x": x_ND}, _flipped(random, label_N, noise))


def one_column(seed: int) -> Iterator[Row]:
    """One of 25 normal columns decides, with noise half as wide; the other columns tell nothing."""
    random = np.random.default_rng(seed)
    x_ND = random.normal(size=(NUM_ROWS, 25))
    return _rows({"x": x_ND}, (x_ND[:, 0] + 0.5 * random.normal(size=NUM_ROWS) > 0).astype(np.int64))


def gaussians(seed: int) -> Iterator[Row]:
    """Three classes, each with its own place and width in each of six columns: what naive Bayes takes for granted."""
    random = np.random.default_rng(seed)
    place_KD, width_KD = 0.7 * random.normal(size=(3, 6)), random.uniform(0.4, 2.0, size=(3, 6))
    label_N = random.integers(3, size=NUM_ROWS)
    return _rows({"x": place_KD[label_N] + width_KD[label_N] * random.normal(size=(NUM_ROWS, 6))}, label_N)


def logistic(seed: int) -> Iterator[Row]:
    """Log odds that are a sum of eight columns, and a label that is seldom."""
    random = np.random.default_rng(seed)
    x_ND = random.normal(size=(NUM_ROWS, 8))
    return _rows({"x": x_ND}, _coin(random, x_ND @ random.normal(size=8) - 2.0))


def multinomial(seed: int) -> Iterator[Row]:
    """The same with five labels and twelve columns."""
    random = np.random.default_rng(seed)
    x_ND = random.normal(size=(NUM_ROWS, 12))
    return _rows({"x": x_ND}, (x_ND @ random.normal(size=(12, 5)) + random.gumbel(size=(NUM_ROWS, 5))).argmax(axis=1))


def identities(seed: int) -> Iterator[Row]:
    """One category of 2,000 values, a few of them frequent, each with its label; one label in ten is wrong."""
    random = np.random.default_rng(seed)
    label_V, value_N = random.integers(2, size=2_000), random.zipf(1.3, size=NUM_ROWS) % 2_000
    return _rows({"user": _named(value_N)}, _flipped(random, label_V[value_N], 0.1))


def categories(seed: int) -> Iterator[Row]:
    """Log odds that are a sum over six categories of eight values."""
    random = np.random.default_rng(seed)
    value_NC, worth_CV = random.integers(8, size=(NUM_ROWS, 6)), random.normal(size=(6, 8))
    return _rows({"c": _named(value_NC)}, _coin(random, 2.0 * worth_CV[np.arange(6), value_NC].sum(axis=1)))


def mixed_columns(seed: int) -> Iterator[Row]:
    """Log odds that are a sum of three numbers and a category of twenty values."""
    random = np.random.default_rng(seed)
    value_N, x_ND = random.integers(20, size=NUM_ROWS), random.normal(size=(NUM_ROWS, 3))
    log_odds_N = 1.5 * (1.5 * random.normal(size=20)[value_N] + x_ND @ random.normal(size=3))
    return _rows({"c": _named(value_N), "x": x_ND}, _coin(random, log_odds_N))


def bag(seed: int, *, width: int, named: int) -> Iterator[Row]:
    """Each row has `named` of many columns, those of one of three labels more often; the value is how often it was drawn."""
    random = np.random.default_rng(seed)
    p_V, p_KV = random.dirichlet(np.full(width, 0.1)), random.dirichlet(np.full(width, 0.03), size=3)
    for label in random.integers(3, size=NUM_ROWS).tolist():
        drawn, times = np.unique(random.choice(width, size=named, p=0.7 * p_V + 0.3 * p_KV[label]), return_counts=True)
        yield {"features": {f"w{v}": float(n) for v, n in zip(drawn, times, strict=True)}, "label": str(label)}


def holes(seed: int) -> Iterator[Row]:
    """The rows of `gaussians`, in which every other value is missing."""
    random = np.random.default_rng(seed)
    for row in gaussians(seed):
        kept = {name: value for name, value in row["features"].items() if random.uniform() < 0.5}
        yield {"features": kept, "label": row["label"]}


def runs(seed: int) -> Iterator[Row]:
    """Three labels that stay from row to row with .9, beside columns that say nothing."""
    random = np.random.default_rng(seed)
    drawn_N, stays_N = random.integers(3, size=NUM_ROWS), random.uniform(size=NUM_ROWS) < 0.85
    last_N = np.maximum.accumulate(np.where(stays_N, 0, np.arange(NUM_ROWS)))
    return _rows({"x": random.normal(size=(NUM_ROWS, 4))}, drawn_N[last_N])


def sorted_labels(seed: int) -> Iterator[Row]:
    """Ten labels one after the other, each with its own place in five columns."""
    random = np.random.default_rng(seed)
    label_N = np.repeat(np.arange(10), NUM_ROWS // 10)
    return _rows({"x": random.normal(size=(10, 5))[label_N] + random.normal(size=(NUM_ROWS, 5))}, label_N)


def nothing(seed: int, *, share: float) -> Iterator[Row]:
    """Labels that nothing tells of, a `share` of them 1."""
    random = np.random.default_rng(seed)
    return _rows({"x": random.normal(size=(NUM_ROWS, 5))}, (random.uniform(size=NUM_ROWS) < share).astype(np.int64))


def topics(seed: int, *, noise: float) -> Iterator[Row]:
    """Texts of some twelve words out of 3,000, drawn by the word counts of four topics; a share of the labels is drawn anew."""
    random = np.random.default_rng(seed)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    words = ["".join(random.choice(letters, size=random.integers(3, 9))) for _ in range(3_000)]
    p_V, p_KV = random.dirichlet(np.full(3_000, 0.05)), random.dirichlet(np.full(3_000, 0.02), size=4)
    for _ in range(NUM_ROWS):
        topic = int(random.integers(4))
        drawn = random.choice(words, size=max(3, random.poisson(12)), p=0.8 * p_V + 0.2 * p_KV[topic])
        label = int(random.integers(4)) if random.uniform() < noise else topic
        yield {"text": " ".join(drawn.tolist()), "label": str(label)}


def walk(seed: int) -> Iterator[Row]:
    """A number that goes on from where it was, beside columns that say nothing."""
    random = np.random.default_rng(seed)
    return _rows({"x": random.normal(size=(NUM_ROWS, 3))}, random.normal(size=NUM_ROWS).cumsum())


def plane(seed: int, *, drift: float = 0.0) -> Iterator[Row]:
    """A number that is a sum of six columns and noise; each weight walks by `drift` a row."""
    random = np.random.default_rng(seed)
    x_ND = random.normal(size=(NUM_ROWS, 6))
    weight_ND = random.normal(size=6) + drift * random.normal(size=x_ND.shape).cumsum(axis=0)
    return _rows({"x": x_ND}, (x_ND * weight_ND).sum(axis=1) + 0.5 * random.normal(size=NUM_ROWS))


def season(seed: int) -> Iterator[Row]:
    """A wave of 48 rows on a level that jumps every 500."""
    random = np.random.default_rng(seed)
    row_N = np.arange(NUM_ROWS)
    level_N = 5.0 * random.normal(size=NUM_ROWS // 500)[row_N // 500]
    value_N = np.sin(2 * np.pi * row_N / 48) + level_N + 0.3 * random.normal(size=NUM_ROWS)
    return _rows({"hour": row_N % 48 / 2.0}, value_N)


def river(name: str, seed: int, **options: Any) -> Iterator[Row]:
    """A stream of River's generator `name`."""
    from river.datasets import synth

    make = getattr(synth, name)
    seeds = [parameter for parameter in inspect.signature(make).parameters if parameter.startswith("seed")]
    for columns, label in islice(make(**dict.fromkeys(seeds, seed), **options), NUM_ROWS):
        named = {str(column): value if isinstance(value, str) else float(value) for column, value in columns.items()}
        yield {"features": named, "label": str(label)}


KINDS: Final = (
    Kind("hyperplane", "a plane, one label in twenty wrong", partial(hyperplane, width=10, noise=0.05)),
    Kind("hyperplane_clean", "a plane", partial(hyperplane, width=10, noise=0.0)),
    Kind("hyperplane_turns", "a plane that turns", partial(hyperplane, width=10, noise=0.05, drift=0.01)),
    Kind("hyperplane_50", "a plane in 50 columns", partial(hyperplane, width=50, noise=0.02)),
    Kind("hyperplane_3", "a plane in 3 columns, one label in ten wrong", partial(hyperplane, width=3, noise=0.1)),
    Kind("one_column", "one of 25 columns tells, with noise", one_column),
    Kind("gaussians", "three classes of independent normal columns", gaussians),
    Kind("logistic", "log odds that are a sum of columns", logistic),
    Kind("multinomial", "the same with five labels", multinomial),
    Kind("identities", "a category of 2,000 values", identities),
    Kind("categories", "log odds that are a sum over categories", categories),
    Kind("mixed_columns", "log odds that are a sum of a category and numbers", mixed_columns),
    Kind("bag", "12 of 300 columns in each row", partial(bag, width=300, named=12)),
    Kind("bag_wide", "25 of 1,500 columns in each row", partial(bag, width=1_500, named=25)),
    Kind("holes", "gaussians, every other value missing", holes),
    Kind("runs", "labels that stay", runs),
    Kind("sorted", "ten labels one after the other", sorted_labels),
    Kind("nothing", "labels that nothing tells of, three in ten are 1", partial(nothing, share=0.3)),
    Kind("coin", "a fair coin", partial(nothing, share=0.5)),
    Kind("topics", "texts of four topics", partial(topics, noise=0.0)),
    Kind("topics_noisy", "the same, one label in seven drawn anew", partial(topics, noise=0.15)),
    Kind("sea", "River's SEA, one label in ten wrong", partial(river, "SEA", noise=0.1)),
    Kind("led", "River's LED, one bit in ten wrong", partial(river, "LED", noise_percentage=0.1, irrelevant_features=True)),
    Kind("agrawal", "River's Agrawal", partial(river, "Agrawal", perturbation=0.05)),
    Kind("waveform", "River's Waveform, with noise", partial(river, "Waveform", has_noise=True)),
    Kind("tree", "River's RandomTree", partial(river, "RandomTree", n_classes=3, n_num_features=5, n_cat_features=3)),
    Kind("mixed", "River's Mixed", partial(river, "Mixed")),
    Kind("walk", "a number that goes on from where it was", walk, "regression"),
    Kind("plane", "a sum of columns", plane, "regression"),
    Kind("plane_drifts", "a sum of columns, each weight on a walk", partial(plane, drift=0.02), "regression"),
    Kind("season", "a wave on a level that jumps", season, "regression"),
)
