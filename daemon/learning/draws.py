"""Random draws that depend on what they are for, never on what was drawn before."""

from __future__ import annotations

import hashlib

import numpy as np


def draws(seed: int, purpose: str, ordinal: int) -> np.random.Generator:
    """A generator of its own for one purpose at one row ordinal or step number (both count from 0).

    A step that is redone after a crash thus draws the same numbers, with no generator to save.

    >>> [int(draws(0, "replay", step).integers(100)) for step in (0, 1, 0)]
    [66, 65, 66]
    """
    # Not hash(): that of a string differs from process to process.
    key = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, key, ordinal])
