"""Memories so small that some hundred rows fill them, whichever class of the learner holds one."""

from __future__ import annotations

import pytest

from daemon import learning
from daemon.learning.experts import forest, key_column
from daemon.learning.experts.slots import SlotTable
from daemon.learning.features import key_memory
from tests.contracts.discovery import classes_of

# How many rows are kept, by the argument of a constructor that says it by default.
ROWS = {"memory": 150, "capacity": 64, "window": 100}
# Features that each table of slots holds at most.
SLOTS = 128


def make_small(monkeypatch: pytest.MonkeyPatch) -> list[SlotTable]:
    """Bound every memory that is made from now on; returns the tables of slots, each from when it is made."""
    for kind in classes_of(object, learning):
        is_ours = kind.__module__.startswith(learning.__name__)
        defaults = (getattr(kind.__init__, "__kwdefaults__", None) if is_ours else None) or {}
        for name in ROWS.keys() & defaults.keys():
            monkeypatch.setitem(defaults, name, ROWS[name])
    monkeypatch.setattr(key_memory, "SLOTS", 16)
    monkeypatch.setattr(key_column, "SLOTS", 16)
    # Trees of so small a memory are grown every few rows, not with each.
    monkeypatch.setattr(forest, "REGROWN_PART", 16)
    tables, make = list[SlotTable](), SlotTable.__init__

    def bounded(table: SlotTable, *, num_features: int, max_slots: int | None = None, **more: int) -> None:
        make(table, num_features=num_features, max_slots=min(SLOTS, max_slots or SLOTS, num_features), **more)
        tables.append(table)

    monkeypatch.setattr(SlotTable, "__init__", bounded)
    return tables
