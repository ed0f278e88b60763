"""`learnd demo`: learn the bundled mail and answer from it, on one machine, without Kafka."""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import os
import re
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from daemon.assembly.training import training as assembled
from daemon.commands.common import settings_without_source, stopping_by_signal
from daemon.errors import ServingError
from daemon.progress import Glance, TerminalProgress
from daemon.serving.sockets import free_port
from daemon.supervisor import Child, Supervisor
from streams import samples

PORT, TELEMETRY_PORT = 8080, 9464
LOOK_EVERY_S = 1.0
# A server listens within seconds; on a machine that is busy with other things it may take longer.
START_LIMIT_S, START_LOOK_S = 120.0, 0.1


def run(arguments: argparse.Namespace) -> int:
    console = Console(stderr=True)
    asked_to_stop = threading.Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_logging_above_the_table(console, verbose=arguments.verbose))
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="learnd-demo-")))
        port = free_port("127.0.0.1", preferred=PORT)
        if port != PORT:
            console.print(f"port {PORT} is taken; answering on {port} instead", highlight=False)
        url = f"http://127.0.0.1:{port}"
        telemetry_port = free_port("127.0.0.1", preferred=TELEMETRY_PORT)
        settings = _settings(folder, port, telemetry_port)
        settings_without_source(None, settings)  # a mistake in the environment is told once, before anything is started
        with console.status("starting the server"):
            is_serving = stack.enter_context(_serving(settings, console))
            _wait_until_listening(url, is_serving)
        console.print(f"learning {samples.SPAM.name}, mail in its order of arrival; answers on {url}", highlight=False)
        console.print(f"figures of the learning while it lasts: http://127.0.0.1:{telemetry_port}/metrics", highlight=False)
        _learn(settings, console, asked_to_stop=asked_to_stop, url=url, heeding=stack)
        if not asked_to_stop.is_set() and not arguments.until_end:
            console.print(f"the stream is at its end; answering on {url} until Ctrl+C. Try:", highlight=False)
            # Unwrapped, so that it can be copied.
            console.print(_example(url), highlight=False, soft_wrap=True)
            asked_to_stop.wait()
        if asked_to_stop.is_set():
            console.print("stopping")
    return 1 if arguments.until_end and asked_to_stop.is_set() else 0


def _settings(folder: Path, port: int, telemetry_port: int) -> list[str]:
    return [
        "source.kind=files",
        f"source.paths=['{samples.SPAM}']",
        "source.follow=false",
        "source.topic=mail",
        "decoding.time=t",
        f"storage.folder='{folder}'",
        f"serving.port={port}",
        f"telemetry.port={telemetry_port}",
        "training.name=mail",
    ]


@contextlib.contextmanager
def _logging_above_the_table(console: Console, *, verbose: bool) -> Iterator[None]:
    """Warnings go through the console that draws the table: written beside it they would tear it."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers[:] = [RichHandler(console=console, show_path=False)]
    root.setLevel(logging.DEBUG if verbose else logging.WARNING)
    try:
        yield
    finally:
        root.handlers[:] = before
        root.setLevel(level)


@contextlib.contextmanager
def _serving(settings: list[str], console: Console) -> Iterator[Callable[[], bool]]:
    """The server as a process of its own beside the learning one, as `learnd run` has it. Gives a look at whether it was not
    given up."""
    flags = [part for setting in settings for part in ("--set", setting)]
    read_end, write_end = os.pipe()
    supervisor = Supervisor([Child(name="serve", arguments=["serve", *flags], stderr=write_end)])
    threads = [
        threading.Thread(target=supervisor.run, name="learnd-supervisor"),
        threading.Thread(target=_relay, args=(read_end, console), name="learnd-relay", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield threads[0].is_alive
    finally:
        supervisor.stop()
        try:
            threads[0].join()
        finally:  # a second Ctrl+C comes while the server is waited for
            os.close(write_end)
        threads[1].join()


def _relay(read_end: int, console: Console) -> None:
    """What the server has to say, above the table; not that it comes and goes."""
    with os.fdopen(read_end, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if " INFO " not in line:
                console.print(line.rstrip(), markup=False, highlight=False)


def _wait_until_listening(url: str, is_serving: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while is_serving() and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/livez", timeout=1):  # noqa: S310 - our own server's
            return
        time.sleep(START_LOOK_S)
    raise ServingError(f"{url}: the server did not come up; its complaint is above")


def _learn(
    settings: list[str], console: Console, *, asked_to_stop: threading.Event, url: str, heeding: contextlib.ExitStack
) -> None:
    """Learn the sample with a table that redraws itself, then print the summary.

    Ctrl+C sets `asked_to_stop` until `heeding` is closed, so that there is no moment between the learning and what follows in
    which it would end the demo as a mistake does.
    """

    def stop() -> None:
        asked_to_stop.set()
        training.trainer.stop()

    with contextlib.ExitStack() as stack:
        freshness = stack.enter_context(_freshness(url))
        with console.status("loading the model"):
            glance = Glance(title="mail", freshness=freshness)
            progress = TerminalProgress(glance=glance, console=console)
            training = stack.enter_context(
                assembled(settings_without_source(None, settings), until_end=True, may_lack_encoder=True, progress=progress)
            )
        heeding.enter_context(stopping_by_signal(stop, at_once=_interrupt))
        training.trainer.run()
        progress.close()
        Console().print(glance.summary(training.pipeline, snapshot_version=training.trainer.published_version))


def _interrupt(_: int) -> None:
    """A second Ctrl+C: leave what is being learned, and take the server down on the way out."""
    raise KeyboardInterrupt


@contextlib.contextmanager
def _freshness(url: str) -> Iterator[Callable[[], float | None]]:
    """The server's own median of "event to answer", looked up about once a second beside the loop."""
    latest: list[float | None] = [None]
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOK_EVERY_S):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/metrics", timeout=1) as answer:  # noqa: S310 - ours
                found = re.search(rb"^learnd_freshness_median_seconds (\S+)", answer.read(), flags=re.MULTILINE)
                median_s = float(found[1]) if found else math.nan
                latest[0] = None if math.isnan(median_s) else median_s

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
