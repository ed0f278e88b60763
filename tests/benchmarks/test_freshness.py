"""The benchmark of freshness says when the promise is not kept. No time is asserted here: the figures are made up."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks import freshness

KEPT: dict[str, Any] = {
    "records": 3,
    "records_answered": 3,
    "freshness_s": {"median": 1.999, "p90": 5.0, "p99": 5.0, "max": 5.0, "mean": 3.0},
    "learnd_freshness_seconds": {"count": 3, "mean": 2.0},
    "requests_failed": 0,
    "request_s": {"median": 0.1, "p90": 0.1, "p99": 0.1, "max": 0.1},
}


@contextmanager
def no_cluster(*_: object) -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({}, ""),
        ({"freshness_s": KEPT["freshness_s"] | {"median": 2.0}}, "not fresh: the median is 2.000 s, not under 2 s\n"),
        ({"records_answered": 1}, "not fresh: 2 of 3 records are in no answer\n"),
        ({"requests_failed": 4}, "not fresh: 4 requests failed\n"),
        (RuntimeError("not every record is in an answer"), "not fresh: not every record is in an answer\n"),
    ],
)
def test_a_promise_that_is_not_kept_ends_in_status_1(
    figures: dict[str, Any] | RuntimeError, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(*_: object, **__: object) -> dict[str, Any]:
        if isinstance(figures, RuntimeError):
            raise figures
        return KEPT | figures

    monkeypatch.setattr(freshness, "measure", measured)
    monkeypatch.setattr(freshness, "_cluster", no_cluster)
    monkeypatch.setattr(sys, "argv", ["freshness"])
    assert freshness.main() == (1 if told else 0)
    said = [line for line in capsys.readouterr().err.splitlines(keepends=True) if line.startswith("not fresh")]
    assert "".join(said) == told
