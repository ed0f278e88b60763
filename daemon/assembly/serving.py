"""The server, and how it builds what answers from a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from prometheus_client import CollectorRegistry

from daemon.assembly import models
from daemon.config import load, secret
from daemon.learning.batch import Batch
from daemon.learning.device import choose_device, make_deterministic
from daemon.learning.models.base import Model
from daemon.learning.tasks.base import Task
from daemon.serving.answerer import Answer, Input
from daemon.serving.security import read_token
from daemon.serving.server import Server
from daemon.serving.service import Limits
from daemon.serving.telemetry import Telemetry
from daemon.settings import Settings
from daemon.state import loading
from daemon.storage.canonical import sha256_of
from daemon.storage.snapshot import Snapshot
from daemon.storage.snapshots import Snapshots


def snapshots(settings: Settings) -> Snapshots:
    """The snapshot folder, to read it and to pin and hold versions; publishing is the trainer's."""
    return Snapshots(settings.storage.folder / "snapshots", keep=settings.storage.snapshots_kept)


def server(settings: Settings) -> Server:
    """Listens from now on; answers once it runs."""
    # The loop has the other cores: an answer is a few rows.
    make_deterministic(threads=1)
    chosen = settings.serving
    return Server(
        host=chosen.host,
        port=chosen.port,
        token=read_token(file=chosen.token_file, given=secret(chosen.token, "")),
        model_name=settings.training.name,
        snapshots=snapshots(settings),
        load=lambda snapshot: ModelAnswerer(snapshot, device=settings.training.device),
        telemetry=Telemetry(registry=CollectorRegistry()),
        limits=Limits(body_bytes=chosen.max_body_bytes, instances=chosen.max_batch, deadline_s=chosen.deadline_s),
        queue_rows=chosen.max_queue,
        batch_rows=chosen.max_batch,
    )


class ModelAnswerer:
    """Answers with the weights of one snapshot, in a model built from the snapshot's own blueprint."""

    def __init__(self, snapshot: Snapshot, *, device: str) -> None:
        settings, labels = _settings(snapshot)
        self._task: Task = models.task(settings)
        self._task.load_state_dict({"labels": labels})
        self.task: Literal["classification", "regression"] = settings.task.kind
        self.labels: Sequence[str] = self._task.labels
        inputs = settings.model.inputs
        self.reads: Sequence[Literal["text", "features"]] = ("text", "features") if inputs == "both" else (inputs,)
        self._model: Model = models.model(settings, encoder=_encoder(snapshot), device=choose_device(device))
        weights = snapshot.read_weights()
        with loading(f"snapshot {snapshot.path.name}"):
            self._model.load_weights(weights)

    def answer(self, inputs: Sequence[Input]) -> Sequence[Answer]:
        batch = Batch([row.text for row in inputs], [row.features for row in inputs])
        answers = self._task.decode(self._model.predict(batch))
        if self._model.answers_balanced:
            for answer, balanced in zip(answers, self._task.decode(self._model.predict_balanced(batch)), strict=True):
                answer["scores_balanced"] = balanced["scores"]
        return answers  # type: ignore[return-value] # plain dictionaries of that form


def _settings(snapshot: Snapshot) -> tuple[Settings, list[str]]:
    """The settings that the snapshot was learned with, and its labels."""
    blueprint = dict(snapshot.manifest["blueprint"])
    labels = blueprint.pop("labels")
    source = {"kind": "files", "paths": []}
    return load(None, environ={}, defaults={"source": source, **blueprint}), labels


def _encoder(snapshot: Snapshot) -> models.Encoder:
    """The snapshot's own copy: a folder that transformers loads is its own encoder."""
    for folder in (snapshot.path / "encoder", snapshot.path):
        if (folder / "config.json").exists():
            files = snapshot.manifest["files"]
            prefix = f"{folder.relative_to(snapshot.path)}/".removeprefix("./")
            return models.Encoder(
                name=str(folder), folder=folder, sha256=sha256_of({n: files[n] for n in files if n.startswith(prefix)})
            )
    return models.NO_ENCODER
