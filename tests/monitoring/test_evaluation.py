from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.assembly import watching
from daemon.errors import ConfigError, StateError
from daemon.monitoring.alarm import Alarm
from daemon.monitoring.drift.adwin import Adwin
from daemon.monitoring.drift.inputs import InputShift
from daemon.monitoring.drift.relative import Relative
from daemon.monitoring.evaluation import FIGURES, Evaluation
from daemon.monitoring.gate import Gate
from daemon.settings import Settings
from tests.monitoring.metrics.test_classification import canonical

Floats = NDArray[np.float64]


@dataclass
class Scored:
    target_B: Floats
    output: Floats
    weight_B: Floats
    best_expert: Floats | None = None
    inputs_BD: NDArray[np.float32] | None = None

    def cut(self, start: int, end: int) -> Scored:
        return Scored(self.target_B[start:end], self.output[start:end], self.weight_B[start:end])


def classified(num_rows: int, *, flip_from: int, seed: int = 0) -> Scored:
    """Two classes, nine in ten right up to row `flip_from`, one in ten after it."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(2, size=num_rows)
    right = rng.random(num_rows) < np.where(np.arange(num_rows) < flip_from, 0.9, 0.1)
    p_target = np.where(right, 0.8, 0.3)
    output = np.empty((num_rows, 2))
    output[np.arange(num_rows), targets] = p_target
    output[np.arange(num_rows), 1 - targets] = 1 - p_target
    return Scored(targets.astype(float), output, np.ones(num_rows))


def values(num_rows: int, *, seed: int = 0) -> Scored:
    rng = np.random.default_rng(seed)
    targets = rng.normal(10, 1, num_rows)
    return Scored(targets, targets + rng.normal(0, 0.5, num_rows), np.ones(num_rows))


def make(task: str = "classification", **settings: Any) -> Evaluation:
    detector = Adwin() if task == "classification" else Relative(Adwin())
    return Evaluation(task=task, detectors={"adwin": detector}, window_rows=100, **settings)


def by_default(task: str = "regression") -> Evaluation:
    """With the detectors that the settings give where nothing is set."""
    settings = Settings.model_validate({"source": {"kind": "files", "paths": ["rows.jsonl"]}, "task": {"kind": task}})
    return watching.evaluation(settings, collect_auc=False, label_delay=0)


def answered(error_N: Floats, *, offset: float = 0.0) -> Scored:
    """A regression whose answers are off by so much."""
    targets = np.random.default_rng(9).normal(offset, 1, len(error_N))
    return Scored(targets, targets + error_N, np.ones(len(error_N)), best_expert=targets)


def settling(num_rows: int, *, seed: int) -> Floats:
    """Errors of a learner that begins far off and is at its best after some hundred rows."""
    return np.random.default_rng(seed).normal(size=num_rows) * (1 + 100 / (1 + np.arange(num_rows)))


def test_report_has_every_field_and_null_where_it_does_not_apply() -> None:
    evaluation = make(collect_auc=True)
    scored = classified(2_000, flip_from=1_000)
    alarms = evaluation.observe(scored)
    report = json.loads(json.dumps(evaluation.report(), allow_nan=False))
    assert set(report) == {"task", "baselines", "drift_alarms", *FIGURES}
    assert report["errors"] == int((scored.output.argmax(axis=1) != scored.target_B).sum())
    assert report["log_loss"] == pytest.approx(-np.log(scored.output[np.arange(2_000), scored.target_B.astype(int)]).mean())
    assert (report["mae"], report["rmse"]) == (None, None)
    assert 0 < report["auc"] < 1
    assert set(report["baselines"]) == {"last_label", "majority", "decayed_prior"}
    assert all(set(figures) == set(FIGURES) for figures in report["baselines"].values())
    # The labels are drawn evenly: a guess is as good as another.
    assert all(figures["auc"] == pytest.approx(0.5, abs=0.04) for figures in report["baselines"].values())
    assert all(figures["log_loss"] == pytest.approx(math.log(2), abs=0.05) for figures in report["baselines"].values())
    assert report["drift_alarms"] == [{"example": alarms[0].example, "detector": "adwin", "direction": "worse"}]


def test_regression_report() -> None:
    evaluation = make("regression")
    scored = values(800)
    assert evaluation.observe(scored) == []
    report = evaluation.report()
    assert report["mae"] == pytest.approx(np.abs(scored.output - scored.target_B).mean())
    assert (report["accuracy"], report["errors"], report["worst_500"]) == (None, None, None)
    assert set(report["baselines"]) == {"last_value", "mean"}
    assert report["baselines"]["last_value"]["mae"] == pytest.approx(np.abs(np.diff(scored.target_B, prepend=0.0)).mean())


def test_drift_is_an_alarm_in_the_worse_direction_at_its_row() -> None:
    evaluation = make()
    evaluation.observe(classified(500, flip_from=500, seed=1))
    alarms = evaluation.observe(classified(1_500, flip_from=500))
    assert alarms == [Alarm(example=1_023, detector="adwin", direction="worse")]


def test_an_alarm_of_the_inputs_has_no_direction() -> None:
    evaluation = make(inputs=InputShift(threshold=6.0, seed=0))
    scored = classified(2_000, flip_from=2_000)
    seen_BD = np.random.default_rng(1).normal(size=(2_000, 4)).astype(np.float32)
    seen_BD[1_500:] += 1.5
    [alarm] = evaluation.observe(replace(scored, inputs_BD=seen_BD))
    assert 1_500 <= alarm.example < 1_700
    assert (alarm.detector, alarm.direction, alarm.worse) == ("inputs", "none", False)
    assert evaluation.report()["drift_alarms"] == [{"example": alarm.example, "detector": "inputs", "direction": "none"}]
    assert evaluation.alarm_directions == {"adwin": ("worse", "better"), "inputs": ("none",)}
    assert make().alarm_directions == {"adwin": ("worse", "better")}


@pytest.mark.parametrize("seed", range(3))
def test_a_regression_that_settles_raises_no_alarm(seed: int) -> None:
    assert by_default().observe(answered(settling(15_000, seed=seed))) == []


def test_signs_that_flip_behind_an_offset_are_found() -> None:
    error_N = settling(4_000, seed=3)
    error_N[0] = 1e7
    error_N[2_500:] *= 4
    alarm, *_ = by_default().observe(answered(error_N, offset=1e7))
    assert alarm.worse
    assert 2_500 <= alarm.example < 2_550


@pytest.mark.parametrize("answer", [1e9, math.nan, math.inf])
def test_a_wild_row_blinds_neither_the_detectors_nor_the_recent_figures(answer: float) -> None:
    error_N = settling(4_000, seed=4)
    error_N[500] = answer
    error_N[2_500:] *= 3
    evaluation = by_default()
    before, after = answered(error_N).cut(0, 2_500), answered(error_N).cut(2_500, 4_000)
    before.best_expert, after.best_expert = before.target_B, after.target_B
    assert evaluation.observe(before) == []
    assert evaluation.window()["mae"] == pytest.approx(np.abs(error_N[1_500:2_500]).mean())
    alarm, *_ = evaluation.observe(after)
    assert alarm.worse
    assert 2_500 <= alarm.example < 2_550


def test_answers_that_are_no_numbers_are_an_alarm_and_blind_nothing() -> None:
    error_N = settling(6_000, seed=5)
    error_N[2_000:3_000] = math.nan
    error_N[4_500:] *= 3
    rows = [alarm.example for alarm in by_default().observe(answered(error_N)) if alarm.detector == "glr"]
    assert len(rows) == 2
    assert 2_000 <= rows[0] < 2_050
    assert 4_500 <= rows[1] < 4_600


def test_the_gate_publishes_what_learns_from_a_stable_stream() -> None:
    """What is served was learned up to a publish, so that its errors stay as large as they were then."""
    evaluation, gate, reasons = by_default(), Gate(), []
    noise_N, served_size = np.random.default_rng(6).normal(size=5_000), 0.0
    for start in range(0, 5_000, 50):
        size_N = 1 + 100 / (1 + np.arange(start, start + 50))
        scored = answered(noise_N[start : start + 50] * size_N)
        if any(alarm.worse for alarm in evaluation.observe(scored)):
            gate.alarm()
        served = np.abs(noise_N[start : start + 50]) * served_size if start else None
        gate.observe(candidate_loss_B=evaluation.loss_B, served_loss_B=served, baseline_loss_B=evaluation.baseline_loss_B)
        decision = gate.decide(finite=True)
        reasons.append(decision.reason)
        if decision.publish:
            gate.published(decided_at=gate.rows)
            served_size = float(size_N[-1])
    assert "alarm" not in reasons
    assert reasons[-50:].count("not_worse") > 45


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_nothing_depends_on_how_the_stream_is_cut(task: str, size: int) -> None:
    scored = classified(1_000, flip_from=600) if task == "classification" else values(1_000)
    slices = [{"country": "de" if row % 3 else "fr"} for row in range(1_000)]
    whole, cut = make(task), make(task)
    alarms = whole.observe(scored, slices=slices)
    found: list[Alarm] = []
    for start in range(0, 1_000, size):
        found += cut.observe(scored.cut(start, start + size), slices=slices[start : start + size])
    assert found == alarms
    assert canonical(cut.state_dict()) == canonical(whole.state_dict())


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_save_load_continue(task: str) -> None:
    scored = classified(2_000, flip_from=1_000) if task == "classification" else values(2_000)
    slices = [{"country": str(row % 7), "other": "other"} for row in range(2_000)]
    settings = {"max_slice_values": 3, "collect_auc": True}
    first, second = make(task, **settings), make(task, **settings)
    first.observe(scored.cut(0, 1_010), slices=slices[:1_010])
    second.load_state_dict(first.state_dict())
    rest = scored.cut(1_010, 2_000)
    assert first.observe(rest, slices=slices[1_010:]) == second.observe(rest, slices=slices[1_010:])
    assert first.report() == second.report()
    assert first.window() == second.window()
    assert first.slices_since_start() == second.slices_since_start()
    assert canonical(first.state_dict()) == canonical(second.state_dict())


@pytest.mark.parametrize("part", ["metrics", "baselines", "detectors"])
def test_each_component_of_the_state_counts(part: str) -> None:
    evaluation = make()
    evaluation.observe(classified(300, flip_from=300))
    assert canonical(evaluation.state_dict()[part]) != canonical(make().state_dict()[part])


def test_changed_detectors_and_missing_parts_are_refused() -> None:
    state = make().state_dict()
    with pytest.raises(StateError, match=r"detectors: the saved state holds \['adwin'\], the settings ask for \[\]"):
        Evaluation(task="classification", detectors={}, window_rows=100).load_state_dict(state)
    del state["baselines"]
    with pytest.raises(StateError, match="'baselines'"):
        make().load_state_dict(state)


def test_weight_zero_is_scored_but_not_learned_by_baselines() -> None:
    evaluation = make()
    output = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    evaluation.observe(Scored(np.array([0.0, 1.0, 0.0]), output, np.array([1.0, 0.0, 1.0])))
    assert evaluation.rows == 3
    assert evaluation.loss_B.tolist() == [0.0, 1.0, 0.0]
    assert evaluation.baseline_loss_B["last_label"].tolist() == [1.0, 1.0, 0.0]


def test_unknown_labels_and_outputs_that_are_no_numbers_are_errors() -> None:
    evaluation = make(collect_auc=True)
    nan = math.nan
    output = np.array([[0.0, 0.0], [1.0, 0.0], [nan, 0.5], [0.5, 0.5], [0.0, 1.0]])
    targets = np.array([0.0, 3.0, 1.0, nan, 1.0])
    evaluation.observe(Scored(targets, output, np.array([1.0, 1.0, 1.0, 0.0, 1.0])))
    assert evaluation.loss_B.tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]
    json.dumps(evaluation.report(), allow_nan=False)


def test_model_without_any_class_answers_nothing() -> None:
    evaluation = make()
    evaluation.observe(Scored(np.array([math.nan]), np.empty((1, 0)), np.zeros(1)))
    assert evaluation.loss_B.tolist() == [1.0]


def test_slices_past_the_cap_are_counted_together() -> None:
    evaluation = make(max_slice_values=2)
    scored = classified(8, flip_from=8)
    evaluation.observe(scored, slices=[{"source": name} for name in "abcdabcd"])
    examples = {key: figures["examples"] for key, figures in evaluation.slices_since_start().items()}
    assert examples == {("source", "a"): 2, ("source", "b"): 2, ("source", "other"): 4}


@pytest.mark.parametrize("cut", [1, 2, 6])
def test_late_labels_reach_the_baselines_late_and_unanswerable_rows_are_not_scored(cut: int) -> None:
    targets = np.array([0.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    scored = Scored(targets, np.array([[0.0, 0.0]] * 3 + [[0.2, 0.8]] * 3), np.array([1.0, 0.0, 1.0, 1.0, 1.0, 1.0]))
    evaluation, losses = make(label_delay=2, collect_auc=True), []
    for start in range(0, 6, cut):
        resumed = make(label_delay=2, collect_auc=True)
        resumed.load_state_dict(evaluation.state_dict())
        evaluation = resumed
        evaluation.observe(scored.cut(start, start + cut))
        losses += evaluation.baseline_loss_B["last_label"].tolist()
    # Row 2 knows no label yet, rows 3 and 4 that of row 0 (row 1 has weight 0), and row 5 that of row 2.
    assert losses == [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    figures = evaluation.report()
    assert (figures["examples"], figures["errors"], evaluation.rows) == (4, 4, 6)
    assert figures["baselines"]["last_label"]["errors"] == 2


@pytest.mark.parametrize("cut", [1, 7, 2_000])
def test_detectors_see_an_error_when_its_label_arrives(cut: int) -> None:
    scored, delay = classified(2_000, flip_from=1_000), 200
    prompt, late, found = make(), make(label_delay=delay), list[Alarm]()
    # The first `delay` rows are not scored, and the labels of the others arrive `delay` rows after them.
    expected = [replace(alarm, example=alarm.example + 2 * delay) for alarm in prompt.observe(scored.cut(delay, 2_000 - delay))]
    assert any(alarm.worse and 1_200 <= alarm.example < 1_300 for alarm in expected)
    for start in range(0, 2_000, cut):
        if start % 35 == 0:
            resumed = make(label_delay=delay)
            resumed.load_state_dict(late.state_dict())
            late = resumed
        found += late.observe(scored.cut(start, start + cut))
    assert found == expected


def test_unknown_task_is_refused() -> None:
    with pytest.raises(ConfigError, match="task is 'ranking'"):
        make("ranking")
