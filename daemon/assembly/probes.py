"""What `learnd check --live` reaches for: each returns what it found, or raises with the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from daemon.assembly import models, sources
from daemon.learning.device import choose_device
from daemon.settings import KafkaSettings, Settings
from daemon.storage.checkpoints import Checkpoints
from daemon.storage.folder import Writer
from streams.errors import GapError
from streams.history import HISTORY
from streams.kafka_client import KafkaCluster


def source(settings: Settings) -> str:
    """What is there, and what of it is still to be read. Raises `GapError` where a trainer would stop at one."""
    chosen, history = settings.source, settings.training.warm_start
    if history and not Path(history).exists():
        # Whether it is still to be learned, the trainer knows: see `unsound` for a folder in which nothing was learned yet.
        settings = settings.model_copy(update={"training": settings.training.model_copy(update={"warm_start": ""})})
    # Opened at its beginning, which is the only way to learn where that is.
    opened = sources.source(settings.model_copy(update={"source": chosen.model_copy(update={"start": "earliest"})}))
    try:
        opened.open({})
        starts = opened.positions()
        ends = opened.ends()
    finally:
        opened.close()
    there = sum(ends[partition] - start for partition, start in starts.items())
    found = f"{opened.topic}: {len(ends.keys() - {HISTORY})} partition(s), {_whose_times(settings)}{there} records there"
    checkpoint = Checkpoints(settings.storage.folder / "checkpoints").load_newest()
    if checkpoint is not None:
        read_to = {int(partition): offset for partition, offset in checkpoint.state["progress"]["positions"].items()}
        if isinstance(chosen, KafkaSettings) and chosen.on_gap == "stop":
            _refuse_gaps(opened.topic, starts, read_to)
        left = sum(max(0, ends[partition] - max(start, read_to.get(partition, start))) for partition, start in starts.items())
        return f"{found}, {left} of them still to read after checkpoint {checkpoint.name}"
    if chosen.start == "latest":
        return f'{found}, none of them to read (source.start = "latest")'
    return f"{found}, all of them to read"


def _whose_times(settings: Settings) -> str:
    """What the cap on sources has to go by, where there is one."""
    chosen = settings.source
    if not settings.cap.slice or not isinstance(chosen, KafkaSettings):
        return ""
    cluster = KafkaCluster(bootstrap_servers=chosen.bootstrap_servers, security=sources.kafka_security(chosen))
    found = cluster.timestamp_type(chosen.topic)
    if found == "LogAppendTime":
        return ""
    told = f"message.timestamp.type={found or 'unknown'}"
    return f"{told} (only LogAppendTime keeps a producer from dating itself out of cap.slice), "


def _refuse_gaps(topic: str, starts: Mapping[int, int], read_to: Mapping[int, int]) -> None:
    for partition, position in sorted(read_to.items()):
        if position < (first := starts.get(partition, 0)):
            raise GapError(topic, partition, position=position, first=first)


def encoder(settings: Settings) -> str:
    found = models.encoder(settings, may_lack=False)
    return "none is needed" if found.name is None else f"{found.name} in {found.folder}"


def device(settings: Settings) -> str:
    chosen = choose_device(settings.training.device)
    return torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else str(chosen)


def storage(settings: Settings) -> str:
    Writer(settings.storage.folder).close()
    return f"{settings.storage.folder} can be written and nobody else writes it"


def dead_letters(settings: Settings) -> str:
    """Where they go. Raises `DeadLetterError` for a topic that is not there."""
    chosen = settings.dead_letters
    if chosen.kind == "file":
        return f"a file in {settings.storage.folder}"
    sources.dead_letters(settings).close()
    return f"topic {chosen.topic} is there"
