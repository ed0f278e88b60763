"""The detector of change in the inputs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.monitoring.drift.inputs import InputShift
from daemon.state import State

Rows = NDArray[np.float32]


def rows(num_rows: int, width: int = 6, *, seed: int) -> Rows:
    return np.random.default_rng(seed).normal(size=(num_rows, width)).astype(np.float32)


def alarms(detector: InputShift, rows_ND: Rows) -> list[int]:
    found = []
    for row, x_D in enumerate(rows_ND):
        detector.update(x_D)
        if detector.drift_detected:
            found.append(row)
    return found


def detector(seed: int = 0, pause_rows: int = 0) -> InputShift:
    return InputShift(threshold=6.0, seed=seed, pause_rows=pause_rows)


def same(first: State, second: State) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(np.asarray(first[key]), np.asarray(second[key]), equal_nan=True) for key in first
    )


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("mean", lambda x: x + 0.8),
        ("spread", lambda x: 2 * x),
        ("dependence", lambda x: np.repeat(x[:, :1], x.shape[1], axis=1)),
        ("missing", lambda x: np.where(np.arange(x.shape[1]) < 4, np.float32(np.nan), x)),
    ],
)
def test_a_change_is_found_within_its_window(name: str, changed) -> None:  # type: ignore[no-untyped-def]
    found = alarms(detector(), np.concatenate([rows(3_000, seed=1), changed(rows(1_000, seed=2))]))
    assert 3_000 <= found[0] < 3_200


def test_no_alarm_where_nothing_changed() -> None:
    assert alarms(detector(), rows(5_000, seed=3)) == []


def test_a_change_of_labels_alone_cannot_be_seen() -> None:
    # The vectors are the same whatever the labels are: this is why an error detector runs beside it.
    x_ND = rows(2_000, seed=4)
    assert alarms(detector(), np.concatenate([x_ND, x_ND])) == []


@pytest.mark.parametrize("pause_rows", [0, 1, 600])
def test_after_an_alarm_the_paused_rows_are_not_looked_at_and_all_starts_anew(pause_rows: int) -> None:
    changed = np.concatenate([rows(1_000, seed=13), rows(300, seed=14) + 1.5])
    [alarm] = alarms(detector(pause_rows=pause_rows), changed)
    first, anew = detector(pause_rows=pause_rows), detector(pause_rows=pause_rows)
    alarms(first, changed[: alarm + 1])
    alarms(first, rows(pause_rows, seed=15) * 9)
    # Nothing of the rows before is left but the directions that the seed drew.
    rest = np.concatenate([rows(1_000, seed=16), rows(500, seed=17) - 1.0])
    assert alarms(first, rest) == alarms(anew, rest) != []
    assert same(first.state_dict(), anew.state_dict())


def test_reload_goes_on_in_the_middle_of_a_pause() -> None:
    first, second = detector(pause_rows=500), detector(pause_rows=500)
    [alarm] = alarms(first, np.concatenate([rows(1_000, seed=18), rows(300, seed=19) + 1.5]))
    assert first.state_dict()["paused"] == 500 - (1_299 - alarm)
    second.load_state_dict(first.state_dict())
    rest = np.concatenate([rows(2_000, seed=20), rows(500, seed=21) + 1.5])
    assert alarms(first, rest) == alarms(second, rest) != []


@pytest.mark.parametrize("cut", [0, 150, 203, 1_237, 2_100])
def test_reload_goes_on_identically(cut: int) -> None:
    stream = np.concatenate([rows(2_000, seed=5), rows(2_000, seed=6) + 1.0])
    first, second = detector(), detector()
    alarms(first, stream[:cut])
    alarms(second, stream[:333])
    state = first.state_dict()
    json.dumps({key: value for key, value in state.items() if not isinstance(value, np.ndarray)}, allow_nan=False)
    second.load_state_dict(state)
    assert alarms(first, stream[cut:]) == alarms(second, stream[cut:])
    assert same(first.state_dict(), second.state_dict())


def test_a_saved_state_is_a_copy() -> None:
    first = detector()
    alarms(first, rows(1_005, seed=7))
    saved = first.state_dict()
    kept = {key: np.array(value) for key, value in saved.items()}
    alarms(first, rows(500, seed=8))
    assert same(saved, kept)


def test_missing_and_huge_values_stand_for_something_and_break_nothing() -> None:
    x_ND = rows(4_000, seed=9)
    x_ND[::7, 0] = np.nan
    x_ND[::501, 1] = np.finfo(np.float32).max
    x_ND[::503, 2] = np.finfo(np.float32).min
    x_ND[::505, 3] = 1e30
    x_ND[:, 5] = np.nan
    first = detector()
    assert alarms(first, x_ND) == []
    assert np.isfinite(first.state_dict()["gram"]).all()
    assert alarms(first, rows(1_000, seed=10) + 1.5) != []


def test_vectors_of_64_bits_too_large_for_32_are_taken() -> None:
    first = detector()
    first.update(np.array([1e300, -1e300]))
    assert np.isfinite(first.state_dict()["pending"]).all()


def test_constant_inputs_raise_no_alarm_until_they_move() -> None:
    x_ND = np.ones((3_000, 4), np.float32)
    assert alarms(detector(), x_ND) == []
    x_ND[2_000:, 2] = 3.0
    assert 2_000 <= alarms(detector(), x_ND)[0] < 2_200


def test_memory_is_bounded() -> None:
    first = detector()
    sizes = set()
    for block in range(5):
        alarms(first, rows(5_000, 2, seed=block))
        sizes.add(sum(np.asarray(value).nbytes for value in first.state_dict().values()))
    assert max(sizes) < 100_000


def test_another_width_is_refused_and_changes_nothing() -> None:
    first, untouched = detector(), detector()
    for row, x_D in enumerate(rows(900, seed=11)):
        if row in (3, 205, 899):
            for wrong in (np.zeros(5), np.zeros((1, 6)), np.zeros(0)):
                with pytest.raises(ValueError, match="after rows of 6 values"):
                    first.update(wrong)
        first.update(x_D)
        untouched.update(x_D)
    assert same(first.state_dict(), untouched.state_dict())


def test_seed_chooses_the_projections() -> None:
    first, second = detector(seed=0), detector(seed=1)
    alarms(first, rows(500, seed=12))
    alarms(second, rows(500, seed=12))
    assert not same(first.state_dict(), second.state_dict())


def test_threshold_must_be_positive() -> None:
    with pytest.raises(ValueError, match="above 0"):
        InputShift(threshold=0.0, seed=0)
