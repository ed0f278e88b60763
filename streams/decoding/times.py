"""Times as people write them in records."""

from __future__ import annotations

import math
from datetime import UTC, datetime

# 1e11 seconds are the year 5138; 1e11 milliseconds are March 1973, before any record that is read here.
_MILLISECONDS_ABOVE = 1e11


def parse_time(value: float | str) -> float:
    """Seconds since the epoch, from seconds, milliseconds (a number above 1e11), or ISO 8601 (UTC unless it says).

    >>> parse_time(1.5), parse_time(1_700_000_000_000), parse_time("2001-06-25T11:18:19+00:00"), parse_time("2001-06-25")
    (1.5, 1700000000.0, 993467899.0, 993427200.0)

    A number in a string is read as a number. Raises `ValueError` for anything else.
    """
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            value = float(value)
        else:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(value):
        raise ValueError(f"{value} is no time")
    return value / 1000 if abs(value) > _MILLISECONDS_ABOVE else float(value)
