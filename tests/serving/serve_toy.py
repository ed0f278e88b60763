"""The toy server as a process of its own, for tests that send it signals: serve_toy.py FOLDER PORT [OPTION=SECONDS …]."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from prometheus_client import CollectorRegistry

from daemon.serving.server import Server
from daemon.serving.service import Limits
from daemon.serving.telemetry import Telemetry
from tests.serving.toy import ToyClassifier, ToySnapshots, bias_of


class Slow(ToyClassifier):
    """Texts starting with "hold" wait for the file `release` in the snapshot folder."""

    folder = Path(sys.argv[1])

    def answer(self, inputs):  # type: ignore[no-untyped-def]
        if any(row.text.startswith("hold") for row in inputs):
            (self.folder / "held").touch()
            while not (self.folder / "release").exists():
                threading.Event().wait(0.01)
        return super().answer([type(row)("x", row.features) for row in inputs])


def main() -> int:
    server = Server(
        host="127.0.0.1",
        port=int(sys.argv[2]),
        token="",
        model_name="toy",
        snapshots=ToySnapshots(Path(sys.argv[1])),
        load=lambda snapshot: Slow(bias_of(snapshot), gate=threading.Event(), batches=[]),
        telemetry=Telemetry(registry=CollectorRegistry()),
        limits=Limits(),
        queue_rows=2048,
        batch_rows=64,
        **{name: float(value) for name, value in (option.split("=") for option in sys.argv[3:])},  # type: ignore[arg-type]
    )
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    return 0 if server.run() else 3


if __name__ == "__main__":
    raise SystemExit(main())
