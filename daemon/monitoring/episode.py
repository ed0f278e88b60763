"""Drift alarms between two publishes, as the gate remembers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Episode:
    """An episode of alarms with nothing published since its first."""

    first_row: int
    first_s: float
    last_row: int
    level: tuple[float, float] | None  # loss before: mean, and variance of that mean
    cleared_at: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "first_row": self.first_row,
            "first_s": self.first_s,
            "last_row": self.last_row,
            "level": None if self.level is None else list(self.level),
            "cleared_at": self.cleared_at,
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Episode:
        level = saved["level"]
        return cls(**{**saved, "level": None if level is None else (level[0], level[1])})
