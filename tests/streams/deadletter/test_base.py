"""The share of dead letters at which learning stops."""

from __future__ import annotations

import pytest

from streams.deadletter import NoDeadLetters
from streams.errors import DeadLetterError, DecodeError
from streams.record import Record

ERROR = DecodeError("parse", "no JSON")
RECORD = Record("mail", 1, 7, b"x")


def test_not_judged_before_a_hundred_records() -> None:
    letters = NoDeadLetters(max_share=0.5)
    for _ in range(99):
        letters.send(RECORD, ERROR)
    with pytest.raises(
        DeadLetterError,
        match=r"100 of the last 100 records \(100%\) .* the 50% allowed; the last is mail\[1\] offset 7 \(parse: no JSON\)",
    ):
        letters.send(RECORD, ERROR)


def test_share_is_taken_over_the_last_thousand_records() -> None:
    letters = NoDeadLetters(max_share=0.1)
    letters.passed(5000)
    for _ in range(100):
        letters.send(RECORD, ERROR)
    with pytest.raises(DeadLetterError, match=r"101 of the last 1000"):
        letters.send(RECORD, ERROR)
    letters.passed(1000)
    letters.send(RECORD, ERROR)


def test_share_of_one_never_stops() -> None:
    letters = NoDeadLetters(max_share=1.0)
    for _ in range(2000):
        letters.send(RECORD, ERROR)
    letters.flush()
    letters.close()
