"""What ends a command, and by which status: one may pass by itself, the other lasts until a person has acted."""

from __future__ import annotations

import argparse
import errno
import os

import pytest

from daemon.__main__ import LASTS, MAY_PASS, main
from daemon.errors import ConfigError, LedgerError, LedgerFull, ModelError, ServingError, StateError, WriterError
from streams.errors import DeadLetterError, GapError, ReplacedError, ShareError, SourceError, UnfitError


def by(error: Exception, number: int) -> Exception:
    error.__cause__ = OSError(number, os.strerror(number))
    return error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("x"), LASTS),
        (ModelError("x"), LASTS),
        (StateError("x"), LASTS),
        (ServingError("the port is taken"), LASTS),
        (by(ServingError("x"), errno.EADDRINUSE), LASTS),
        (LedgerError("line 7 is damaged"), LASTS),
        (by(LedgerError("x"), errno.EIO), MAY_PASS),
        (LedgerFull("x"), MAY_PASS),
        (by(WriterError("x"), errno.EACCES), LASTS),
        (by(WriterError("x"), errno.ENOSPC), MAY_PASS),
        (GapError("t", 0, position=1, first=2), LASTS),
        (ReplacedError("x"), LASTS),
        (UnfitError("there is no partition 7"), LASTS),
        (SourceError("the brokers are away"), MAY_PASS),
        (DeadLetterError("x"), MAY_PASS),
        (ShareError("x"), LASTS),
    ],
)
def test_the_status_says_whether_to_start_again_may_help(
    error: Exception, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr("daemon.__main__.parse", lambda _: argparse.Namespace(run=fail, verbose=False))
    assert main([]) == status
    assert capsys.readouterr().err == f"learnd: {error}\n"
