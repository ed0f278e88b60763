"""A stream whose labels only the order of words tells, and the mixture of the settings that learns it or does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from daemon.assembly import models
from daemon.config import load
from daemon.learning.batch import Batch
from daemon.learning.models.base import Model
from tests.learning.texts import TOPICS

# Many enough that hardly any two texts are alike.
FILLERS = [
    *" ".join(TOPICS).split(),
    *("river", "stone", "cloud", "meadow", "forest", "winter", "summer", "garden", "window", "mirror", "candle"),
    *("ladder", "hammer", "pencil", "paper", "bottle", "basket"),
]


def order_rows(num_rows: int, *, seed: int) -> tuple[Batch, NDArray[np.float64]]:
    """Texts that all hold "alpha" and "omega" among fillers, three fillers between them; the label is which comes first."""
    draw = np.random.default_rng(seed)
    targets = np.concatenate([[0.0, 1.0], draw.integers(2, size=num_rows)])[:num_rows].astype(np.float64)
    texts = []
    for target in targets:
        first, second = ("alpha", "omega") if target == 0.0 else ("omega", "alpha")
        before, between, after = (draw.choice(FILLERS, size=size) for size in (2, 3, 2))
        texts.append(" ".join([*before, first, *between, second, *after]))
    return Batch(texts, [{}] * num_rows), targets


def order_mixture(encoder: Path, *more: str, training: str = "full", device: str = "cpu", label_delay: int = 0) -> Model:
    """The default for texts with that encoder, read frozen, and with `training` "full" fine-tuned as well: in small steps, with
    replay, warm-up and all reactions switched on."""
    settings = load(
        None,
        environ={},
        defaults={"source": {"kind": "files", "paths": []}},
        overrides=[
            f"model.encoder='{encoder}'", f"model.training={training}", "model.max_tokens=16", "optimizer.learning_rate=0.003",
            "schedule.warmup_steps=4", "replay.capacity=64", "replay.rows_per_step=8", "replay.replayed_per_step=8",
            "reactions.rewarm=true", "reactions.recent_replay=true", *more,
        ],
    )  # fmt: skip
    found = models.encoder(settings, may_lack=False)
    return models.model(settings, encoder=found, device=torch.device(device), label_delay=label_delay)
