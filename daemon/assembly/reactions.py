"""Reactions to a drift by their settings."""

from __future__ import annotations

from daemon.learning.reactions import Reactions
from daemon.settings import Settings


def reactions(settings: Settings) -> Reactions:
    chosen = settings.reactions
    return Reactions(
        rewarm=chosen.rewarm,
        recent_replay=chosen.recent_replay,
        faster_mixer=chosen.faster_mixer,
        anchor=chosen.anchor,
    )
