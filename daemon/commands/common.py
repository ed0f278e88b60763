"""What several commands do alike."""

from __future__ import annotations

import argparse
import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from daemon.config import load
from daemon.settings import Settings

logger = logging.getLogger(__name__)

# Commands that do not read the stream need no source.
NO_SOURCE = {"source": {"kind": "files", "paths": []}}


def settings_from(arguments: argparse.Namespace, *, defaults: Mapping[str, Any] | None = None) -> Settings:
    """The settings that `--config`, the environment and `--set` give."""
    return load(arguments.config, overrides=arguments.overrides, defaults=defaults)


def settings_without_source(
    config: Path | None, overrides: Sequence[str], *, defaults: Mapping[str, Any] | None = None
) -> Settings:
    """The same for a command that does not read the stream: what the environment says of the source is no matter."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LEARND_SOURCE__")}
    return load(config, overrides=overrides, environ=environ, defaults=NO_SOURCE | dict(defaults or {}))


@contextmanager
def stopping_by_signal(stop: Callable[[], None], *, at_once: Callable[[int], None] = os._exit) -> Iterator[None]:
    """SIGTERM, Ctrl+C and a terminal that is closed call `stop`; a second one calls `at_once` with an exit status, by which
    nothing is lost."""
    asked = False

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal asked
        if asked:
            at_once(128 + number)
        asked = True
        stop()

    heeded = [signal.SIGTERM, signal.SIGINT]
    # Under nohup it is ignored, and stays so.
    heeded += [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else []
    before = {number: signal.signal(number, handle) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
