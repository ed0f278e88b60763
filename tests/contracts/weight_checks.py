"""What the weight of a row does to the state of each expert: `STEPS` says it, by class, of every entry that it moves.

The same row is learned from the same state with a weight of 0, 1, 2 and 4, and twice with a weight of 1. What `STEPS` does not
name is the same to the bit for every weight above 0. A new class of expert needs its line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts.bank import _Member
from daemon.learning.experts.base import Expert
from daemon.learning.experts.finetuned import FinetunedExpert
from daemon.learning.experts.forest import Forest
from daemon.learning.experts.fourier import FourierLeastSquares
from daemon.learning.experts.fourier_residual import FourierResidual
from daemon.learning.experts.hashed_residual import HashedResidual
from daemon.learning.experts.key_column import KeyColumn
from daemon.learning.experts.knn import NearestNeighbours
from daemon.learning.experts.lda import StreamingLDA
from daemon.learning.experts.linear import Linear
from daemon.learning.experts.linear_residual import LinearResidual
from daemon.learning.experts.markov import MarkovLabel
from daemon.learning.experts.mlp import MLP
from daemon.learning.experts.mlp_residual import MLPResidual
from daemon.learning.experts.naive_bayes import NaiveBayes
from daemon.learning.experts.prior import DecayedPrior
from daemon.learning.experts.residual import Guess
from daemon.learning.experts.steady_linear import SteadyLinear
from daemon.learning.experts.table_bayes import TableBayes
from daemon.learning.experts.word_bayes import WordBayes
from daemon.state import State
from tests.contracts.expert_checks import Case, Runner

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Learned:
    """One entry of the state after the row was learned with each weight."""

    none: Floats
    one: Floats
    two: Floats
    four: Floats
    twice: Floats


Relation = Callable[[Learned], None]


def adds_up(entry: Learned) -> None:
    """The step is as long as the weight: s + weight · step, where s may have decayed."""
    _assert_close(entry.four - entry.two, 2.0 * (entry.two - entry.one), entry.four)


def as_twice(entry: Learned) -> None:
    """A weight of 2 is the row learned twice."""
    _assert_close(entry.two, entry.twice, entry.two)


def as_least_squares(entry: Learned) -> None:
    """Weighted least squares: step · (λ / weight + φᵀPφ) is the same for every weight, so 1 / step is linear in 1 / weight."""
    one, two, four = ((after - entry.none).ravel() for after in (entry.one, entry.two, entry.four))
    if one.any():
        of_two, of_four = two @ one / (one @ one), four @ one / (one @ one)
        _assert_close(two, of_two * one, entry.two)
        np.testing.assert_allclose(1.0 - 1.0 / of_two, 2.0 * (1.0 / of_two - 1.0 / of_four), rtol=1e-4, atol=1e-7)
        assert 1.0 < of_two < 2.0


def as_words(entry: Learned) -> None:
    """Weights, squares and counts add up; the logarithms follow from the counts, whichever way they came."""
    _as_block(entry, num_logs=2)


def as_grams(entry: Learned) -> None:
    _as_block(entry, num_logs=1)


def _as_block(entry: Learned, *, num_logs: int) -> None:
    num_planes = entry.none.shape[1] // 2
    logs = slice(num_planes - num_logs, num_planes)
    adds_up(Learned(*(np.delete(cells_SPK, logs, axis=1) for cells_SPK in _fields(entry))))
    as_twice(Learned(*(cells_SPK[:, logs] for cells_SPK in _fields(entry))))


def _fields(entry: Learned) -> tuple[Floats, ...]:
    return entry.none, entry.one, entry.two, entry.four, entry.twice


def elsewhere(entry: Learned) -> None:
    """It depends on the weight in a way that no entry tells alone: a test of its own proves what it does."""


def _assert_close(actual: Floats, expected: Floats, state: Floats) -> None:
    """Equal but for the rounding of float32."""
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6 * max(1.0, float(np.abs(state).max(initial=0.0))))


_SQUARES = {"squares.weight": as_least_squares, "squares.inverse": elsewhere, "squares.pending": elsewhere}
_NETWORK = dict.fromkeys(("theta", "moment", "square"), elsewhere) | {"row_weights": adds_up}
_TEXT_TABLE = {"table.words.cells": as_words, "table.grams.cells": as_grams}
_TREES = ("column", "threshold", "child", "head", "entry_class", "entry_weight", "next_entry", "num_nodes", "num_entries")

STEPS: dict[type[Expert], Mapping[str, Relation]] = {
    DecayedPrior: {"counts": adds_up},
    MarkovLabel: {"counts": adds_up, "followed": adds_up},
    NaiveBayes: _TEXT_TABLE | {"totals": adds_up, "rows": adds_up},
    WordBayes: {
        "table.words.cells": as_words, "totals": adds_up, "rows": adds_up, "softmax.log_temperature": adds_up,
    },
    TableBayes: {"columns": as_twice, "rows": adds_up, "slots.cells": adds_up, "softmax.log_temperature": adds_up},
    KeyColumn: dict.fromkeys(("counts", "prior_loss", "losses", "columns", "values"), adds_up),
    StreamingLDA: {
        "inverse": as_twice, "means": as_twice, "solved": as_twice, "squares": as_twice,
        "counts": adds_up, "priors": adds_up, "total": adds_up,
    },
    NearestNeighbours: {"row_weights": adds_up},
    _Member: _TEXT_TABLE | {
        "dense.cells": adds_up, "tokens.cells": adds_up, "row_weights": adds_up, "bias": adds_up,
        "columns.cells": adds_up, "words.words.cells": as_words, "count": adds_up,
        # `test_a_weight_counts_the_row_so_often`, of the probits.
        "mean": elsewhere, "joint": elsewhere, "apart.cells": elsewhere,
    },
    Linear: {"weight": adds_up},
    FourierLeastSquares: _SQUARES | {"weight": as_least_squares, "softmax.log_temperature": adds_up},
    MLP: _NETWORK,
    Forest: {"row_weights": adds_up, "softmax.log_temperature": adds_up} | dict.fromkeys(_TREES, elsewhere),
    Guess: {},
    LinearResidual: {f"fit.{name}": relation for name, relation in _SQUARES.items()},
    SteadyLinear: {f"fit.{name}": relation for name, relation in _SQUARES.items()},
    FourierResidual: {f"fit.{name}": relation for name, relation in _SQUARES.items()},
    MLPResidual: {f"fit.{name}": relation for name, relation in _NETWORK.items()},
    HashedResidual: {"fit.weight": adds_up},
    # The row waits for its step: `test_a_weight_of_two_counts_as_the_row_twice` is of the network that takes it.
    FinetunedExpert: {"pending.weight": adds_up},
}  # fmt: skip


def check_weight_two_doubles_the_step(case: Case) -> None:
    for _, path, entry, relation in entries(case):
        if relation is None:
            assert entry.one.tobytes() == entry.two.tobytes() == entry.four.tobytes(), path
        else:
            relation(entry)


def entries(case: Case) -> Iterator[tuple[type[Expert], str, Learned, Relation | None]]:
    """Every entry of every expert's state, by class and path, with what `STEPS` says of it."""
    runner, half = Runner(case), len(case.batch) // 2
    runner.learn(0, half)
    start, num_classes = runner.state(), runner.num_classes
    runs: dict[str, State] = {}
    for run, weights in (("none", [0.0]), ("one", [1.0]), ("two", [2.0]), ("four", [4.0]), ("twice", [1.0, 1.0])):
        runner.load(start, num_classes=num_classes)
        for weight in weights:
            runner.learn(half, half + 1, weight=weight)
        runs[run] = runner.state()["experts"]
    for expert in runner.experts:
        kind, states = type(expert), {run: dict(_flat(state[expert.name])) for run, state in runs.items()}
        for path in states["one"]:
            learned = Learned(**{run: np.asarray(state.get(path, []), dtype=np.float64) for run, state in states.items()})
            yield kind, f"{expert.name}.{path}", learned, STEPS[kind].get(path)


def _flat(state: State, where: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in state.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{where}{key}.")
        else:
            yield f"{where}{key}", value
