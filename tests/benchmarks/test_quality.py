"""The benchmarks' plumbing on a few rows: same rows for all, labels never seen before they arrive, figures by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.quality import made, made_streams, peers, recorded, recorded_tables, results, streams, texts
from benchmarks.quality.baselines import baseline_answers
from benchmarks.quality.burst import AFTER, EXTREME, FLIPPED, LENGTH, PROBE, burst
from benchmarks.quality.cases import CASES, Beside, Case, Goal
from benchmarks.quality.learnd import backtest
from benchmarks.quality.peers.base import Peer, Row, run
from benchmarks.quality.scores import Answers, figures, losses, targets, worst, worst_excess
from benchmarks.quality.simple import excesses, marked
from benchmarks.quality.table import render

NOTHING = np.full(4, np.nan)


def test_figures_of_a_classification_by_hand() -> None:
    target_N = np.array([0.0, 1.0, 1.0, 0.0])
    answers = Answers(np.array([-1.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.0, 0.8, 0.5]), np.array([0.0, 0.25, 0.8, 0.5]))
    found = figures(target_N, answers, task="classification")
    # The first rows of both labels are no part of the log loss; a positive row ranks above one negative of two, and both.
    assert found == {
        "errors": 3,
        "accuracy": 0.25,
        "worst_500": None,
        "log_loss": pytest.approx(-(np.log(0.8) + np.log(0.5)) / 2),
        "auc": 0.75,
    }


def test_the_first_row_of_a_regression_is_nobodys_error() -> None:
    answers = Answers(np.array([0.0, 100.0, 102.0, 99.0]), NOTHING, NOTHING)
    assert figures(np.array([100.0, 101.0, 101.0, 101.0]), answers, task="regression") == {"mae": pytest.approx(4 / 3)}


def test_worst_500_is_the_worst_window_and_not_the_last() -> None:
    loss_N = np.zeros(2_000)
    loss_N[700:750] = 1
    assert worst(loss_N) == pytest.approx(0.9)
    assert worst(loss_N[:499]) is None


def test_excess_is_over_whoever_leads_at_that_row() -> None:
    loss_N, early_N, late_N = np.zeros(1_500), np.zeros(1_500), np.zeros(1_500)
    loss_N[1:111] = 1  # 110 errors, all before the 1,000th row
    early_N[1:201] = 1
    late_N[1:101] = 1
    late_N[1_000:1_200] = 1
    # At row 1,000 `late` leads with 100 errors; from the 101st of its later errors on `early` does.
    assert worst_excess(loss_N, {"early": early_N, "late": late_N}) == (
        pytest.approx(0.1),
        1_000,
        "late",
        10.0,
        pytest.approx(110 / 200 - 1),
    )
    assert worst_excess(loss_N[:999], {"early": early_N[:999]}) is None
    # Behind the first 100 rows, and the one after them, 10 errors are left of 110, and 100 of the 200 of `early`.
    found = worst_excess(loss_N, {"early": early_N}, unscored=100)
    assert found == (pytest.approx(10 / 100 - 1), 1_100, "early", -90.0, pytest.approx(10 / 100 - 1))


class Memory(Peer):
    """Answers the label that it learned last."""

    def __init__(self) -> None:
        self.learned: list[str] = []

    def predict(self, row: Row) -> Mapping[str, float]:
        return {self.learned[-1]: 1.0} if self.learned else {}

    def learn(self, row: Row, label: Any) -> None:
        self.learned.append(label)


@pytest.mark.parametrize(("delay", "answers"), [(0, [-1, 0, 1, 2]), (2, [-1, -1, -1, 0])])
def test_a_label_is_learned_only_when_it_has_arrived(delay: int, answers: list[int]) -> None:
    rows = [{"label": label} for label in "abcd"]
    target_N, index = targets(list("abcd"), task="classification")
    peer = Memory()
    assert run(peer, rows, task="classification", index=index, delay=delay).answer_N.tolist() == answers
    assert peer.learned == list("abcd")[: 4 - delay]
    assert baseline_answers(target_N, task="classification", delay=delay)["last_label"].answer_N.tolist() == answers


@pytest.mark.parametrize("name", sorted(peers.PEERS))
def test_every_peer_learns_what_is_plain(name: str) -> None:
    regression = name == "river_linear"
    rows = _plain(text="tfidf" in name or "minilm" in name, regression=regression)
    task = "regression" if regression else "classification"
    target_N, index = targets([row["label"] for row in rows], task=task)
    try:
        peer = peers.make(name, task=task, labels=list(index))
    except ModuleNotFoundError as missing:
        pytest.skip(f"{missing.name} is only in the peers' environment")
    loss_N = losses(target_N, run(peer, rows, task=task, index=index), task=task)
    assert loss_N[-100:].mean() < (0.1 if regression else 0.2)
    assert peers.version(name).split()[1]


def _plain(*, text: bool, regression: bool) -> list[Row]:
    random = np.random.default_rng(3)
    rows: list[Row] = []
    for x in random.uniform(-1, 1, 600).tolist():
        label: Any = 2 * x if regression else "yes" if x > 0 else "no"
        words = "free money now" if x > 0 else "meeting at noon"
        rows.append({"text": words, "embedding": [x, -x], "label": label} if text else {"features": {"x": x}, "label": label})
    return rows


def test_streams_of_the_river_wheel_are_written_once(tmp_path: Path) -> None:
    path = streams.write("phishing", folder=tmp_path, max_rows=50)
    rows = streams.read(path)
    assert len(rows) == 50
    assert {row["label"] for row in rows} == {"True", "False"}
    path.write_text("", encoding="utf-8")
    assert streams.write("phishing", folder=tmp_path, max_rows=50).read_text(encoding="utf-8") == ""


@pytest.mark.skipif(not streams.DATA.exists(), reason="the measured streams lie beside the project, not in it")
@pytest.mark.parametrize("name", sorted(streams.STREAMS))
def test_every_stream_has_inputs_and_a_label(name: str, tmp_path: Path) -> None:
    rows = streams.read(streams.write(name, folder=tmp_path, max_rows=3))
    assert len(rows) == 3
    assert all(("text" in row) != ("features" in row) and row["label"] is not None for row in rows)


def test_a_case_runs_as_people_call_it_and_fills_the_table(tmp_path: Path) -> None:
    file = streams.write("phishing", folder=tmp_path, max_rows=120)
    target_N, index = targets([row["label"] for row in streams.read(file)], task="classification")
    case = Case("tiny", "phishing", (Goal("accuracy", 0.5, Beside(("vw",), plus=0.02), "none"),), ("vw",), note="120 rows")
    found = backtest(case, file, index=index)
    own = figures(target_N, found.answers, task="classification")
    assert own["errors"] == found.report["errors"]
    assert own["accuracy"] == pytest.approx(found.report["accuracy"])
    result = {"rows": 120, "learnd": {"accuracy": 0.75}, "peers": {"vw": _peer(0.7)}, "command": found.command}
    page = render([case], {"tiny": result | results.stamp()})
    assert "| tiny (120 rows) | accuracy | **.7500** | – | .7000 vw | none | ≥ .5000 ✓ | ≥ .7200 ✓ |" in page
    assert f"| tiny | 120 | `learnd backtest {file.name}` |" in page


def test_peers_that_were_not_run_are_counted_beside_the_best() -> None:
    case = Case("tiny", "phishing", (Goal("accuracy", None, None),), ("vw", "river_arf", "river_srp"))
    page = render([case], {"tiny": {"rows": 120, "learnd": {"accuracy": 0.75}, "peers": {"vw": _peer(0.7)}}})
    assert "| .7000 vw (2 of 3 not run) |" in page


def _peer(accuracy: float) -> dict[str, Any]:
    return {"figures": {"accuracy": accuracy}, "version": "none 1", "date": "2000-01-01"}


def test_a_burst_flips_labels_then_features_and_probes_what_it_never_learns() -> None:
    rows = [{"features": {"x": float(i)}, "label": "ab"[i % 2]} for i in range(300 + LENGTH + AFTER + PROBE)]
    found = burst(rows)
    lengths = [len(found.before), *map(len, found.phases.values()), len(found.after), len(found.probe)]
    assert lengths == [300, 500, 200, 500, 1_000, 1_000]
    assert found.phases["flipped"][0] == {"features": {"x": 300.0}, "label": "b"}
    assert found.phases["extreme"][0] == {"features": {"x": 1e30}, "label": "a"}
    assert found.phases["clean"][0] == rows[300 + FLIPPED + EXTREME]
    assert found.after == rows[300 + LENGTH : -PROBE]
    assert found.probe == rows[-PROBE:]


@pytest.mark.parametrize("kind", made_streams.KINDS, ids=lambda kind: kind.name)
def test_a_seed_makes_one_stream_of_rows_with_inputs_and_a_label(kind: made_streams.Kind) -> None:
    rows, again, other = (list(islice(kind.rows(seed), 50)) for seed in (1, 1, 2))
    assert len(rows) == 50
    assert rows == again != other
    assert all(("text" in row) != ("features" in row) for row in rows)
    assert {type(row["label"]) for row in rows} == {float if kind.task == "regression" else str}


def test_what_is_lost_to_a_simple_learner_is_judged_by_one_for_all_seeds() -> None:
    kind = made_streams.KINDS[0]
    sums = {"learnd": [102.0, 150.0, 0.0], "vw": [100.0, 160.0, 30.0], "naive_bayes": [110.0, 149.0, 25.0]}
    page = made.render([kind], {kind.name: sums | {"stamp": {"commit": "abc", "date": "2000-01-01"}}})
    assert "| 150 | 149 naive_bayes | +2.0% ✗ | +0.7% ✓ | +0.2 | abc | 2000-01-01 |" in page


def test_names_of_cases_and_peers_are_known() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        assert case.stream in streams.STREAMS
        assert set(case.peers) <= set(peers.PEERS)
        json.dumps([goal.figure for goal in case.goals])


def test_learnd_is_compared_with_the_simple_learner_that_is_best_at_either_row() -> None:
    sums = {"learnd": (10.0, 30.0, 0.0), "early": (8.0, 40.0, 90.0), "late": (20.0, 24.0, 9.0)}
    assert excesses(sums) == ("late", 0.25, 0.25, 2.0)
    assert excesses({"learnd": (0.0, 1.0, 0.0), "last_label": (0.0, 0.0, 1.0)}) == ("last_label", 0.0, math.inf, 1.0)
    level = {"learnd": (0.0, 1919.0, 0.0), "last_label": (0.0, 1900.0, 361.0)}
    assert excesses(level) == ("last_label", 0.0, 0.01, 1.0)  # no more than 1 %
    assert excesses({"learnd": (0.0, 5.0, 0.0), "majority": (0.0, 5.0, 0.0)}) == ("majority", 0.0, 0.0, 0.0)
    assert [marked(share) for share in (-0.1, 0.01, 0.011)] == ["-10.0% ✓", "+1.0% ✓", "+1.1% ✗"]


def test_each_stream_of_texts_has_texts_and_labels_and_is_named_once() -> None:
    assert len({stream.name for stream in texts.TEXTS}) == len(texts.TEXTS)
    for stream in texts.TEXTS:
        try:
            rows = list(stream.rows())
        except streams.MissingError as missing:
            pytest.skip(str(missing))
        kind = str if stream.task == "classification" else float
        assert all(isinstance(row["label"], kind) and row["text"] for row in rows), stream.name
        assert 1 < len({row["label"] for row in rows}) < len(rows) <= texts.MOST_ROWS


def test_the_page_of_texts_shows_those_that_were_learned() -> None:
    sums = {"learnd": [5.0, 30.0, 0.0], "vw": [8.0, 40.0, 90.0]}
    result = {"rows": 1200, "sums": sums, "stamp": {"commit": "abc", "date": "2000-01-01"}}
    page = texts.render(texts.TEXTS, {"entities": result})
    assert "| entities | whether a post names anybody or anything | 1,200 | 30 | 40 vw | -37.5% ✓ | -25.0% ✓ |" in page
    assert "| moods |" not in page


def test_a_recorded_value_is_a_number_a_text_or_missing() -> None:
    values = [np.int64(3), 0.5, math.nan, math.inf, None, True, "a"]
    assert [recorded_tables._plain(value) for value in values] == [3.0, 0.5, None, None, None, "True", "a"]


def test_recorded_tables_stand_beside_the_better_forest_where_forests_ran() -> None:
    sums = {"learnd": [5.0, 30.0, 0.0], "vw": [8.0, 40.0, 90.0]}
    stream = {"rows": 1200, "sums": sums, "stamp": {"commit": "abc", "date": "2000-01-01"}}
    forests = {"even": {"river_amf": 30.0, "river_arf": 31.0}, "worse": {"river_amf": 35.0, "river_arf": 29.0}}
    streams = {name: stream | {"forests": lost} for name, lost in forests.items()} | {"without": stream}
    page = recorded.render(recorded.RECORDED, {"classification": streams})
    assert "no more than the better one of River's forests on 1 of 2." in page
    for row in ("even | 1,200 | 30 river_amf | 30 |", "worse | 1,200 | 29 river_arf | 30 |", "without | 1,200 | – | 30 |"):
        assert f"| {row} 40 vw |" in page
    assert "River's forests" not in recorded.render(recorded.HELD_OUT, {"classification": {"without": stream}})
    assert "| only |" not in recorded.render(
        recorded.RECORDED, {"classification": {"without": stream, "only": {"forests": forests["even"]}}}
    )
