"""Runs `learnd backtest` as people do, and reads what it wrote."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality.cases import Case
from benchmarks.quality.scores import Answers, Floats
from benchmarks.quality.streams import ROOT, write

COMMAND = (sys.executable, "-m", "daemon", "backtest")


class NotAvailableError(Exception):
    """This build's command lacks a flag that the case needs; the text says which."""


@dataclass(frozen=True)
class Run:
    """What one backtest reported, and its command as a reader would type it."""

    command: str
    report: dict[str, Any]
    answers: Answers


def backtest(case: Case, file: Path, *, index: Mapping[str, int]) -> Run:
    """One backtest of `case` over `file`; labels are numbered by `index`.

    Raises `NotAvailableError` where `learnd backtest --help` has not what the case asks for.
    """
    flags = [*case.flags]
    flags += ["--task", case.task] if case.task != "classification" else []
    flags += ["--label-delay", str(case.delay)] if case.delay else []
    flags += ["--evaluate", str(write(case.evaluate))] if case.evaluate else []
    _refuse_unknown(flags)
    with tempfile.TemporaryDirectory(prefix="bench-quality-") as folder:
        report, predictions = Path(folder) / "report.json", Path(folder) / "predictions.jsonl"
        written = ["--report", str(report), "--predictions", str(predictions)]
        done = subprocess.run([*COMMAND, str(file), *flags, *written], capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise RuntimeError(f"learnd backtest {file} {' '.join(flags)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return Run(
            command=" ".join(["learnd backtest", file.name, *(Path(flag).name if "/" in flag else flag for flag in flags)]),
            report=json.loads(report.read_text(encoding="utf-8")),
            answers=_read(predictions, task=case.task, index=index),
        )


@lru_cache(maxsize=1)
def _help() -> str:
    return subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True, cwd=ROOT).stdout


def _refuse_unknown(flags: Sequence[str]) -> None:
    for flag in flags:
        if flag.startswith("--") and flag not in _help():
            raise NotAvailableError(f"`learnd backtest {flag}` is not available in this build")


def _read(predictions: Path, *, task: str, index: Mapping[str, int]) -> Answers:
    """What was predicted, in the order of the rows (late labels are written when they arrive)."""
    with predictions.open("rb") as file:
        lines = sorted(map(json.loads, file), key=lambda line: int(line["row"]))
    if task == "regression":
        values_N = np.array([line["prediction"] for line in lines], dtype=np.float64)
        nothing_N = np.full(len(lines), np.nan)
        return Answers(values_N, nothing_N, nothing_N)
    second = next((label for label, number in index.items() if number == 1), "")
    return Answers(
        answer_N=np.array([index.get(str(line["prediction"]), -1) for line in lines], dtype=np.float64),
        true_p_N=_probabilities([line["scores"].get(str(line["label"]), 0.0) for line in lines]),
        second_p_N=_probabilities([line["scores"].get(second, 0.0) for line in lines]),
    )


def _probabilities(values: list[float | None]) -> Floats:
    return np.array(values, dtype=np.float64)


def alarm_figures(report: Mapping[str, Any], *, every: int, allowed_delay: int) -> dict[str, float | int | None]:
    """Mean delay in rows from each known drift to its first alarm, alarms beside a drift, and drifts without an alarm.

    >>> alarms = [{"example": row, "detector": "adwin"} for row in (50, 1_040, 1_060, 1_700)]
    >>> alarm_figures({"examples": 3_000, "drift_alarms": alarms}, every=1_000, allowed_delay=250)
    {'drift_delay': 40.0, 'false_alarms': 2, 'missed_drifts': 1}
    """
    rows = [int(alarm["example"]) for alarm in report["drift_alarms"]]
    drifts = range(every, int(report["examples"]), every)
    behind = {drift: [row - drift for row in rows if 0 <= row - drift < allowed_delay] for drift in drifts}
    delays = [min(each) for each in behind.values() if each]
    return {
        "drift_delay": float(np.mean(delays)) if delays else None,
        "false_alarms": len(rows) - sum(map(len, behind.values())),
        "missed_drifts": len(drifts) - len(delays),
    }


def held_out(report: Mapping[str, Any]) -> dict[str, float | None]:
    """Accuracy of the final state on the second file, and that of its prior-free answer.

    >>> held_out({"evaluation": {"accuracy": 0.25}, "balanced": None})
    {'test_accuracy': 0.25, 'balanced_accuracy': None}
    """
    return {
        "test_accuracy": (report["evaluation"] or {}).get("accuracy"),
        "balanced_accuracy": (report["balanced"] or {}).get("accuracy"),
    }
