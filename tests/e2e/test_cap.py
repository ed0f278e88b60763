"""A cap on sources counts the same through kills, whatever the dates, and refuses a file without any."""

from __future__ import annotations

import json
from pathlib import Path

from tests.crash.runs import files, killed_at_random, train
from tests.e2e.learnd import learnd, write_rows


def test_a_cap_is_the_same_through_kills_and_is_no_part_of_other_runs(tmp_path: Path) -> None:
    file = tmp_path / "stream.jsonl"
    rows = [
        {"features": {"x": i % 7}, "label": "ab"[i % 7 // 4], "shop": "xyz"[i % 3], "time": 1_700_000_000 + i}
        for i in range(400)
    ]
    for i in range(0, 400, 29):
        rows[i] |= {"shop": "bad", "time": (4_000_000_000, 1_000, 1_700_000_000 + 60 * i)[i % 3]}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = [*files(file), "model.inputs=features", "decoding.slices={shop='shop'}"]
    capped = [*settings, "cap.slice=shop", "cap.weight_per_minute=12"]
    untouched = train(tmp_path / "untouched", capped)
    killed, num_killed = killed_at_random(tmp_path / "killed", capped, num_kills=2, seed=7)
    assert num_killed >= 1
    assert killed == untouched
    assert train(tmp_path / "without", settings) != untouched


def test_a_label_that_the_cap_leaves_nothing_of_takes_no_place(tmp_path: Path) -> None:
    """Source x is past its cap when it brings "b": "c", which y brings, is the second of two labels, and not one too many."""
    rows = [{"features": {"x": i % 3}, "label": "a", "shop": "x", "time": 1.7e9 + i} for i in range(40)]
    rows += [
        {"features": {"x": i % 3}, "label": "abc"[i % 3], "shop": "x" if i % 3 == 1 else "y", "time": 1.7e9} for i in range(24)
    ]
    file, counts = write_rows(tmp_path / "rows.jsonl", rows), []
    for batch_rows in (1, 64):
        settings = ["model.kind=linear", "decoding.slices={shop='shop'}", "cap.slice=shop", "cap.weight_per_minute=30"]
        settings += ["task.max_labels=2", f"training.batch_rows={batch_rows}"]
        done = learnd("backtest", str(file), "--report", str(tmp_path / "report.json"), settings=settings)
        assert done.returncode == 0, done.stderr
        report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
        counts.append((report["examples"], report["dead_letters"], report["state_sha256"]))
    assert counts[0] == counts[1]
    assert counts[0][1] < 10


def test_a_backtest_of_a_file_without_times_is_refused_before_it(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"features": {"x": i}, "label": "ab"[i % 2], "shop": "x"} for i in range(4)])
    settings = ["model.kind=linear", "decoding.slices={shop='shop'}", "cap.slice=shop"]
    done = learnd("backtest", str(file), settings=settings)
    assert done.returncode == 2
    assert f'cap.slice: none of the first rows of {file} with a "shop" has a time ("time")' in done.stderr
    assert learnd("backtest", str(file), settings=settings[:2]).returncode == 0
