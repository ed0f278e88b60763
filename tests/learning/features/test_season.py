"""Seasons: found where there are some, in numbers and in labels, and nowhere else; and what is told by them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.features import table_kernels as kernels
from daemon.learning.features.inputs import Dense
from daemon.learning.features.label_history import LabelHistory
from daemon.learning.features.season import WINDOW, _shortest, is_due, season_of_labels, season_of_numbers
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.target_history import TargetHistory

Floats = NDArray[np.float64]


def season(*series: Floats, known: int = 0) -> int:
    """Of series that fill their rings, which begin somewhere in the middle."""
    ring_NW, num = np.array([np.roll(x, 7) for x in series]), len(series)
    return season_of_numbers(ring_NW, np.full(num, 7), np.arange(num), len(series[0]), known)


def noise(seed: int, num: int = WINDOW) -> Floats:
    return np.random.default_rng(seed).normal(size=num)


@pytest.mark.parametrize("length", [2, 5, 12, 24, 48, 168, 300])
def test_a_season_is_found_under_noise_outliers_and_a_slow_drift(length: int) -> None:
    pattern = np.random.default_rng(length).permutation(np.linspace(-2.0, 2.0, length))
    series = np.resize(pattern, WINDOW) + 0.5 * noise(1) + np.linspace(0.0, 1.0, WINDOW)
    series[::97] = 1e9
    assert season(series) == length


@pytest.mark.parametrize("seed", range(20))
def test_noise_walks_trends_and_constants_have_none(seed: int) -> None:
    assert season(noise(seed)) == 0
    assert season(np.sign(noise(seed))) == 0
    assert season(np.arange(1000.0)) == 0
    assert season(np.zeros(1000)) == 0
    labels = np.random.default_rng(seed).integers(0, 2 + seed % 4, WINDOW)
    assert season_of_labels(labels, WINDOW, 0, 0) == 0
    assert season_of_labels(np.sort(labels), WINDOW, 0, 0) == 0
    for first in (64, 128):
        assert season_of_labels(labels, first, first, 0) == 0


def test_walks_seldom_have_one() -> None:
    assert sum(season(np.cumsum(noise(seed))) > 0 for seed in range(100)) <= 5


@pytest.mark.parametrize("seed", range(5))
def test_of_many_columns_none_has_one_by_chance(seed: int) -> None:
    """Also not where values are held for five rows, or rare, which correlate at some lags more than noise does."""
    random = np.random.default_rng(seed)
    walks = [np.cumsum(random.normal(size=WINDOW)) for _ in range(20)]
    rare = [(random.random(WINDOW) < 0.1).astype(np.float64) for _ in range(20)]
    held = [np.repeat(random.normal(size=WINDOW // 5), 5) for _ in range(4)]
    assert season(*walks, *rare, *held) == 0


@pytest.mark.parametrize("seed", range(5))
def test_under_a_walk_the_steps_tell_it(seed: int) -> None:
    walk = 0.0
    series = np.sin(2.0 * np.pi * np.arange(WINDOW) / 24.0)
    for row, step in enumerate(noise(seed)):
        walk = 0.98 * walk + 0.3 * step
        series[row] += walk
    assert season(series) == 24


def test_a_half_that_is_about_alike_is_no_season() -> None:
    half = np.random.default_rng(11).permutation(np.linspace(-2.0, 2.0, 12))
    assert season(np.resize(np.concatenate([half, half + 1.5 * noise(12, 12)]), WINDOW)) == 24


def test_a_season_known_that_is_longer_than_what_is_looked_at_is_given_up() -> None:
    assert season(np.resize(noise(13, 20), 200), known=300) == 20


def test_of_a_day_within_a_week_the_day_is_taken_unless_the_week_is_clearly_better() -> None:
    hours = np.arange(1000.0)
    day, week = np.sin(2.0 * np.pi * hours / 24.0), np.resize(noise(3, 168), 1000)
    assert season(day, week) == 24
    assert season(day, week, known=168) == 24
    assert season(day + 0.9 * noise(4), week) == 168


def test_the_season_known_is_kept_beside_one_that_is_no_better() -> None:
    """Days of 24 and of 25 hours, half of each: neither is a season of the other."""
    hours = np.arange(1000.0)
    series = np.sin(2.0 * np.pi * hours / 24.0), np.sin(2.0 * np.pi * hours / 25.0)
    assert season(*series) == 24
    assert season(*series, known=25) == 25


def test_the_season_known_is_given_up_where_it_is_none_any_more() -> None:
    """Of so few rows no correlation at all is about as much as a small one."""
    height_L = np.zeros(20)
    height_L[10] = 0.25
    assert _shortest(height_L, 64, 11) == 10
    height_L[11] = 0.24
    assert _shortest(height_L, 64, 11) == 11


def test_a_season_must_have_come_three_times() -> None:
    assert season(np.resize(noise(5, 40), 119)) == 0
    assert season(np.resize(noise(5, 40), 120)) == 40


def test_the_window_is_looked_at_at_first_often_and_then_once_as_it_has_passed() -> None:
    assert [rows for rows in range(3500) if is_due(rows)] == [64, 128, 256, 512, 1000, 2000, 3000]


def test_columns_are_compared_with_the_mean_of_the_last_season() -> None:
    features = TableFeatures()
    x_B = np.resize(noise(6, 24), 300) + 0.1 * noise(7, 300)
    features.begin(Batch([""] * 300, [{"x": float(x), "y": 1.0} for x in x_B]))
    for row in range(299):
        features.encode(row)
        features.learn(0.0, 1.0)
    assert features.columns.season == 24
    features.encode(299)
    stats_S = features.columns.stats_NS[0]
    mean = (x_B[275:299].mean() - stats_S[kernels.MEAN]) / kernels.deviation(stats_S)
    z = (x_B[299] - stats_S[kernels.MEAN]) / kernels.deviation(stats_S)
    spread = stats_S[kernels.SPREAD + kernels.NUM_CHANGES]
    assert 0.5 < spread < 1.5
    assert features.context.values_D[-2] * spread == pytest.approx(z - mean, abs=1e-6)
    assert features.context.values_D[-1] == 0.0  # of y, which never changes


def learned(rows: list[dict[str, float | str]]) -> TableFeatures:
    features = TableFeatures()
    features.begin(Batch([""] * len(rows), rows))
    for row in range(len(rows)):
        features.encode(row)
        features.learn(0.0, 1.0)
    return features


def test_the_season_of_a_column_that_ends_is_given_up_and_one_with_holes_has_none() -> None:
    """Their numbers are no longer so many rows apart as they are places."""
    assert learned([{"hour": row % 24, "x": x} for row, x in enumerate(noise(14, 1000).tolist())]).columns.season == 24
    ended = [{"x": x} | ({"hour": row % 24} if row < 1100 else {}) for row, x in enumerate(noise(14, 2000).tolist())]
    assert learned(ended).columns.season == 0
    holes = [{"x": x} | ({"hour": row % 24} if row % 10 else {}) for row, x in enumerate(noise(14, 1000).tolist())]
    assert learned(holes).columns.season == 0


def test_a_column_in_another_unit_begins_anew() -> None:
    """Its ring holds fewer numbers than three of the seasons known."""
    rows: list[dict[str, float | str]] = [{"x": float(row % 180)} for row in range(1500)]
    rows += [{"x": 1e9 * (1 + row % 160)} for row in range(2500)]
    assert learned(rows).columns.season == 160


def test_without_earlier_rows_no_season_is_looked_for() -> None:
    features = TableFeatures(earlier_rows=False)
    features.begin(Batch([""] * 300, [{"x": float(row % 24)} for row in range(300)]))
    for row in range(300):
        features.encode(row)
        features.learn(0.0, 1.0)
    assert features.columns.season == 0


def test_the_label_of_a_season_ago_is_told() -> None:
    history, context = LabelHistory(enabled=True), Dense()
    pattern = [0, 0, 1, 0, 2, 1, 1]
    for row in range(1500):
        label = pattern[row % 7]
        assert history.seasonal == (label if row >= 64 else -1), row
        history.learn(label, context)


def test_the_target_of_a_season_ago_is_told() -> None:
    history = TargetHistory(table=None)
    target_T = np.resize(noise(8, 30), 1100)
    for target in target_T:
        history.encode(0)
        history.learn(float(target), 1.0)
    history.encode(0)
    told = history.lags.values_D[-3:] * history.last.scale + history.last.value
    assert told == pytest.approx([target_T[1070], target_T[1069], target_T[1070:1100].mean()], abs=1e-6)


def test_where_targets_have_no_season_that_of_the_columns_is_told() -> None:
    table = learned([{"hour": float(row % 12)} for row in range(256)])
    history, target_T = TargetHistory(table=table), noise(15, 256)
    for target in target_T:
        history.encode(0)
        history.learn(float(target), 1.0)
    history.encode(0)
    told = history.lags.values_D[-3:] * history.last.scale + history.last.value
    assert told == pytest.approx([target_T[244], target_T[243], target_T[244:].mean()], abs=1e-6)


def test_saved_and_loaded_all_goes_on_with_the_season() -> None:
    """Over a look, and with the rings begun anew."""
    table, other = TableFeatures(), TableFeatures()
    targets, other_targets = TargetHistory(table=table), TargetHistory(table=other)
    x_B = np.resize(noise(9, 12), 1100) + 0.1 * noise(10, 1100)
    batch = Batch([""] * 1100, [{"x": float(x), "y": float(row % 12)} for row, x in enumerate(x_B)])
    table.begin(batch)
    other.begin(batch)
    for row in range(990):
        table.encode(row)
        table.learn(float(row % 5 % 2), 1.0)
        targets.encode(row)
        targets.learn(float(x_B[row]), 1.0)
    other.load_state_dict(table.state_dict())
    other_targets.load_state_dict(targets.state_dict())
    for row in range(990, 1100):
        for features, history in ((table, targets), (other, other_targets)):
            features.encode(row)
            history.encode(row)
        assert other.columns.season == table.columns.season == 12
        assert other.labels.seasonal == table.labels.seasonal == row % 5 % 2
        assert other.context.values_D.tobytes() == table.context.values_D.tobytes()
        assert other.context_tiles.hashes_T.tobytes() == table.context_tiles.hashes_T.tobytes()
        assert other_targets.lags.values_D.tobytes() == targets.lags.values_D.tobytes()
        for features, history in ((table, targets), (other, other_targets)):
            features.learn(float(row % 5 % 2), 1.0)
            history.learn(float(x_B[row]), 1.0)
