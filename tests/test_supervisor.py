"""The supervisor: what falls is started again, each time later; what is wrong ends everything."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from daemon.cli import parse
from daemon.commands import run as commands
from daemon.supervisor import LASTS, Child, Supervisor


def test_a_mistake_in_the_settings_ends_everything_with_its_status() -> None:
    children = [Child(name=name, arguments=[name, "--no-such-flag"]) for name in ("train", "serve")]
    assert Supervisor(children).run() == LASTS


@pytest.mark.parametrize("verbose", [True, False])
def test_run_hands_its_flags_to_both_children(verbose: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[list[str]] = []

    def note(*, name: str, arguments: list[str]) -> Child:
        started.append(arguments)
        return Child(name=name, arguments=["--no-such-flag"])

    monkeypatch.setattr(commands, "Child", note)
    file = tmp_path / "rows.jsonl"
    file.touch()
    flags = ["--set", "source.kind=files", "--set", f"source.paths=['{file}']"]
    arguments = parse([*(["--verbose"] if verbose else []), "run", *flags])
    assert arguments.run(arguments) == LASTS
    before = ["--verbose"] if verbose else []
    assert started == [[*before, "train", *flags], [*before, "serve", *flags]]


def test_a_child_that_falls_is_started_again_each_time_later(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    now = [0.0]
    # A command that ends with status 0, which a child never should.
    child = Child(name="train", arguments=["--version"], clock=lambda: now[0])

    def tick(_: float) -> None:
        threading.Event().wait(0.01)
        if not child.running:
            now[0] += 0.25
        if len(caplog.messages) == 3:
            supervisor.stop()

    supervisor = Supervisor([child], sleep=tick)
    assert supervisor.run() == 0
    assert caplog.messages == [f"train left with status 0; it is started again in {seconds} s" for seconds in (1, 2, 4)]
