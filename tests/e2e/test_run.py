"""`learnd run` from its start to its end: it learns while it answers, is rolled back, loses children, leaves in good order."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from kafka import TopicPartition

from tests.crash.topics import produce
from tests.e2e.learnd import any_port, child_named, children, files, kept_in, kill, learnd, started, wait_until, write_rows
from tests.kafka_broker import LEAKS_SOCKETS, Cluster

TOPICS = {"ham": "the build is green please review the patch", "spam": "cheap pills free money click here"}
NEW_TOPIC = {"news": "parliament votes on the budget today"}


def rows(topics: dict[str, str], *, count: int) -> list[dict[str, str]]:
    named = list(topics.items())
    return [{"text": f"{named[i % len(named)][1]} {i}", "label": named[i % len(named)][0]} for i in range(count)]


class Clients:
    """Clients that ask without a pause, and what they were answered by which snapshot."""

    def __init__(self, url: httpx.URL, *, count: int) -> None:
        self._url, self._stopped = url, threading.Event()
        self.versions: Counter[int] = Counter()
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._stopped.wait(0.02):
                try:
                    response = client.post("/predict", json=[{"text": TOPICS["ham"]}, {"text": TOPICS["spam"]}])
                    body = response.json()
                    labels = [prediction["label"] for prediction in body["predictions"]]
                except (httpx.HTTPError, KeyError, ValueError) as error:
                    self.failures.append(repr(error))
                    continue
                if labels != ["ham", "spam"]:
                    self.failures.append(response.text)
                self.versions[body["snapshot"]["version"]] += 1

    @contextmanager
    def asking(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in self._threads:
                thread.join(30)


def settings(folder: Path, file: Path, *, follow: bool = True) -> list[str]:
    # Whatever is new is published at once and kept, so that swaps come thick and fast.
    return [
        *files(file, follow=follow), *kept_in(folder / "data"),
        "model.encoder=none", "gate.enabled=false", "storage.snapshot_interval_s=0.01", "storage.snapshots_kept=1000",
    ]  # fmt: skip


def answer(client: httpx.Client, text: str) -> dict[str, Any]:
    body: dict[str, Any] = client.post("/predict", json={"text": text}).json()
    return body


def version(client: httpx.Client) -> int:
    return int(answer(client, "a")["snapshot"]["version"])


def snapshots(folder: Path, *action: str) -> str:
    done = learnd("snapshots", *action, settings=[f"storage.folder='{folder / 'data'}'"])
    assert done.returncode == 0, done.stderr
    return done.stdout


def newest_rows(folder: Path) -> int:
    """How many rows the newest snapshot has learned."""
    newest = (folder / "data" / "snapshots" / "LATEST").read_text(encoding="utf-8").strip()
    manifest = json.loads((folder / "data" / "snapshots" / newest / "snapshot.json").read_text(encoding="utf-8"))
    return int(manifest["rows"])


def leave(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM ends it in good order: status 0, no child left behind."""
    started_by_it = children(process.pid)
    process.terminate()
    assert process.wait(60) == 0
    assert [child for child in started_by_it if Path(f"/proc/{child}").exists()] == []


def test_snapshots_are_swapped_under_load_labels_grow_and_roll_backs_are_followed(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", rows(TOPICS, count=128))
    with started("run", log=tmp_path / "log", port=any_port(), settings=settings(tmp_path, file)) as (process, client):
        wait_until(lambda: answer(client, TOPICS["ham"])["predictions"][0]["label"] == "ham", what="the first topic")
        clients = Clients(client.base_url, count=4)
        with clients.asking():
            assert answer(client, "a")["predictions"][0]["scores"].keys() == TOPICS.keys()
            before = version(client)
            for _ in range(3):
                newest = version(client)
                write_rows(file, rows(TOPICS | NEW_TOPIC, count=66), append=True)
                wait_until(lambda newest=newest: version(client) > newest, what="a newer snapshot")
            wait_until(lambda: answer(client, NEW_TOPIC["news"])["predictions"][0]["label"] == "news", what="the new label")
            assert answer(client, "a")["predictions"][0]["scores"].keys() == (TOPICS | NEW_TOPIC).keys()

            assert f"answers come from snapshot {before}" in snapshots(tmp_path, "rollback", str(before))
            wait_until(lambda: version(client) == before, what="the roll-back")
            assert answer(client, "a")["predictions"][0]["scores"].keys() == TOPICS.keys()
            snapshots(tmp_path, "pin", str(before))
            assert "served pinned" in snapshots(tmp_path, "list")
            snapshots(tmp_path, "release")
            wait_until(lambda: version(client) > before, what="the release")
            snapshots(tmp_path, "unpin", str(before))
            assert "pinned" not in snapshots(tmp_path, "list")
        assert clients.failures == []
        assert len(clients.versions) >= 3
        leave(process)


def test_killed_children_come_back_and_a_stop_ends_in_a_checkpoint(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", rows(TOPICS, count=128))
    log = tmp_path / "log"
    with started("run", log=log, port=any_port(), settings=settings(tmp_path, file)) as (process, client):
        before = version(client)
        trainer, server = child_named("train", process.pid), child_named("serve", process.pid)
        assert trainer is not None
        assert server is not None
        kill(trainer)
        # Answers go on while nobody learns.
        assert version(client) >= before
        write_rows(file, rows(TOPICS, count=64), append=True)
        wait_until(lambda: newest_rows(tmp_path) == 192, what="a snapshot by the trainer that was started again")
        wait_until(lambda: version(client) > before, what="an answer from it")
        kill(server)
        wait_until(lambda: _answers(client), what="the server that was started again")
        text = log.read_text(encoding="utf-8")
        for name in ("train", "serve"):
            assert f"{name} left with status -9; it is started again in 1 s" in text
        leave(process)
    # All that was learned stands in a checkpoint: no step is left to redo, at most the note of a snapshot.
    done = learnd("train", "--until-end", settings=settings(tmp_path, file, follow=False))
    assert done.returncode == 0, done.stderr
    assert "resuming at row 192;" in done.stderr


def test_a_port_that_is_taken_ends_it_with_the_reason(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", rows(TOPICS, count=64))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = learnd("run", settings=[*settings(tmp_path, file), f"serving.port={port}"])
    assert done.returncode == 2
    assert f"learnd: 127.0.0.1:{port} is taken by another process; stop it, or choose another serving.port" in done.stderr
    assert "serve cannot go on, and to start it again would not mend it" in done.stderr.splitlines()[-1]
    assert "is started again" not in done.stderr


@pytest.mark.kafka
@LEAKS_SOCKETS
def test_a_gap_that_may_not_be_skipped_ends_it_with_the_reason(kafka: Cluster, tmp_path: Path) -> None:
    topic = kafka.new_topic(1)
    chosen = [
        "source.kind=kafka", f"source.topic={topic}", f"source.bootstrap_servers='{kafka.bootstrap_servers}'",
        *kept_in(tmp_path / "data"), "model.encoder=none",
    ]  # fmt: skip
    lines = [json.dumps(row) for row in rows(TOPICS, count=40)]
    produce(kafka, topic, lines[:20], partitions=1)
    assert learnd("train", "--until-end", settings=chosen).returncode == 0
    produce(kafka, topic, lines[20:], partitions=1)
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topic, 0): 30})
    done = learnd("run", settings=[*chosen, f"serving.port={any_port()}"])
    assert done.returncode == 2
    assert f"learnd: {topic}[0]: position 20 is gone, the first record still there is 30" in done.stderr
    assert "train cannot go on" in done.stderr.splitlines()[-1]
    assert "is started again" not in done.stderr


def _answers(client: httpx.Client) -> bool:
    try:
        return client.post("/predict", json={"text": "a"}).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_children_that_do_not_listen(tmp_path: Path, number: signal.Signals) -> None:
    file = write_rows(tmp_path / "rows.jsonl", rows(TOPICS, count=64))
    with started("run", log=tmp_path / "log", port=any_port(), settings=settings(tmp_path, file)) as (process, client):
        assert version(client) >= 1
        trainer = child_named("train", process.pid)
        assert trainer is not None
        kill(trainer, signal.SIGSTOP)
        kill(process.pid, number)
        wait_until(lambda: child_named("serve", process.pid) is None, what="the end of the server")
        assert process.poll() is None
        kill(process.pid, number)
        assert process.wait(60) == 0
        assert not Path(f"/proc/{trainer}").exists()
