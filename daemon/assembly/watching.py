"""What watches the learning, by its settings: scores and detectors, the gate, the cap on sources, telemetry."""

from __future__ import annotations

import platform

import torch
from prometheus_client import CollectorRegistry

from daemon import __version__
from daemon.assembly import models
from daemon.cap import NoCap, SourceCap
from daemon.guard import GateGuard, Guard, OpenGuard
from daemon.learning.learner import Learner
from daemon.monitoring.drift.base import Detector
from daemon.monitoring.drift.budget import for_budget, inputs_for_budget
from daemon.monitoring.drift.inputs import InputShift
from daemon.monitoring.evaluation import Evaluation
from daemon.monitoring.gate import Gate
from daemon.monitoring.health import Health
from daemon.monitoring.telemetry import Telemetry
from daemon.rehearsal import Rehearsal
from daemon.settings import Settings


def evaluation(settings: Settings, *, collect_auc: bool, label_delay: int) -> Evaluation:
    return Evaluation(
        task=settings.task.kind,
        detectors=_detectors(settings),
        inputs=_input_detector(settings),
        has_experts=settings.model.kind == "mixture",
        window_rows=settings.monitoring.window_rows,
        max_slice_values=settings.monitoring.max_slice_values,
        collect_auc=collect_auc,
        label_delay=label_delay,
    )


def _detectors(settings: Settings) -> dict[str, Detector]:
    """Those of the error, which share the budget of false alarms."""
    chosen = settings.monitoring
    return {
        name: for_budget(
            name,
            alarms_per_100k=chosen.alarms_per_100k / len(chosen.detectors),
            direction=chosen.direction,
            pause_rows=chosen.pause_rows,
            values="binary" if settings.task.kind == "classification" else "relative",
        )
        for name in chosen.detectors
    }


def _input_detector(settings: Settings) -> InputShift | None:
    chosen = settings.monitoring
    if not chosen.input_detector:
        return None
    return inputs_for_budget(
        alarms_per_100k=chosen.input_alarms_per_100k, pause_rows=chosen.pause_rows, seed=settings.training.seed
    )


def guard(settings: Settings, encoder: models.Encoder, device: torch.device) -> Guard:
    if not settings.gate.enabled:
        return OpenGuard()
    return GateGuard(
        gate=Gate(max_held_rows=settings.gate.max_held_rows, max_held_s=settings.gate.max_held_s),
        make_model=lambda: models.model(settings, encoder=encoder, device=device),
        task=settings.task.kind,
    )


def rehearsal(settings: Settings, encoder: models.Encoder, device: torch.device, *, learner: Learner, every_rows: int) -> Guard:
    """For a backtest: what the gate would do every so many rows; 0 for never."""
    if not every_rows:
        return OpenGuard()
    return Rehearsal(
        gate=Gate(max_held_rows=settings.gate.max_held_rows, max_held_s=0.0, clock=lambda: 0.0),
        make_model=lambda: models.model(settings, encoder=encoder, device=device),
        task=settings.task.kind,
        learner=learner,
        every_rows=every_rows,
    )


def cap(settings: Settings) -> SourceCap:
    if not settings.cap.slice:
        return NoCap()
    return SourceCap(slice_name=settings.cap.slice, weight_per_minute=settings.cap.weight_per_minute)


def telemetry(settings: Settings) -> Telemetry:
    return Telemetry(
        registry=CollectorRegistry(),
        health=Health(caught_up_records=settings.telemetry.caught_up_records, stuck_after_s=settings.telemetry.stuck_after_s),
        build={"version": __version__, "torch": torch.__version__, "python": platform.python_version()},
    )
