"""`learnd demo`: learn the bundled mail and answer from it, on one machine, without Kafka."""

from __future__ import annotations

import argparse
import contextlib
import re
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console

from daemon.assembly.training import training as assembled
from daemon.commands.common import stopping_by_signal
from daemon.config import load
from daemon.progress import TerminalProgress, scores_table
from daemon.serving.sockets import free_port
from daemon.supervisor import Child, Supervisor
from streams import samples

PORT = 8080
LOOK_EVERY_S = 1.0


def run(arguments: argparse.Namespace) -> int:
    console = Console(stderr=True)
    asked_to_stop = threading.Event()
    with contextlib.ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="learnd-demo-")))
        port = free_port("127.0.0.1", preferred=PORT)
        if port != PORT:
            console.print(f"port {PORT} is taken; answering on {port} instead")
        url = f"http://127.0.0.1:{port}"
        settings = _settings(folder, port)
        stack.enter_context(_serving(settings))
        console.print(f"learning {samples.SPAM.name}, mail in its order of arrival; answers on {url}")
        _learn(settings, console, until_end=asked_to_stop, url=url)
        if not asked_to_stop.is_set() and not arguments.until_end:
            console.print(f"the stream is at its end; answering on {url} until Ctrl+C. Try:\n{_example(url)}", highlight=False)
            with stopping_by_signal(asked_to_stop.set):
                asked_to_stop.wait()
    return 0


def _settings(folder: Path, port: int) -> list[str]:
    return [
        "source.kind=files",
        f"source.paths=['{samples.SPAM}']",
        "source.follow=false",
        "source.topic=mail",
        "decoding.time=t",
        f"storage.folder='{folder}'",
        f"serving.port={port}",
        "telemetry.port=0",
        "training.name=mail",
    ]


@contextlib.contextmanager
def _serving(settings: list[str]) -> Iterator[None]:
    """The server as a process of its own beside the learning one, as `learnd run` has it."""
    flags = [part for setting in settings for part in ("--set", setting)]
    supervisor = Supervisor([Child(name="serve", arguments=["serve", *flags])])
    thread = threading.Thread(target=supervisor.run, name="learnd-supervisor")
    thread.start()
    try:
        yield
    finally:
        supervisor.stop()
        thread.join()


def _learn(settings: list[str], console: Console, *, until_end: threading.Event, url: str) -> None:
    """Learn the sample with a table that redraws itself, then print the summary."""

    def stop() -> None:
        until_end.set()
        training.trainer.stop()

    with contextlib.ExitStack() as stack:
        progress = TerminalProgress(title="mail", console=console, freshness=stack.enter_context(_freshness(url)))
        training = stack.enter_context(
            assembled(load(None, overrides=settings), until_end=True, may_lack_encoder=True, progress=progress)
        )
        stack.enter_context(stopping_by_signal(stop))
        training.trainer.run()
        figures = scores_table(training.pipeline)
    console.print(figures)


@contextlib.contextmanager
def _freshness(url: str) -> Iterator[Callable[[], float | None]]:
    """The server's own median of "event to answer", looked up about once a second beside the loop."""
    latest: list[float | None] = [None]
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOK_EVERY_S):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/metrics", timeout=1) as answer:  # noqa: S310
                found = re.search(rb"^learnd_freshness_median_seconds (\S+)", answer.read(), flags=re.MULTILINE)
                latest[0] = float(found[1]) if found else None

    thread = threading.Thread(target=look, name="learnd-freshness", daemon=True)
    thread.start()
    try:
        yield lambda: latest[0]
    finally:
        done.set()
        thread.join()


def _example(url: str) -> str:
    return (
        f'curl -s {url}/predict -H "Content-Type: application/json" '
        '-d \'{"text": "Re: patch for the build, please review before Friday"}\''
    )
