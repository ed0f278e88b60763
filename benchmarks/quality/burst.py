"""A burst of wrong rows against the gate: what is served on clean rows while `learnd train` learns it.

Learn clean rows until they are served; then, row by row at a steady pace, 500 rows with flipped labels, 200 rows whose features
are 1e30, and 500 clean rows again, with up to 1,000 more until publishing goes on. Every snapshot that was published is
afterwards opened as a server opens it and answers the same clean probe, so the figures are those of the answers and not of the
learner.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality.streams import ROOT, Row, read, write
from daemon.assembly.serving import ModelAnswerer
from daemon.serving.answerer import Input
from daemon.storage.entries import read_entries
from daemon.storage.snapshots import Snapshots

FLIPPED, EXTREME, CLEAN, AFTER, PROBE = 500, 200, 500, 1_000, 1_000
LENGTH = FLIPPED + EXTREME + CLEAN
# Fast enough for a short run, slow enough for a snapshot about every 50 rows (their interval is half a second).
ROWS_PER_S = 100
CHUNK = 10
# Rows are learned within seconds; a busy machine may take longer.
PATIENCE_S = 120.0
SETTLE_S = 15.0


@dataclass(frozen=True)
class Burst:
    """The rows of the three phases, what is learned before and after them, and what is asked of every snapshot."""

    before: list[Row]
    phases: dict[str, list[Row]]
    after: list[Row]
    probe: list[Row]


def burst(rows: Sequence[Row]) -> Burst:
    """Cut a stream with two labels: the probe is its end, and what is left over comes first."""
    start = len(rows) - LENGTH - AFTER - PROBE
    first, second = sorted({row["label"] for row in rows})
    flip = {first: second, second: first}
    flipped = [{**row, "label": flip[row["label"]]} for row in rows[start : start + FLIPPED]]
    at = start + FLIPPED
    extreme = [{**row, "features": dict.fromkeys(row["features"], 1e30)} for row in rows[at : at + EXTREME]]
    clean = list(rows[at + EXTREME : at + EXTREME + CLEAN])
    return Burst(
        before=list(rows[:start]),
        phases={"flipped": flipped, "extreme": extreme, "clean": clean},
        after=list(rows[start + LENGTH : -PROBE]),
        probe=list(rows[-PROBE:]),
    )


def run(stream: str) -> dict[str, Any]:
    """Figures `probe_fall` (in accuracy, from before the burst to the worst snapshot since), `published_after` (1 where
    publishing went on) and `clean_rows_to_publish`; every published snapshot with its rows and its accuracy on the probe, and
    what the gate wrote down."""
    chosen = burst(read(write(stream)))
    with tempfile.TemporaryDirectory(prefix="bench-burst-") as folder:
        file, storage = Path(folder) / "stream.jsonl", Path(folder) / "data"
        _append(file, chosen.before)
        with _training(file, storage, Path(folder) / "log.txt") as flags:
            snapshots = Snapshots(storage / "snapshots", keep=1)
            _until_served(snapshots, rows=len(chosen.before))
            for rows in chosen.phases.values():
                _pace(file, rows)
            wrong_until = len(chosen.before) + FLIPPED + EXTREME
            _settle(snapshots, rows=wrong_until + 1)
            for begin in range(0, len(chosen.after), 100):
                if snapshots.list()[-1].manifest["rows"] > wrong_until:
                    break
                _pace(file, chosen.after[begin : begin + 100])
            _settle(snapshots, rows=wrong_until + 1)
        served = [{"rows": info.manifest["rows"], "version": info.version} for info in snapshots.list()]
        for each in served:
            each["probe_accuracy"] = _accuracy(snapshots, each["version"], chosen.probe)
        decisions = [
            {"kind": entry.kind, **entry.body}
            for entry in read_entries(storage / "ledger", 0)
            if entry.kind in ("published", "held") and entry.body["rows"] >= len(chosen.before)
        ]
    clean_rows = [each["rows"] - wrong_until for each in served if each["rows"] > wrong_until]
    return {
        "learnd": {
            **fall(served, burst_at=len(chosen.before)),
            "published_after": int(bool(clean_rows)),
            "clean_rows_to_publish": clean_rows[0] if clean_rows else None,
        },
        "served": served,
        "decisions": decisions,
        "command": f"learnd train {' '.join(flags)}",
    }


def fall(served: Sequence[dict[str, Any]], *, burst_at: int) -> dict[str, float]:
    """Accuracy just before the burst, the lowest of any snapshot since, and the difference.

    >>> served = [{"rows": 5, "probe_accuracy": 0.75}, {"rows": 8, "probe_accuracy": 0.5}]
    >>> fall(served, burst_at=5)
    {'probe_before': 0.75, 'probe_worst': 0.5, 'probe_fall': 0.25}
    """
    before = [each["probe_accuracy"] for each in served if each["rows"] <= burst_at][-1]
    worst = min([before, *(each["probe_accuracy"] for each in served if each["rows"] > burst_at)])
    return {"probe_before": before, "probe_worst": worst, "probe_fall": before - worst}


@contextmanager
def _training(file: Path, storage: Path, log: Path) -> Iterator[list[str]]:
    """`learnd train` on a growing file with its default limits; asked to stop at the end."""
    settings = {"source.kind": "files", "model.inputs": "features"}
    local = {
        "source.paths": json.dumps([str(file)]),
        "storage.folder": str(storage),
        "storage.snapshots_kept": "100000",
        "telemetry.port": "0",
    }
    flags = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    more = [part for key, value in local.items() for part in ("--set", f"{key}={value}")]
    with log.open("w") as stream:
        process = subprocess.Popen([sys.executable, "-m", "daemon", "train", *flags, *more], cwd=ROOT, stderr=stream)
        try:
            yield flags
        except TimeoutError as late:
            raise RuntimeError(f"{late}; learnd train said:\n{log.read_text()[-4000:]}") from late
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)


def _append(file: Path, rows: Sequence[Row]) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.write("".join(json.dumps(row) + "\n" for row in rows))


def _pace(file: Path, rows: Sequence[Row]) -> None:
    began = time.monotonic()
    for start in range(0, len(rows), CHUNK):
        _append(file, rows[start : start + CHUNK])
        time.sleep(max(0.0, began + (start + CHUNK) / ROWS_PER_S - time.monotonic()))


def _until_served(snapshots: Snapshots, *, rows: int, patience_s: float = PATIENCE_S) -> None:
    """Wait until a snapshot of so many rows is published; raises `TimeoutError` where none is in time."""
    ends = time.monotonic() + patience_s
    while not any(info.manifest["rows"] >= rows for info in snapshots.list()[-1:]):
        if time.monotonic() > ends:
            raise TimeoutError(f"no snapshot of {rows} rows in {patience_s:.0f} s")
        time.sleep(0.1)


def _settle(snapshots: Snapshots, *, rows: int) -> None:
    """Leave the trainer time to learn and publish what was just written; it may also be held."""
    with suppress(TimeoutError):
        _until_served(snapshots, rows=rows, patience_s=SETTLE_S)


def _accuracy(snapshots: Snapshots, version: int, probe: Sequence[Row]) -> float:
    answerer = ModelAnswerer(snapshots.open(version), device="cpu")
    answers = answerer.answer([Input(text="", features=row["features"]) for row in probe])
    # Every answer of a classification has a label; that of a regression, which shares its type, has none.
    label_N = [answer["label"] for answer in answers]  # type: ignore[typeddict-item] # as said above
    return float(np.mean([label == row["label"] for label, row in zip(label_N, probe, strict=True)]))
