"""The slow part of a model by its settings: what trains a transformer, alone or as an expert of the mixture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from daemon.assembly.reactions import reactions
from daemon.learning.experts.base import Expert
from daemon.learning.experts.finetuned import FinetunedExpert
from daemon.learning.features.tokens import TextTokens
from daemon.learning.models.finetuned import Finetuned
from daemon.learning.models.frozen import Frozen
from daemon.learning.models.network import Network
from daemon.learning.models.slow_part import SlowPart
from daemon.learning.models.transformer import Transformer
from daemon.learning.optimizers import AdaGrad, AdamW
from daemon.learning.pretrained import Tokens
from daemon.learning.replay.balanced import Balanced
from daemon.learning.replay.base import Replay
from daemon.learning.replay.none import NoReplay
from daemon.learning.replay.reservoir import Reservoir
from daemon.learning.schedules import Schedule
from daemon.settings import Settings
from daemon.settings.learning import ReplaySettings


def transformer(settings: Settings, *, folder: Path, device: torch.device) -> Transformer:
    classifies = settings.task.kind == "classification"
    if settings.model.training == "full":
        return Transformer(slow=_slow_part(settings, _finetuned(settings, folder, device), classifies=classifies))
    frozen = Frozen(encoder=str(folder), device=device, max_tokens=settings.model.max_tokens)
    return Transformer(slow=_slow_part(settings, frozen, classifies=classifies))


def tokens(settings: Settings, *, folder: Path) -> TextTokens:
    """Texts as the encoder in `folder` reads them."""
    return TextTokens(tokenizer=Tokens(folder, max_tokens=settings.model.max_tokens))


def expert(settings: Settings, *, tokens: TextTokens, folder: Path, device: torch.device) -> Expert:
    """The encoder in `folder`, fine-tuned: one expert of the mixture, which classifies."""
    return FinetunedExpert(tokens=tokens, slow=_slow_part(settings, _finetuned(settings, folder, device), classifies=True))


def _finetuned(settings: Settings, folder: Path, device: torch.device) -> Finetuned:
    return Finetuned(encoder=str(folder), device=device, max_tokens=settings.model.max_tokens, seed=settings.training.seed)


def _slow_part(settings: Settings, network: Network, *, classifies: bool) -> SlowPart:
    """How a network is trained, alone or in the mixture."""
    chosen, schedule = settings.optimizer, settings.schedule
    optimizer = {"adamw": AdamW, "adagrad": AdaGrad}[chosen.kind]
    return SlowPart(
        network=network,
        classifies=classifies,
        optimizer=optimizer(weight_decay=chosen.weight_decay, max_grad_norm=chosen.clip_norm),
        schedule=Schedule(
            learning_rate=chosen.learning_rate,
            num_warmup_steps=schedule.warmup_steps,
            decay=schedule.kind,
            num_decay_steps=schedule.total_steps,
            floor=schedule.floor,
        ),
        replay=_replay(settings.replay, seed=settings.training.seed),
        rows_per_step=settings.replay.rows_per_step,
        replayed_per_step=settings.replay.replayed_per_step,
        seed=settings.training.seed,
        reactions=reactions(settings),
    )


def _replay(chosen: ReplaySettings, *, seed: int) -> Replay:
    policies: dict[str, Any] = {
        "none": NoReplay,
        "reservoir": lambda: Reservoir(capacity=chosen.capacity, seed=seed),
        "balanced": lambda: Balanced(capacity=chosen.capacity, recent_share=chosen.recent_share, seed=seed),
    }
    replay: Replay = policies[chosen.kind]()
    return replay
