"""learnd as people start it: commands as processes, a server that follows a folder, rows to learn."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from daemon.serving.sockets import free_port
from tests.launching import environment, launcher

LIMIT_S = 120.0
# Below those that the kernel hands out by itself, and apart for workers that run side by side.
_ports = itertools.count(20_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))


def wait_until(holds: Callable[[], bool], *, what: str = "it") -> None:
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come about within {LIMIT_S:.0f} s"
        signal.sigtimedwait([], 0.05)


def words(name: str, *arguments: str, settings: Sequence[str] = ()) -> list[str]:
    """What stands behind `learnd` on the command line."""
    return [name, *arguments, *(part for setting in settings for part in ("--set", setting))]


def command(name: str, *arguments: str, settings: Sequence[str] = ()) -> list[str]:
    return [sys.executable, "-m", "daemon", *words(name, *arguments, settings=settings)]


def learnd(name: str, *arguments: str, settings: Sequence[str] = (), **more: str) -> subprocess.CompletedProcess[str]:
    """One command to its end; `more` goes into its environment."""
    return launcher().run(words(name, *arguments, settings=settings), timeout_s=LIMIT_S, **more)


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]], *, append: bool = False) -> Path:
    with file.open("a" if append else "w", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    return file


def files(file: Path, *, follow: bool = False) -> list[str]:
    return ["source.kind=files", f"source.paths=['{file}']", f"source.follow={str(follow).lower()}"]


def kept_in(folder: Path) -> list[str]:
    return [f"storage.folder='{folder}'", "telemetry.port=0", "training.threads=1"]


def train(folder: Path, file: Path, settings: Sequence[str]) -> None:
    """Learn the whole file; a snapshot stands at its end."""
    done = learnd("train", "--until-end", settings=[*files(file), *kept_in(folder), *settings])
    assert done.returncode == 0, done.stderr


@contextmanager
def started(
    name: str, *, log: Path, port: int, settings: Sequence[str]
) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """`learnd serve` or `learnd run`, its server ready, and a client of it. Killed with its children where the block fails."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command(name, settings=[*settings, f"serving.port={port}"]), env=environment(), stdout=out, stderr=out
        )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        try:
            wait_until(lambda: is_ready(client, process, log), what="a ready server")
            yield process, client
        finally:
            for child in children(process.pid):
                kill(child)
            process.kill()
            process.wait()


def is_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text(encoding="utf-8")
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def any_port() -> int:
    """One that is free now and stays so until it is bound."""
    return free_port("127.0.0.1", preferred=next(_ports))


def children(pid: int) -> list[int]:
    """The processes that `pid` started and that still run."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]
    except FileNotFoundError:
        return []


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def child_named(name: str, pid: int) -> int | None:
    """The child of `pid` that runs the command `name`."""
    for child in children(pid):
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        except FileNotFoundError:
            continue
        if words[3:4] == [name.encode()]:
            return child
    return None
