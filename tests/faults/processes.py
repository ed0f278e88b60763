"""Real `learnd` processes, watched from outside: what they log, what their ports answer, how they end."""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.launching import launcher

LIMIT_S = 60.0
_TURN_S = 0.05


class Learnd:
    """One running `learnd`; its log goes to `log_file`."""

    def __init__(self, arguments: Sequence[str], *, log_file: Path) -> None:
        self.process = launcher().start(arguments, err=log_file)

    @property
    def log(self) -> str:
        return self.process.err.read_text(encoding="utf-8")

    def url(self, path: str) -> str:
        """On the first port that it names in its log; waits until it does."""
        pattern = re.compile(r"http://127\.0\.0\.1:\d+")
        self.wait_for(lambda: pattern.search(self.log), "a port")
        found = pattern.search(self.log)
        assert found is not None
        return found.group() + path

    def ask(self, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON of an answer; `body` makes it a POST."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url(path), data=data, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.load(refusal)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of `name` that have these labels; 0 where there are none."""
        with urllib.request.urlopen(self.url("/metrics"), timeout=10) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def wait_for(self, condition: Callable[[], object], what: str, *, limit_s: float = LIMIT_S) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            assert self.process.poll() is None, f"it left with {self.process.returncode} before {what}:\n{self.log}"
            assert time.monotonic() < deadline, f"{what}: not within {limit_s} s:\n{self.log}"
            signal.sigtimedwait([], _TURN_S)

    def wait_until_learned(self, records: int) -> None:
        self.wait_for(lambda: self.metric("learnd_records_total", outcome="learned") >= records, f"{records} records learned")

    def end(self) -> str:
        """What it printed; it must end by itself, and well."""
        assert self.process.wait(LIMIT_S) == 0, self.log
        return self.process.out.read_text(encoding="utf-8")

    def terminate(self) -> str:
        """Ask it to leave; what it printed."""
        self.process.terminate()
        return self.end()


@contextmanager
def learnd(command: str, settings: Sequence[str], *flags: str, log_file: Path) -> Iterator[Learnd]:
    """Runs `learnd <command>`; it does not outlive the block."""
    chosen = [part for setting in settings for part in ("--set", setting)]
    running = Learnd([command, *flags, *chosen], log_file=log_file)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait(LIMIT_S)
