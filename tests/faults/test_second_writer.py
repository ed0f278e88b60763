"""Two trainers on one folder: the second is refused, whatever else they share, and the first does not notice."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.crash import runs
from tests.faults.processes import learnd


def test_second_trainer_is_refused_by_folder_and_remedy(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # The very same settings, as when a service is started twice: the port is taken too, but that is not the trouble.
    file = runs.stream(tmp_path, num_rows=64)
    following = ["source.kind=files", f"source.paths=['{file}']"]
    settings = [*runs.common(folder), *following, *runs.text_settings(), f"telemetry.port={port}"]
    with learnd("train", settings, log_file=tmp_path / "first.log") as first:
        first.wait_until_learned(64)
        with learnd("train", settings, log_file=tmp_path / "second.log") as second:
            second.process.wait(60)
            assert second.process.returncode == 2
            assert f"learnd: {folder}: is written by another process (pid {first.process.pid} on " in second.log
            assert "stop that one first, or name another folder" in second.log
        with file.open("a", encoding="utf-8") as more:
            more.write('{"text": "one more", "label": "ham"}\n')
        first.wait_until_learned(65)
        first.terminate()
