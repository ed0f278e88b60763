"""A small real model in a small real snapshot folder, and a real server over it."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import numpy as np
from prometheus_client import CollectorRegistry

from daemon.errors import SnapshotError
from daemon.serving.answerer import Answer, Input, Snapshot
from daemon.serving.server import Server
from daemon.serving.service import Limits
from daemon.serving.telemetry import Telemetry

LABELS = ("ham", "spam")


def wait_until(condition: Callable[[], object], *, limit_s: float = 10.0) -> None:
    """Return once `condition()` is true; fail the test after `limit_s`."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        threading.Event().wait(0.005)


@dataclass(frozen=True)
class ToySnapshot:
    version: int
    digest: str
    manifest: Mapping[str, Any]
    path: Path


class ToySnapshots:
    """Versions as folders, each with one array and a manifest that has its SHA-256."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def current(self) -> int | None:
        pointer = self.folder / "current"
        return int(pointer.read_text()) if pointer.exists() else None

    def versions(self) -> list[int]:
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdigit())

    def open(self, version: int) -> ToySnapshot:
        path = self.folder / str(version)
        manifest = json.loads((path / "snapshot.json").read_text())
        digest = hashlib.sha256((path / "weights.npy").read_bytes()).hexdigest()
        if digest != manifest["digest"]:
            raise SnapshotError(f"{path}: torn; delete it")
        return ToySnapshot(version, digest, manifest, path)

    def publish(
        self,
        version: int,
        *,
        weights: Sequence[float] | None = None,
        arrivals: Sequence[float] = (),
        torn: bool = False,
    ) -> None:
        path = self.folder / str(version)
        path.mkdir()
        np.save(path / "weights.npy", np.array([version] if weights is None else weights, dtype=np.float64))
        digest = hashlib.sha256((path / "weights.npy").read_bytes()).hexdigest()
        manifest = {"version": version, "digest": digest, "published_s": 1000.0 + version, "arrivals": list(arrivals)}
        (path / "snapshot.json").write_text(json.dumps(manifest))
        if torn:
            self.tear(version)
        self.point(version)

    def tear(self, version: int) -> None:
        file = self.folder / str(version) / "weights.npy"
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))

    def point(self, version: int) -> None:
        temporary = self.folder / "current.tmp"
        temporary.write_text(str(version))
        temporary.rename(self.folder / "current")


class ToyClassifier:
    """P(spam) is the logistic of the bias (the snapshot's first weight) plus the text's length plus the sum of the features.

    Texts starting with "hold" wait for `gate`, and "fail" raises: what a slow and a broken model look like.
    """

    task: Literal["classification", "regression"] = "classification"
    labels = LABELS
    reads: Sequence[Literal["text", "features"]] = ("text", "features")

    def __init__(self, weights: np.ndarray, *, gate: threading.Event, batches: list[int]) -> None:
        self.weights, self._gate, self._batches = weights, gate, batches

    def logit(self, row: Input) -> float:
        return float(self.weights[0]) + len(row.text) + sum(v for v in row.features.values() if isinstance(v, float))

    def answer(self, inputs: Sequence[Input]) -> list[Answer]:
        self._batches.append(len(inputs))
        if any(row.text.startswith("hold") for row in inputs):
            assert self._gate.wait(30)
        if any(row.text == "fail" for row in inputs):
            raise RuntimeError(f"secret path {self.weights}")
        answers: list[Answer] = []
        for row in inputs:
            spam = float(1 / (1 + np.exp(-self.logit(row))))
            answers.append({"label": LABELS[int(spam > 0.5)], "scores": {"ham": 1 - spam, "spam": spam}})
        return answers


class ToyRegressor(ToyClassifier):
    task: Literal["classification", "regression"] = "regression"
    labels = ()

    def answer(self, inputs: Sequence[Input]) -> list[Answer]:
        return [{"value": self.logit(row)} for row in inputs]


@dataclass
class Toy:
    """A running server, the folder it follows, and the strings to pull."""

    snapshots: ToySnapshots
    registry: CollectorRegistry
    gate: threading.Event
    batches: list[int] = field(default_factory=list)
    loaded: list[int] = field(default_factory=list)
    kind: type[ToyClassifier] = ToyClassifier
    token: str = ""
    server: Server | None = None

    def load(self, snapshot: Snapshot) -> ToyClassifier:
        self.loaded.append(snapshot.version)
        return self.kind(np.load(snapshot.path / "weights.npy"), gate=self.gate, batches=self.batches)

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    def client(self, *, token: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {token or self.token}"} if token or self.token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def wait_for_version(self, version: int) -> None:
        wait_until(lambda: self.sample("learnd_served_snapshot_version") == version)


@contextmanager
def running(
    folder: Path,
    *,
    versions: Sequence[int] = (1,),
    kind: type[ToyClassifier] = ToyClassifier,
    limits: Limits | None = None,
    token: str = "",
    queue_rows: int = 2048,
    batch_rows: int = 64,
    **options: Any,
) -> Iterator[Toy]:
    """A server on a free loopback port that follows `folder`, in a thread of this process."""
    toy = Toy(snapshots=ToySnapshots(folder), registry=CollectorRegistry(), gate=threading.Event(), kind=kind, token=token)
    for version in versions:
        toy.snapshots.publish(version)
    server = Server(
        host="127.0.0.1",
        port=0,
        token=token,
        model_name="toy",
        snapshots=toy.snapshots,
        load=toy.load,
        telemetry=Telemetry(registry=toy.registry),
        limits=limits or Limits(),
        queue_rows=queue_rows,
        batch_rows=batch_rows,
        poll_interval_s=0.005,
        **options,
    )
    toy.server = server
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        if versions:
            toy.wait_for_version(versions[-1])
        yield toy
    finally:
        toy.gate.set()
        server.stop()
        thread.join(30)
        assert not thread.is_alive()
