"""The table of hashed features: growth, forgetting, and that it goes on identically."""

from __future__ import annotations

import numpy as np

from daemon.learning.experts.slots import SlotTable
from tests.contracts.expert_checks import assert_same_state


def table(max_slots: int) -> SlotTable:
    """Two planes of up to four classes take 32 bytes a slot, and 12 more for its feature and time."""
    return SlotTable(num_features=1 << 14, num_planes=2, max_bytes=44 * max_slots)


def test_features_keep_their_numbers() -> None:
    slots = table(2048)
    first = slots.claim(np.array([7, 3], dtype=np.int32))
    slots.cells[first, 0, 0] = [70.0, 30.0]
    again = slots.claim(np.array([3, 9, 7], dtype=np.int32))
    assert slots.cells[again, 0, 0].tolist() == [30.0, 0.0, 70.0]
    assert slots.find(np.array([9, 8], dtype=np.int32)).tolist() == [2, -1]


def test_a_new_class_copies_the_spare_past_every_capacity() -> None:
    slots = table(2048)
    place = slots.claim(np.array([1], dtype=np.int32))
    slots.cells[place, :, 0] = [[5.0, 6.0]]
    for _ in range(40):
        slots.grow()
    assert slots.num_classes == 41
    assert slots.state_dict()["cells"].tolist() == [[[5.0] * 41, [6.0] * 41]]


def test_the_features_unused_for_longest_are_forgotten() -> None:
    slots = table(2000)
    for start in range(0, 2000, 100):
        slots.claim(np.arange(start, start + 100, dtype=np.int32))
    slots.claim(np.arange(50, dtype=np.int32))  # refresh the first fifty
    slots.claim(np.arange(5000, 5010, dtype=np.int32))  # full: a quarter goes
    assert slots.num_slots == 1510
    found = slots.find(np.arange(2000, dtype=np.int32)) >= 0
    assert found[:50].all()
    assert not found[50:550].any()
    assert found[550:].all()


def test_memory_is_bounded_over_any_number_of_features_and_classes() -> None:
    slots = table(2000)
    rng = np.random.default_rng(0)
    largest = 0
    for row in range(3000):
        slots.claim(rng.permutation(1 << 14)[:20].astype(np.int32))
        if row % 250 == 0:
            slots.grow()
        largest = max(largest, slots.cells.nbytes)
    # 1,024 slots are left whatever the number of classes: from there on it decides, not the bound.
    assert largest == 1024 * 2 * 16 * 4
    assert slots.num_classes == 13
    assert slots.cells.shape == (1024, 2, 16)


def test_forgetting_goes_on_identically_after_a_reload() -> None:
    rng = np.random.default_rng(1)
    rows = [np.unique(rng.integers(0, 1 << 14, size=30)).astype(np.int32) for _ in range(400)]
    whole, resumed = table(1500), table(1500)
    for row in rows[:100]:
        place = whole.claim(row)
        whole.cells[place, 0, 0] += 1.0
    resumed.load_state_dict(whole.state_dict())
    for row in rows[100:]:
        for slots in (whole, resumed):
            place = slots.claim(row)
            slots.cells[place, 0, 0] += 1.0
        assert whole.num_slots <= 1500
    assert_same_state(whole.state_dict(), resumed.state_dict())


def test_a_state_leaves_nothing_of_what_was_there_before() -> None:
    used, saved = table(1500), table(1500)
    for start in (0, 400):
        place = used.claim(np.arange(start, start + 400, dtype=np.int32))
        used.cells[place] = 7.0
    most = used.num_bytes()
    place = saved.claim(np.array([3, 9000], dtype=np.int32))
    saved.cells[place, 0, 0] = [30.0, 90.0]
    used.load_state_dict(saved.state_dict())
    assert used.find(np.array([3, 5, 9000], dtype=np.int32)).tolist() == [0, -1, 1]
    new = used.claim(np.array([5, 6], dtype=np.int32))
    assert not used.cells[new].any()
    assert used.num_bytes() == most  # what was once used is not given back


def test_two_of_a_row_that_share_a_hash_share_a_slot() -> None:
    slots = table(1024)
    assert slots.claim(np.array([3, 9, 3], dtype=np.int32)).tolist() == [0, 1, 0]
    assert slots.claim(np.array([9, 5, 5, 3], dtype=np.int32)).tolist() == [1, 2, 2, 0]
    assert slots.num_slots == 3


def test_a_row_whose_own_features_were_the_oldest_finds_room_for_all() -> None:
    slots = table(1024)
    for start in (0, 500):
        slots.claim(np.arange(start, start + 500, dtype=np.int32))
    row = np.concatenate([np.arange(100), np.arange(2000, 3000)]).astype(np.int32)
    claimed = slots.claim(row)
    assert len(np.unique(claimed)) == len(row)
    assert claimed.max() < len(slots.cells)
    np.testing.assert_array_equal(slots.features[claimed], row)
