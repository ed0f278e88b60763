from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from river import metrics as river_metrics

from daemon.errors import StateError
from daemon.monitoring.metrics.classification import ClassificationMetrics
from daemon.monitoring.metrics.tally import NO_ANSWER, UNKNOWN, Tally
from daemon.monitoring.metrics.worst import WorstStretch

Row = tuple[int, int, float]


def columns(*rows: Row) -> NDArray[np.float64]:
    """Targets, answers and probabilities."""
    return np.array(rows, np.float64).T


def random_rows(num_rows: int, *, num_classes: int = 4, seed: int = 0) -> list[Row]:
    rng = np.random.default_rng(seed)
    targets = rng.integers(num_classes, size=num_rows)
    answers = np.where(rng.random(num_rows) < 0.7, targets, rng.integers(num_classes, size=num_rows))
    return list(zip(targets.tolist(), answers.tolist(), rng.random(num_rows).tolist(), strict=True))


def test_figures_equal_rivers() -> None:
    tally = Tally(probabilistic=True)
    accuracy, macro_f1 = river_metrics.Accuracy(), river_metrics.MacroF1()
    kappa, log_loss = river_metrics.CohenKappa(), river_metrics.LogLoss()
    for target, answer, p in random_rows(500):
        tally.update_all(*columns((target, answer, p)))
        accuracy.update(target, answer)
        macro_f1.update(target, answer)
        kappa.update(target, answer)
        log_loss.update(True, p)
        figures = tally.figures()
        assert figures["accuracy"] == pytest.approx(accuracy.get(), rel=1e-12)
        assert figures["macro_f1"] == pytest.approx(macro_f1.get(), rel=1e-12)
        assert figures["log_loss"] == pytest.approx(log_loss.get(), rel=1e-12)
        if figures["kappa"] is not None:
            assert figures["kappa"] == pytest.approx(kappa.get(), rel=1e-9, abs=1e-12)


def test_kappa_of_the_textbook_table() -> None:
    # Two raters, 20 both yes, 5 and 10 apart, 15 both no: kappa is .4.
    tally = Tally(probabilistic=False)
    for target, answer, times in [(0, 0, 20), (0, 1, 5), (1, 0, 10), (1, 1, 15)]:
        tally.update_all(*columns(*[(target, answer, 0.0)] * times))
    assert tally.figures()["kappa"] == pytest.approx(0.4, abs=1e-15)


def test_macro_f1_leaves_out_classes_that_never_came() -> None:
    tally = Tally(probabilistic=False)
    tally.update_all(*columns((0, 0, 0.0)))
    tally.update_all(*columns((5, 5, 0.0)))
    assert tally.figures()["macro_f1"] == 1.0


def test_no_answer_and_unknown_target_are_errors_of_no_class() -> None:
    tally = Tally(probabilistic=True)
    tally.update_all(*columns((0, NO_ANSWER, 0.0)))
    tally.update_all(*columns((UNKNOWN, 0, 0.0)))
    tally.update_all(*columns((UNKNOWN, NO_ANSWER, math.nan)))
    figures = tally.figures()
    assert (figures["examples"], figures["errors"], figures["macro_f1"]) == (3, 3, 0.0)
    assert figures["log_loss"] == pytest.approx(-math.log(1e-15))


def test_what_cannot_be_had_yet_is_none() -> None:
    figures = ClassificationMetrics(window_rows=10, probabilistic=False).since_start()
    assert figures == {
        "examples": 0,
        "errors": 0,
        "accuracy": None,
        "macro_f1": None,
        "kappa": None,
        "log_loss": None,
        "worst_500": None,
    }


def test_kappa_is_none_where_chance_always_agrees() -> None:
    tally = Tally(probabilistic=False)
    tally.update_all(*columns((0, 0, 0.0)))
    assert tally.figures()["kappa"] is None


def test_probability_above_one_by_rounding_costs_nothing() -> None:
    tally = Tally(probabilistic=True)
    tally.update_all(*columns((0, 0, 1.0 + 1e-9)))
    assert tally.figures()["log_loss"] == 0.0


def test_window_is_a_fresh_count_of_the_last_rows() -> None:
    rows = random_rows(300)
    metrics = ClassificationMetrics(window_rows=100, probabilistic=True)
    only_last = ClassificationMetrics(window_rows=100, probabilistic=True)
    for row in rows:
        metrics.update(*row)
    for row in rows[200:]:
        only_last.update(*row)
    expected = only_last.since_start()
    del expected["worst_500"]
    assert metrics.window() == expected


def test_worst_stretch_is_the_lowest_of_all_stretches() -> None:
    hits = [target == answer for target, answer, _ in random_rows(2_000, seed=3)]
    metrics = ClassificationMetrics(window_rows=10, probabilistic=False)
    for row, hit in enumerate(hits):
        metrics.update(0, 0 if hit else 1, 0.0)
        assert (metrics.since_start()["worst_500"] is None) == (row < 499)
    assert metrics.since_start()["worst_500"] == min(sum(hits[i : i + 500]) for i in range(1_501)) / 500


def test_state_goes_through_json_and_arrays_and_continues_identically() -> None:
    rows = random_rows(1_500, seed=5)
    first = ClassificationMetrics(window_rows=64, probabilistic=True)
    second = ClassificationMetrics(window_rows=64, probabilistic=True)
    for row in rows[:700]:
        first.update(*row)
    second.load_state_dict(first.state_dict())
    for row in rows[700:]:
        assert first.update(*row) == second.update(*row)
    assert first.since_start() == second.since_start()
    assert first.window() == second.window()
    assert canonical(first.state_dict()) == canonical(second.state_dict())


def test_no_cut_of_the_rows_changes_a_figure() -> None:
    rows = random_rows(1_500, seed=6)
    one_by_one = ClassificationMetrics(window_rows=64, probabilistic=True)
    in_pieces = ClassificationMetrics(window_rows=64, probabilistic=True)
    losses = [one_by_one.update(*row) for row in rows]
    assert in_pieces.update_all(*columns(*rows[:1_000])).tolist() == losses[:1_000]
    assert in_pieces.since_start()["examples"] == 1_000
    in_pieces.update_all(*columns(*rows[1_000:]))
    assert one_by_one.since_start() == in_pieces.since_start()
    assert canonical(one_by_one.state_dict()) == canonical(in_pieces.state_dict())


def test_missing_part_of_a_state_is_named() -> None:
    state = WorstStretch(num_rows=3).state_dict()
    del state["fewest_hits"]
    with pytest.raises(StateError, match="worst stretch: the saved state has no 'fewest_hits'"):
        WorstStretch(num_rows=3).load_state_dict(state)


def canonical(state: object) -> str:
    def plain(value: object) -> object:
        assert isinstance(value, np.ndarray)
        return [str(value.dtype), value.tolist()]

    return json.dumps(state, default=plain, sort_keys=True, allow_nan=False)
