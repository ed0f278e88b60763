"""A small real model in a small real snapshot folder, and a real server over it."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import numpy as np
from prometheus_client import CollectorRegistry

from daemon.serving.answerer import Answer, Input
from daemon.serving.server import Server
from daemon.serving.service import Limits
from daemon.serving.telemetry import Telemetry
from daemon.storage.snapshot import Snapshot
from daemon.storage.snapshots import Snapshots

LABELS = ("ham", "spam")


def wait_until(condition: Callable[[], object], *, limit_s: float = 10.0) -> None:
    """Return once `condition()` is true; fail the test after `limit_s`."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        threading.Event().wait(0.005)


class ToySnapshots(Snapshots):
    """A snapshot folder with two verbs for tests."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, keep=100)
        self.folder = folder

    def add(
        self,
        version: int,
        *,
        weights: Sequence[float] | None = None,
        arrivals: Sequence[float] = (),
        torn: bool = False,
    ) -> None:
        """Publish the next version, which has to be `version`; a torn one is torn before it can be seen."""
        if torn:
            self.hold(version - 1)
        info = self.publish(
            weights={"bias": np.array([version] if weights is None else weights, dtype=np.float64)},
            companions={},
            manifest={"published_s": 1000.0 + version, "arrivals": list(arrivals)},
        )
        assert info.version == version
        if torn:
            self.tear(version)
            self.release()

    def weights_of(self, version: int) -> Path:
        return self.folder / str(version) / "weights.safetensors"

    def tear(self, version: int) -> None:
        whole = self.weights_of(version).read_bytes()
        self.weights_of(version).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))


def bias_of(snapshot: Snapshot) -> np.ndarray:
    return np.asarray(snapshot.read_weights()["bias"])


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
    models: list[weakref.ref[ToyClassifier]] = field(default_factory=list)
    kind: type[ToyClassifier] = ToyClassifier
    token: str = ""
    server: Server | None = None

    def load(self, snapshot: Snapshot) -> ToyClassifier:
        model = self.kind(bias_of(snapshot), gate=self.gate, batches=self.batches)
        self.models.append(weakref.ref(model))
        return model

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    def client(self, *, token: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {token or self.token}"} if token or self.token else {}
        # Idle connections stay: where httpx closes them, one of its threads may close what another has just been given.
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=60)
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, limits=limits)

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
        toy.snapshots.add(version)
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
