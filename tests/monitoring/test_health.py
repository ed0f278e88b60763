from __future__ import annotations

import pytest

from daemon.monitoring.health import Health


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(caught_up_records=100, stuck_after_s=30.0, clock=clock)


def test_startup_is_live_and_nothing_else_is_claimed(health: Health) -> None:
    assert health.facts() == {"live": True, "ready": False, "caught_up": False, "learning": True}
    assert health.document()["status"] == "degraded"


def test_all_is_well_when_caught_up_and_idle_for_hours(health: Health, clock: Clock) -> None:
    for _ in range(1_000):
        clock.now += 20.0
        health.turned(lag_records=0)
    assert health.document() == {
        "status": "ok",
        "live": True,
        "ready": True,
        "caught_up": True,
        "learning": True,
        "source_reachable": True,
        "lag_records": 0,
    }


def test_source_that_does_not_answer_degrades_the_sum_and_no_fact(health: Health) -> None:
    health.turned(lag_records=0)
    health.source(reachable=False)
    assert all(health.facts().values())
    assert health.document()["status"] == "degraded"
    health.source(reachable=True)
    assert health.document()["status"] == "ok"


def test_turning_without_steps_while_there_is_lag_is_live_but_not_learning(health: Health, clock: Clock) -> None:
    health.turned(lag_records=0)
    for _ in range(4):
        clock.now += 10.0
        health.turned(lag_records=500)
    assert health.facts() == {"live": True, "ready": True, "caught_up": False, "learning": False}
    health.stepped()
    assert health.facts()["learning"]


def test_stuck_loop_is_not_live(health: Health, clock: Clock) -> None:
    health.turned(lag_records=0)
    clock.now += 30.0
    assert health.facts()["live"]
    clock.now += 0.1
    assert not health.facts()["live"]


def test_long_recovery_is_live_because_its_steps_move(health: Health, clock: Clock) -> None:
    for _ in range(10):
        clock.now += 20.0
        health.stepped()
    assert health.facts() == {"live": True, "ready": False, "caught_up": False, "learning": True}


def test_paused_ledger_is_live_and_not_learning(health: Health, clock: Clock) -> None:
    health.turned(lag_records=5)
    for _ in range(100):
        clock.now += 1.0
        health.paused(True)
    assert health.facts() == {"live": True, "ready": True, "caught_up": True, "learning": False}
    health.paused(False)
    health.stepped()
    assert all(health.facts().values())


def test_stopping_is_unready_and_live(health: Health) -> None:
    health.turned(lag_records=0)
    health.stopping()
    assert health.facts() == {"live": True, "ready": False, "caught_up": True, "learning": True}
