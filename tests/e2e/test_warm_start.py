"""History first: a recorded file, then the stream, in one ledger, exact through kills."""

from __future__ import annotations

import json
from pathlib import Path

from daemon.plan import Plan
from daemon.storage.ledger import Ledger
from streams.history import HISTORY
from tests.crash.runs import files, killed_at_random, train


def rows(start: int, end: int) -> str:
    return "".join(json.dumps({"features": {"x": i % 7}, "label": "ab"[i % 7 // 4]}) + "\n" for i in range(start, end))


def test_a_file_is_learned_before_the_stream_and_kills_change_nothing(tmp_path: Path) -> None:
    history, stream = tmp_path / "history.jsonl", tmp_path / "stream.jsonl"
    history.write_text(rows(0, 300), encoding="utf-8")
    stream.write_text(rows(300, 500), encoding="utf-8")
    settings = [*files(stream), "model.inputs=features", f"training.warm_start='{history}'"]
    untouched = train(tmp_path / "untouched", settings)
    killed, num_killed = killed_at_random(tmp_path / "killed", settings, num_kills=2, seed=4)
    assert num_killed == 2
    assert killed == untouched
    plans = [Plan.from_body(entry.body) for entry in Ledger(tmp_path / "killed" / "ledger").entries() if entry.kind == "plan"]
    runs = [run for plan in plans for run in plan.runs]
    partitions = [run.partition for run in runs]
    assert partitions == sorted(partitions)
    assert sum(run.end - run.start for run in runs if run.partition == HISTORY) == 300
    assert sum(run.end - run.start for run in runs if run.partition == 0) == 200
    assert train(tmp_path / "cold", settings[:-1]) != untouched
