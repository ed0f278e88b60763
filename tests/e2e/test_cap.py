"""A cap on sources counts the same through kills."""

from __future__ import annotations

import json
from pathlib import Path

from tests.crash.runs import files, killed_at_random, train


def test_a_cap_is_the_same_through_kills_and_is_no_part_of_other_runs(tmp_path: Path) -> None:
    file = tmp_path / "stream.jsonl"
    rows = [
        {"features": {"x": i % 7}, "label": "ab"[i % 7 // 4], "shop": "xyz"[i % 3], "time": 1_700_000_000 + i}
        for i in range(400)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = [*files(file), "model.inputs=features", "decoding.slices={shop='shop'}"]
    capped = [*settings, "cap.slice=shop", "cap.weight_per_minute=12"]
    untouched = train(tmp_path / "untouched", capped)
    killed, num_killed = killed_at_random(tmp_path / "killed", capped, num_kills=2, seed=7)
    assert num_killed >= 1
    assert killed == untouched
    assert train(tmp_path / "without", settings) != untouched
