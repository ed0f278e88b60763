"""`learnd train --until-end` says that it is done only when it is."""

from __future__ import annotations

from pathlib import Path

from tests.crash import runs
from tests.faults.processes import LIMIT_S, learnd


def test_asked_to_stop_midway_it_prints_no_hash_and_says_how_to_go_on(tmp_path: Path) -> None:
    settings = [
        *runs.files(runs.stream(tmp_path, num_rows=2000)),
        *runs.text_settings(),
        *runs.common(tmp_path / "data"),
        "training.batch_rows=1",
    ]
    with learnd("train", settings, "--until-end", log_file=tmp_path / "stopped.log") as stopped:
        stopped.wait_until_learned(1)
        stopped.process.terminate()
        assert stopped.process.wait(LIMIT_S) == 1
    assert stopped.process.out.read_text(encoding="utf-8") == ""
    last_word = stopped.log.splitlines()[-1]
    assert last_word.startswith("learnd: stopped at row ")
    assert last_word.endswith(", before the end of the source; start it again, and it goes on from there")
    rows = int(last_word.split()[4].rstrip(","))
    assert 0 < rows < 2000
    with learnd("train", settings, "--until-end", log_file=tmp_path / "goes-on.log") as going_on:
        assert going_on.end().startswith("state_sha256 ")
    assert f"resuming at row {rows};" in going_on.log
