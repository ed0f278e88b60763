"""Transformers for tests: small steps, no replay, and what else a test says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch

from daemon.learning.models.finetuned import Finetuned
from daemon.learning.models.frozen import Frozen
from daemon.learning.models.network import Network
from daemon.learning.models.slow_part import SlowPart
from daemon.learning.models.transformer import Transformer
from daemon.learning.optimizers import AdamW
from daemon.learning.replay.none import NoReplay
from daemon.learning.schedules import Schedule


def transformer(
    encoder: str | Path,
    training: Literal["full", "frozen"] = "full",
    *,
    classifies: bool = True,
    device: str = "cpu",
    max_tokens: int = 16,
    seed: int = 0,
    **slow: Any,
) -> Transformer:
    """`slow` goes to its `SlowPart`."""
    where: dict[str, Any] = {"encoder": str(encoder), "device": torch.device(device), "max_tokens": max_tokens}
    network: Network = Finetuned(**where, seed=seed) if training == "full" else Frozen(**where)
    chosen = {
        "optimizer": AdamW(),
        "schedule": Schedule(learning_rate=1e-3),
        "replay": NoReplay(),
        "rows_per_step": 8,
        "replayed_per_step": 0,
    } | slow
    return Transformer(slow=SlowPart(network=network, classifies=classifies, seed=seed, **chosen))
