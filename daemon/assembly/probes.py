"""What `learnd check --live` reaches for: each returns what it found, or raises with the remedy."""

from __future__ import annotations

import torch

from daemon.assembly import models, sources
from daemon.learning.device import choose_device
from daemon.settings import Settings
from daemon.storage.folder import Writer


def source(settings: Settings) -> str:
    opened = sources.source(settings)
    try:
        opened.open({})
        ends = opened.ends()
    finally:
        opened.close()
    return f"{opened.topic}: {len(ends)} partition(s), {sum(ends.values())} records up to their ends"


def encoder(settings: Settings) -> str:
    found = models.encoder(settings, may_lack=False)
    return "none is needed" if found.name is None else f"{found.name} in {found.folder}"


def device(settings: Settings) -> str:
    chosen = choose_device(settings.training.device)
    return torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else str(chosen)


def storage(settings: Settings) -> str:
    Writer(settings.storage.folder).close()
    return f"{settings.storage.folder} can be written and nobody else writes it"
