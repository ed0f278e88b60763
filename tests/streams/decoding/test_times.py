from __future__ import annotations

import pytest

from streams.decoding.times import parse_time


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0),
        (1_700_000_000, 1_700_000_000.0),
        (1_700_000_000_500, 1_700_000_000.5),
        (-5.5, -5.5),
        ("2001-06-25T11:18:19+00:00", 993467899.0),
        ("2001-06-25T11:18:19Z", 993467899.0),
        ("2001-06-25T13:18:19.5+02:00", 993467899.5),
        ("2001-06-25 11:18:19", 993467899.0),
        ("2001-06-25", 993427200.0),
        ("1700000000.25", 1_700_000_000.25),
    ],
)
def test_seconds_since_the_epoch(value: float | str, seconds: float) -> None:
    assert parse_time(value) == seconds


@pytest.mark.parametrize("value", ["", "yesterday", "nan", float("inf")])
def test_anything_else_is_refused(value: float | str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(value)
