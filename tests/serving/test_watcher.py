from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from daemon.errors import SnapshotError
from daemon.serving.answerer import Answer, Input
from daemon.serving.errors import NotReadyError, OverloadedError, UnknownError
from daemon.serving.store import Store
from daemon.serving.telemetry import Telemetry
from daemon.serving.watcher import Watcher
from daemon.storage.snapshot import Snapshot
from tests.serving.toy import ToyClassifier, ToySnapshots, bias_of


class Bench:
    """A watcher that looks when told to, at a clock that moves when told to."""

    def __init__(self, folder: Path, *, num_older: int = 2) -> None:
        self.snapshots = ToySnapshots(folder)
        self.registry = CollectorRegistry()
        self.now_s = 0.0
        self.loads: list[int] = []
        self.models: list[weakref.ref[ToyClassifier]] = []
        self.gate = threading.Event()
        self.gate.set()
        telemetry = Telemetry(registry=self.registry)
        self.store = Store(snapshots=self.snapshots, load=self.load, telemetry=telemetry, num_older=num_older)
        self.watcher = Watcher(
            snapshots=self.snapshots,
            store=self.store,
            telemetry=telemetry,
            poll_interval_s=1.0,
            retry_s=30.0,
            clock=lambda: self.now_s,
            now=lambda: self.now_s,
        )

    def load(self, snapshot: Snapshot) -> ToyClassifier:
        self.loads.append(snapshot.version)
        assert self.gate.wait(10)
        model = ToyClassifier(bias_of(snapshot), gate=self.gate, batches=[])
        self.models.append(weakref.ref(model))
        return model

    @property
    def version(self) -> int | None:
        return self.store.current.version if self.store.current else None

    def sample(self, name: str, **labels: Any) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_it_follows_the_pointer_up_and_down(bench: Bench) -> None:
    bench.watcher.poll()
    assert bench.version is None
    for version in (1, 2):
        bench.snapshots.add(version)
        bench.watcher.poll()
        assert bench.version == version
    bench.snapshots.hold(1)
    bench.watcher.poll()
    assert bench.version == 1
    assert bench.sample("learnd_served_snapshot_version") == 1
    assert bench.sample("learnd_served_snapshot_timestamp_seconds") == 1001
    assert bench.sample("learnd_snapshot_swaps_total") == 3
    assert bench.sample("learnd_snapshot_load_seconds_count") == 3


def test_a_pointer_that_stands_still_loads_nothing(bench: Bench) -> None:
    bench.snapshots.add(1)
    for _ in range(3):
        bench.watcher.poll()
    assert bench.loads == [1]


def test_the_old_model_goes_and_memory_does_not_grow(bench: Bench) -> None:
    for version in range(1, 21):
        bench.snapshots.add(version)
        bench.watcher.poll()
    gc.collect()
    assert len(bench.models) == 20
    assert [model() is not None for model in bench.models] == [False] * 19 + [True]


def test_a_torn_snapshot_is_passed_over_with_one_warning(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.snapshots.add(1)
    bench.watcher.poll()
    bench.snapshots.add(2)
    bench.snapshots.tear(2)
    for _ in range(3):
        bench.watcher.poll()
    assert bench.version == 1
    assert bench.sample("learnd_snapshot_load_failures_total") == 1
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "snapshot 2 cannot be loaded and is passed over: SnapshotError" in warnings[0]
    bench.snapshots.add(3)
    bench.watcher.poll()
    assert bench.version == 3


def test_a_snapshot_that_would_not_load_is_tried_again_after_a_while(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.snapshots.add(1)
    bench.watcher.poll()
    bench.snapshots.add(2)
    whole = bench.snapshots.weights_of(2).read_bytes()
    bench.snapshots.tear(2)
    for bench.now_s in (0.0, 29.9, 30.0, 59.9):
        bench.watcher.poll()
    assert bench.sample("learnd_snapshot_load_failures_total") == 2
    assert sum(record.levelno == logging.WARNING for record in caplog.records) == 1
    bench.snapshots.weights_of(2).write_bytes(whole)
    bench.now_s = 60.0
    bench.watcher.poll()
    assert bench.version == 2


def test_a_server_that_finds_only_a_torn_snapshot_answers_from_the_newest_that_loads(bench: Bench) -> None:
    for version in (1, 2, 3):
        bench.snapshots.add(version)
    bench.snapshots.tear(3)
    bench.watcher.poll()
    assert bench.version == 2
    bench.watcher.poll()
    assert bench.loads == [2]


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_a_snapshot_that_answers_nonsense_never_goes_live(bench: Bench, weight: float) -> None:
    bench.snapshots.add(1)
    bench.watcher.poll()
    bench.snapshots.add(2, weights=[weight - weight])
    bench.watcher.poll()
    assert bench.version == 1
    assert bench.sample("learnd_snapshot_load_failures_total") == 1


def test_a_pointer_that_cannot_be_read_leaves_what_is_served(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.snapshots.add(1)
    bench.watcher.poll()
    (bench.snapshots.folder / "LATEST").write_text("nonsense")
    for _ in range(2):
        bench.watcher.poll()
    assert bench.version == 1
    assert caplog.text.count("the snapshot folder cannot be read") == 1
    (bench.snapshots.folder / "LATEST").write_text("1")
    bench.snapshots.add(2)
    bench.watcher.poll()
    assert bench.version == 2


def test_freshness_is_the_age_of_what_no_earlier_answer_knew(bench: Bench) -> None:
    bench.watcher.poll()
    bench.snapshots.add(1, arrivals=[9.0, 9.5, 6.0])
    bench.now_s = 10.0
    bench.watcher.poll()
    assert bench.sample("learnd_freshness_seconds_count") == 3
    assert bench.sample("learnd_freshness_seconds_sum") == 1.0 + 0.5 + 4.0
    assert bench.sample("learnd_freshness_seconds_bucket", le="1.0") == 2
    assert bench.sample("learnd_freshness_median_seconds") == 1.0


def test_freshness_counts_what_was_published_and_replaced_between_two_looks(bench: Bench) -> None:
    bench.watcher.poll()
    for version in (1, 2, 3):
        bench.snapshots.add(version, arrivals=[float(version)])
    bench.snapshots.tear(2)
    bench.now_s = 10.0
    bench.watcher.poll()
    assert bench.loads == [3]
    assert bench.sample("learnd_freshness_seconds_sum") == 9.0 + 7.0


def test_neither_a_restart_nor_a_rollback_is_fresh(bench: Bench) -> None:
    bench.snapshots.add(1, arrivals=[1.0])
    bench.now_s = 100.0
    bench.watcher.poll()
    assert bench.sample("learnd_freshness_seconds_count") == 0
    bench.snapshots.add(2, arrivals=[98.0])
    bench.watcher.poll()
    bench.snapshots.hold(1)
    bench.watcher.poll()
    bench.snapshots.release()
    bench.watcher.poll()
    assert bench.version == 2
    assert bench.sample("learnd_freshness_seconds_count") == 1
    assert bench.sample("learnd_freshness_seconds_sum") == 2.0


def test_older_versions_are_loaded_once_and_the_least_recently_asked_for_goes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, num_older=2)
    for version in range(1, 5):
        bench.snapshots.add(version)
    bench.watcher.poll()

    async def ask() -> list[int]:
        return [(await bench.store.get(version)).version for version in (4, 1, 2, 1, 3, 1, 2)]

    assert asyncio.run(ask()) == [4, 1, 2, 1, 3, 1, 2]
    assert bench.loads == [4, 1, 2, 3, 2]
    gc.collect()
    assert sum(model() is not None for model in bench.models) == 3


def test_those_who_ask_for_one_version_share_one_load_and_too_many_others_are_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, num_older=1)
    for version in (1, 2, 3):
        bench.snapshots.add(version)
    bench.watcher.poll()
    bench.gate.clear()

    async def ask() -> list[Any]:
        same = [asyncio.create_task(bench.store.get(1)) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="1 other versions are being loaded"):
            await bench.store.get(2)
        same[0].cancel()
        bench.gate.set()
        return await asyncio.gather(*same, return_exceptions=True)

    first, *others = asyncio.run(ask())
    assert isinstance(first, asyncio.CancelledError)
    assert [served.version for served in others] == [1] * 4
    assert bench.loads == [3, 1]


def test_versions_that_are_missing_or_torn_are_unknown_and_can_be_asked_for_again(bench: Bench) -> None:
    for version in (1, 2):
        bench.snapshots.add(version)
    bench.watcher.poll()
    whole = bench.snapshots.weights_of(1).read_bytes()
    bench.snapshots.tear(1)

    async def ask() -> int:
        with pytest.raises(UnknownError, match="there is no version 7; there are 1, 2"):
            await bench.store.get(7)
        with pytest.raises(UnknownError, match="version 1 is damaged") as raised:
            await bench.store.get(1)
        assert isinstance(raised.value.__cause__, SnapshotError)
        bench.snapshots.weights_of(1).write_bytes(whole)
        return (await bench.store.get(1)).version

    assert asyncio.run(ask()) == 1


def test_before_the_first_snapshot_nothing_is_ready(bench: Bench) -> None:
    with pytest.raises(NotReadyError, match="no snapshot is loaded yet"):
        bench.store.latest()


class Numeric(ToyClassifier):
    reads = ("features",)

    def answer(self, inputs: Sequence[Input]) -> list[Answer]:
        assert not any(row.text for row in inputs)
        return super().answer(inputs)


def test_the_warm_up_gives_the_model_only_what_it_reads(tmp_path: Path) -> None:
    snapshots = ToySnapshots(tmp_path)
    snapshots.add(1)
    batches: list[int] = []

    def load(snapshot: Snapshot) -> ToyClassifier:
        return Numeric(np.zeros(1), gate=threading.Event(), batches=batches)

    store = Store(snapshots=snapshots, load=load, telemetry=Telemetry(registry=CollectorRegistry()), num_older=1)
    assert store.load(1).version == 1
    assert batches == [1, 2]
