from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from daemon.monitoring.alarm import Alarm
from daemon.monitoring.evaluation import Evaluation
from daemon.monitoring.health import Health
from daemon.monitoring.telemetry import MAX_LABELS, MODEL_STATS, Telemetry
from tests.monitoring.test_evaluation import Scored, classified, values
from tests.monitoring.test_health import Clock


class Bench:
    """Telemetry on a registry and clocks of its own."""

    def __init__(self) -> None:
        self.clock, self.registry = Clock(), CollectorRegistry()
        health = Health(caught_up_records=100, stuck_after_s=30.0, clock=self.clock)
        self.telemetry = Telemetry(
            registry=self.registry,
            health=health,
            build={"version": "0.1.0", "torch": "2.10.0"},
            clock=self.clock,
            wall_clock=lambda: 2_000_000_000.0,
        )

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def evaluation(task: str = "classification") -> Evaluation:
    made = Evaluation(task=task, detectors={}, window_rows=100)
    made.observe(
        classified(600, flip_from=500) if task == "classification" else values(600),
        slices=[{"country": "de" if row % 2 else "fr"} for row in range(600)],
    )
    return made


def test_step_shows_counts_stats_and_scores(bench: Bench) -> None:
    scored = evaluation()
    stats = {
        "loss": 0.25,
        "learning_rate": 0.001,
        "grad_norm": 2.0,
        "replay_rows": 64.0,
        "nonfinite_steps": 3.0,
        "slow_loss": 0.5,
    }
    bench.telemetry.step(learned=64, stats=lambda: stats, evaluation=scored, labels=["ham", "spam"])
    stats["nonfinite_steps"] = 4.0
    bench.clock.now += 1.0
    bench.telemetry.step(learned=32, scored=2, capped=3, stats=lambda: stats, evaluation=scored, labels=["ham", "spam"])
    assert bench.value("learnd_steps_total") == 2.0
    assert bench.value("learnd_records_total", outcome="learned") == 96.0
    assert bench.value("learnd_records_total", outcome="scored") == 2.0
    assert bench.value("learnd_records_total", outcome="late") == 0.0
    assert bench.value("learnd_capped_examples_total") == 3.0
    assert bench.value("learnd_nonfinite_steps_total") == 4.0
    assert bench.value("learnd_loss") == 0.25
    assert bench.value("learnd_slow_loss") == 0.5
    assert bench.value("learnd_gradient_norm") == 2.0
    assert bench.value("learnd_examples") == 600.0
    assert bench.value("learnd_prequential_accuracy", over="start") == scored.since_start()["accuracy"]
    assert bench.value("learnd_prequential_kappa", over="window") == scored.window()["kappa"]
    last = scored.baselines_window()["last_label"]
    assert bench.value("learnd_baseline_macro_f1", baseline="last_label", over="window") == last["macro_f1"]
    for name, figures in scored.baselines_window().items():
        assert figures["log_loss"] is not None
        assert bench.value("learnd_baseline_log_loss", baseline=name, over="window") == figures["log_loss"]
    assert bench.value("learnd_slice_accuracy", slice="country", value="de") is not None
    assert bench.value("learnd_label_rows", label="spam") == scored.target_counts()[1]
    assert bench.value("learnd_worst_500_accuracy") == scored.since_start()["worst_500"]
    worst = {name: bench.value("learnd_baseline_worst_500_accuracy", baseline=name) for name in scored.baselines_since_start()}
    assert worst == {name: figures["worst_500"] for name, figures in scored.baselines_since_start().items()}
    assert None not in worst.values()
    assert bench.value("learnd_build_info", version="0.1.0", torch="2.10.0") == 1.0


def test_a_figure_that_the_model_does_not_give_has_no_series(bench: Bench) -> None:
    """A zero would be taken for one: a mixture has no learning rate."""
    names = {key: name for key, (name, _) in MODEL_STATS.items()}
    assert [name for name in names.values() if bench.value(name) is not None] == []
    bench.telemetry.step(learned=64, stats=lambda: {"loss": 0.25}, evaluation=evaluation(), labels=["ham", "spam"])
    assert [name for name in names.values() if bench.value(name) is not None] == ["learnd_loss"]
    bench.clock.now += 1.0
    bench.telemetry.step(learned=64, stats=lambda: dict.fromkeys(names, 1.0), evaluation=evaluation(), labels=["ham", "spam"])
    assert [bench.value(name) for name in names.values()] == [1.0] * len(names)


def test_regression_shows_its_own_figures_and_no_accuracy(bench: Bench) -> None:
    scored = evaluation("regression")
    bench.telemetry.step(learned=600, stats=dict, evaluation=scored)
    assert bench.value("learnd_prequential_mae", over="start") == scored.since_start()["mae"]
    assert bench.value("learnd_baseline_mae", baseline="last_value", over="start") is not None
    assert bench.value("learnd_prequential_accuracy", over="start") is None
    assert bench.value("learnd_worst_500_accuracy") is None


def test_the_worst_500_rows_have_a_series_once_there_are_so_many(bench: Bench) -> None:
    scored = Evaluation(task="classification", detectors={}, window_rows=100)
    scored.observe(classified(499, flip_from=499))
    bench.telemetry.step(learned=499, stats=dict, evaluation=scored)
    assert bench.value("learnd_worst_500_accuracy") is None
    assert bench.value("learnd_baseline_worst_500_accuracy", baseline="majority") is None
    scored.observe(classified(1, flip_from=1))
    bench.clock.now += 1.0
    bench.telemetry.step(learned=1, stats=dict, evaluation=scored)
    assert bench.value("learnd_worst_500_accuracy") == scored.since_start()["worst_500"]
    assert bench.value("learnd_baseline_worst_500_accuracy", baseline="majority") is not None


def test_scores_are_brought_up_to_date_once_a_second_and_at_the_end_too(bench: Bench) -> None:
    scored = evaluation()
    bench.telemetry.step(learned=600, stats=dict, evaluation=scored)
    scored.observe(classified(10, flip_from=10))
    bench.telemetry.step(learned=10, stats=dict, evaluation=scored)
    assert bench.value("learnd_examples") == 600.0
    bench.clock.now += 1.0
    bench.telemetry.turn(lag={0: 0}, positions={0: 610})
    assert bench.value("learnd_examples") == 610.0


def test_labels_past_the_cap_are_shown_together(bench: Bench) -> None:
    num_classes = MAX_LABELS + 10
    scored = Evaluation(task="classification", detectors={}, window_rows=100)
    targets = np.arange(num_classes, dtype=float)
    scored.observe(Scored(targets, np.zeros((num_classes, num_classes)), np.ones(num_classes)))
    names = ["other", *(f"label {i}" for i in range(1, num_classes))]
    bench.telemetry.step(learned=num_classes, stats=dict, evaluation=scored, labels=names)
    shown = [sample for family in bench.registry.collect() for sample in family.samples if sample.name == "learnd_label_rows"]
    assert len(shown) == MAX_LABELS
    assert sum(sample.value for sample in shown) == num_classes
    assert bench.value("learnd_label_rows", label="other") == 11.0


def test_turn_shows_lag_positions_and_health(bench: Bench) -> None:
    bench.telemetry.turn(lag={0: 250, 1: 0, 2: 5}, positions={0: 17, 1: 4}, newest_s={0: 1_999_999_940.0, 1: 1.0})
    assert bench.value("learnd_consumer_lag_records", partition="0") == 250.0
    assert bench.value("learnd_consumer_lag_seconds", partition="0") == 60.0
    assert bench.value("learnd_consumer_lag_seconds", partition="1") == 0.0
    assert bench.value("learnd_consumer_lag_seconds", partition="2") is None
    assert bench.value("learnd_position", partition="0") == 17.0
    facts = {fact: bench.value("learnd_health", fact=fact) for fact in ("live", "ready", "caught_up", "learning")}
    assert facts == {"live": 1.0, "ready": 1.0, "caught_up": 0.0, "learning": 1.0}


def test_events(bench: Bench, tmp_path: Path) -> None:
    telemetry = bench.telemetry
    telemetry.expect_alarms({"adwin": ("worse", "better"), "glr": ("worse", "better"), "inputs": ("none",)})
    assert bench.value("learnd_drift_alarms_total", detector="glr", direction="worse") == 0.0
    assert bench.value("learnd_drift_alarms_total", detector="inputs", direction="none") == 0.0
    telemetry.alarms([Alarm(3, "adwin", "worse"), Alarm(9, "adwin", "better"), Alarm(11, "adwin", "worse")])
    telemetry.alarms([Alarm(12, "inputs", "none")])
    telemetry.dead_letter("decode")
    telemetry.records("tombstone", 2)
    telemetry.skipped(40)
    telemetry.source(reachable=True, rebuilds=1, commit_failures=2)
    telemetry.source(reachable=False, rebuilds=1, commit_failures=3)
    telemetry.keeping.checkpoint(seconds=0.5, at_s=1_999_999_999.0)
    telemetry.keeping.checkpoint_failed()
    telemetry.keeping.published(version=7, seconds=0.25, at_s=1_999_999_998.0)
    telemetry.keeping.gate("not_finite")
    telemetry.keeping.state_bytes({"replay": 1_000})
    telemetry.watch_device(lambda: (5, 8))
    telemetry.keeping.watch_disk(tmp_path)
    telemetry.ledger_paused(True)
    telemetry.ledger_paused(True)
    assert telemetry.paused
    expected: list[tuple[str, dict[str, str], float]] = [
        ("learnd_drift_alarms_total", {"detector": "adwin", "direction": "worse"}, 2.0),
        ("learnd_drift_alarms_total", {"detector": "inputs", "direction": "none"}, 1.0),
        ("learnd_records_total", {"outcome": "dead_letter"}, 1.0),
        ("learnd_records_total", {"outcome": "tombstone"}, 2.0),
        ("learnd_dead_letters_total", {"stage": "decode"}, 1.0),
        ("learnd_gaps_skipped_total", {}, 1.0),
        ("learnd_gap_records_skipped_total", {}, 40.0),
        ("learnd_source_reachable", {}, 0.0),
        ("learnd_source_rebuilds_total", {}, 1.0),
        ("learnd_commit_failures_total", {}, 3.0),
        ("learnd_checkpoint_duration_seconds_sum", {}, 0.5),
        ("learnd_last_checkpoint_timestamp_seconds", {}, 1_999_999_999.0),
        ("learnd_checkpoint_failures_total", {}, 1.0),
        ("learnd_snapshot_version", {}, 7.0),
        ("learnd_last_snapshot_timestamp_seconds", {}, 1_999_999_998.0),
        ("learnd_gate_decisions_total", {"outcome": "published"}, 1.0),
        ("learnd_gate_decisions_total", {"outcome": "not_finite"}, 1.0),
        ("learnd_state_bytes", {"part": "replay"}, 1_000.0),
        ("learnd_device_memory_bytes", {"kind": "used"}, 5.0),
        ("learnd_device_memory_bytes", {"kind": "total"}, 8.0),
        ("learnd_ledger_paused", {}, 1.0),
        ("learnd_ledger_pauses_total", {}, 1.0),
        ("learnd_disk_size_bytes", {}, float(shutil.disk_usage(tmp_path).total)),
    ]
    assert [(name, labels, bench.value(name, **labels)) for name, labels, _ in expected] == expected
    telemetry.ledger_paused(False)
    assert not telemetry.paused


def test_disk_that_cannot_be_read_breaks_no_scrape(bench: Bench, tmp_path: Path) -> None:
    bench.telemetry.keeping.watch_disk(tmp_path / "gone")
    assert math.isnan(bench.value("learnd_disk_free_bytes") or 0.0)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_promtool_has_nothing_to_say_against_the_exposition(bench: Bench, tmp_path: Path) -> None:
    bench.telemetry.step(learned=600, stats=lambda: {"loss": 1.0}, evaluation=evaluation(), labels=["ham", "spam"])
    bench.telemetry.turn(lag={0: 1}, positions={0: 1})
    bench.telemetry.keeping.watch_disk(tmp_path)
    exposition = generate_latest(bench.registry)
    checked = subprocess.run(["promtool", "check", "metrics"], input=exposition, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
