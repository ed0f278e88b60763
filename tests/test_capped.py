"""The cap on sources in the loop: what is learned, counted, refused and kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.assembly.training import Training, training
from daemon.commands.check import unsound
from daemon.config import load
from daemon.plan import Plan
from daemon.settings import Settings
from streams.record import Record, Run
from tests.e2e.learnd import write_rows

NOON_S = 1_700_000_040.0  # a full minute


def settings(folder: Path, *more: str) -> Settings:
    return load(
        None,
        environ={},
        overrides=[
            "source.kind=files", f"source.paths=['{folder / 'rows.jsonl'}']", "model.kind=linear", "model.inputs=features",
            "decoding.slices={shop = 'shop'}", "cap.slice=shop", "cap.weight_per_minute=2.5",
            f"storage.folder='{folder / 'data'}'", "telemetry.port=0", "training.threads=1", *more,
        ],
    )  # fmt: skip


@pytest.fixture
def trained(tmp_path: Path, torch_switches: None) -> Iterator[Training]:
    write_rows(tmp_path / "rows.jsonl", [])
    with training(settings(tmp_path), until_end=True) as made:
        yield made


def record(n: int, *, at_s: float = NOON_S, **fields: Any) -> Record:
    value = {"features": {"x": float(n)}, "label": "ab"[n % 2], **fields}
    return Record("t", 0, n, json.dumps(value).encode(), timestamp_s=at_s)


def learn(made: Training, *records: Record) -> None:
    plan = Plan(made.pipeline.step + 1, made.pipeline.rows, (Run(0, records[0].offset, records[-1].offset + 1),))
    made.pipeline.learn(plan, records)


def counted(made: Training, name: str, **labels: str) -> float | None:
    return made.pipeline._telemetry.registry.get_sample_value(name, labels)


def test_what_the_cap_holds_back_is_counted_and_not_as_learned(trained: Training) -> None:
    assert counted(trained, "learnd_capped_examples_total") == 0.0
    rows = [record(n, shop="bad", time=NOON_S + 60 * n) for n in range(6)]
    learn(trained, *rows, record(6, shop="good"), record(7), record(8, weight=0))
    assert counted(trained, "learnd_capped_examples_total") == 4.0  # one of them by half
    assert counted(trained, "learnd_records_total", outcome="learned") == 5.0
    assert counted(trained, "learnd_records_total", outcome="scored") == 4.0
    assert trained.pipeline.rows == 9


def test_a_row_of_a_source_without_a_time_is_a_dead_letter_and_stops_nobody(trained: Training) -> None:
    learn(trained, record(0, at_s=0.0, shop="x"), record(1, at_s=0.0), record(2, shop="x"))
    assert trained.pipeline.rows == 2
    assert counted(trained, "learnd_dead_letters_total", stage="schema") == 1.0


def test_what_a_source_has_used_is_kept_and_hashed(trained: Training) -> None:
    learn(trained, *(record(n, shop="x") for n in range(2)))
    before, state = trained.pipeline.state_sha256(), trained.pipeline.state_dict()
    learn(trained, record(2, shop="x"))
    after = trained.pipeline.state_sha256()
    trained.pipeline.load_state_dict(state)
    assert trained.pipeline.state_sha256() == before
    learn(trained, record(2, shop="x"))
    assert trained.pipeline.state_sha256() == after
    state["progress"]["cap"]["sources"][0][2] = 0.0
    trained.pipeline.load_state_dict(state)
    assert trained.pipeline.state_sha256() != before


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_file_without_times_is_refused_before_the_start(tmp_path: Path, warm_start: bool) -> None:
    rows = [{"features": {"x": n}, "label": "ab"[n % 2], "shop": "x"} for n in range(5)]
    timed = [{**row, "time": 0} for row in rows]
    write_rows(tmp_path / "rows.jsonl", timed if warm_start else rows)
    write_rows(tmp_path / "history.jsonl", rows)
    flags = [f"training.warm_start='{tmp_path / 'history.jsonl'}'"] if warm_start else []
    (mistake,) = unsound(settings(tmp_path, *flags))
    file = tmp_path / ("history.jsonl" if warm_start else "rows.jsonl")
    assert mistake.startswith(f'cap.slice: none of the first rows of {file} with a "shop" has a time ("time")')
    assert unsound(settings(tmp_path, *flags, "cap.slice=''")) == []


@pytest.mark.parametrize("row", [{"shop": "x", "time": 0}, {"time": None}, {"shop": None}])
def test_a_file_with_times_or_without_sources_is_sound(tmp_path: Path, row: dict[str, Any]) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"features": {"x": 1}, "label": "a", **row}])
    assert unsound(settings(tmp_path)) == []
