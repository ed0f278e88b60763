"""The demo as a newcomer meets it: in a terminal, on a machine where the port may be taken, left by Ctrl+C."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
from rich.console import Console

from daemon.commands import demo
from tests.e2e.learnd import command, wait_until
from tests.launching import environment

# Runs a command in a terminal of its own; what comes in is typed, what is shown goes out.
IN_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
NO_ENCODER = {"LEARND_MODEL__ENCODER": "none"}


class Terminal:
    """A command in a terminal: what it showed so far, without colours and cursor moves."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._shown = b""
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while part := self.process.stdout.read1():
            self._shown += part

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._shown.decode("utf-8", errors="replace")).replace("\r", "\n")

    def type(self, keys: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(keys)
        self.process.stdin.flush()

    def wait(self) -> int:
        status = self.process.wait(60)
        self._thread.join(60)
        return status


@contextmanager
def terminal(*words: str) -> Iterator[Terminal]:
    chosen = [sys.executable, "-c", IN_A_TERMINAL, *command(*words)]
    surroundings = environment(**NO_ENCODER, TERM="xterm", COLUMNS="120")
    with subprocess.Popen(chosen, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=surroundings) as process:
        try:
            yield Terminal(process)
        finally:
            process.kill()


def _figures(shown: str) -> str:
    """What the address answers that the demo named for the figures of the learning; "" where it answers nothing yet."""
    found = re.search(r"figures of the learning while it lasts: (http://127\.0\.0\.1:\d+/metrics)", shown)
    if found:
        with suppress(httpx.TransportError):
            return httpx.get(found[1]).text
    return ""


def test_it_shows_what_it_does_on_another_port_and_leaves_by_ctrl_c() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # somebody else has it: all the same
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        with terminal("demo") as shown:
            # Asked for while it learns: at the end of the stream these figures are gone.
            wait_until(lambda: "learnd_records_total" in _figures(shown.text), what="figures of the learning")
            wait_until(
                lambda: bool(re.search(r"in the answers after \d", shown.text)) or shown.process.poll() is not None,
                what="a freshness",
            )
            found = re.search(r"port 8080 is taken; answering on (\d+) instead", shown.text)
            assert found, shown.text
            url = f"http://127.0.0.1:{found[1]}"
            assert f"answers on {url}" in shown.text
            assert httpx.get(url).json()["predict"] == "/predict"
            shown.type(b"\x03")
            assert shown.wait() == 0
            for sight in (r"mail +[\d,]+ rows", r"[\d,]+ rows/s", r"lag [\d,]+", r"snapshot \d+", r"drift alarms \d+"):
                assert re.search(sight, shown.text), sight
            for name in ("accuracy", "macro_f1", "kappa", "learnd", "last_label", "majority", "stopping"):
                assert name in shown.text
            assert "Traceback" not in shown.text
            assert " INFO " not in shown.text


def test_until_end_prints_the_figures_and_leaves_with_status_0() -> None:
    done = subprocess.run(
        command("demo", "--until-end"),
        env=environment(**NO_ENCODER, COLUMNS="120"),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "6,046 rows" in done.stdout
    # A piped table is drawn with the same lines as one in a terminal.
    rows = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in done.stdout.splitlines() if "│" in line}
    assert rows["last_label"] == f"{1 - 783 / 6046:.4f}"
    assert float(rows["learnd"]) > 0.98
    assert "Traceback" not in done.stderr


def test_between_the_learning_and_what_follows_ctrl_c_is_heeded(tmp_path: Path) -> None:
    mails = tmp_path / "mails.jsonl"
    mails.write_text("".join(f'{{"text": "mail {i}", "label": "{"ham" if i % 2 else "spam"}"}}\n' for i in range(4)))
    chosen = [*demo._settings(tmp_path / "store", 1, 0), f"source.paths=['{mails}']", "model.encoder=none"]
    asked, before = threading.Event(), signal.getsignal(signal.SIGINT)
    with ExitStack() as heeding:
        demo._learn(chosen, Console(quiet=True), asked_to_stop=asked, url="http://127.0.0.1:1", heeding=heeding)
        signal.raise_signal(signal.SIGINT)
        assert asked.is_set()
    assert signal.getsignal(signal.SIGINT) is before
