from __future__ import annotations

from daemon.learning.draws import draws


def test_each_of_seed_purpose_and_ordinal_changes_the_numbers() -> None:
    keys = [(0, "replay", 0), (1, "replay", 0), (0, "reservoir", 0), (0, "replay", 1)]
    numbers = [draws(*key).integers(2**63) for key in keys]
    assert len(set(numbers)) == 4
    assert [draws(*key).integers(2**63) for key in keys] == numbers


def test_the_numbers_are_these_in_every_process() -> None:
    assert draws(7, "replay", 3).integers(0, 1000, 4).tolist() == [827, 808, 109, 539]
