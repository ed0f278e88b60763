"""A transformer that is fine-tuned as the stream goes: one expert of the pool that steps more rarely than it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert
from daemon.learning.features.tokens import TextTokens
from daemon.learning.models.slow_part import SlowPart
from daemon.learning.replay.base import take
from daemon.state import State

Floats = NDArray[np.float64]

# Rows of one forward pass: enough to fill the device, few enough to fit any.
ROWS_PER_PASS: Final = 32
# No probability is smaller, before they are scaled to sum to 1.
P_FLOOR: Final = 1e-12


class FinetunedExpert(Expert):
    """softmax over the C classes and the spare, from the weights of the last slow step (see `models/slow_part.py`).

    Rows between two steps are predicted with the same weights. So the first that is asked for takes up to 32 from there on
    along in one forward pass, and what that gave holds until the next step. `pieces` cuts micro-batches there, so that no pass
    takes rows along in vain; cutting them elsewhere changes nothing but rounding.

    >>> from types import SimpleNamespace
    >>> tokens = TextTokens(tokenizer=SimpleNamespace())
    >>> tokens.rows = {"length": np.ones(1)}
    >>> network = SimpleNamespace(logits=lambda rows: torch.tensor([[1.0, 3.0]]).log())
    >>> FinetunedExpert(tokens=tokens, slow=SimpleNamespace(network=network)).predict().round(4).tolist()
    [0.25, 0.75]
    """

    def __init__(self, *, tokens: TextTokens, slow: SlowPart, name: str = "finetuned") -> None:
        """`slow` classifies, and its network reads the rows of `tokens`."""
        self.name = name
        self._tokens = tokens
        self._slow = slow
        self._logits: dict[int, Floats] = {}  # row of the micro-batch -> (K,)

    def begin(self, batch: Batch) -> None:
        self._logits = {}

    def pieces(self, weight_B: Floats) -> list[slice]:
        return self._slow.pieces(weight_B)

    def predict(self) -> Floats:
        if self._tokens.row not in self._logits:
            self._pass_on()
        logits_K = self._logits[self._tokens.row]
        p_K: Floats = np.exp(logits_K - logits_K.max()) + P_FLOOR
        p_K /= p_K.sum()
        return p_K

    @torch.no_grad()
    def _pass_on(self) -> None:
        """Logits of the current row and of those after it that have none."""
        rows, first = self._tokens.rows, self._tokens.row
        last = min(first + ROWS_PER_PASS, len(rows["length"]))
        wanted = [row for row in range(first, last) if row not in self._logits]
        logits_NK = self._slow.network.logits(take(rows, np.array(wanted))).cpu().numpy().astype(np.float64)
        # An overflow says nothing of the classes, and must not reach the mixer's weights.
        logits_NK[~np.isfinite(logits_NK).all(axis=1)] = 0.0
        self._logits.update(zip(wanted, logits_NK, strict=True))

    def learn(self, target: float, weight: float) -> None:
        if weight <= 0.0:
            return
        row = take(self._tokens.rows, slice(self._tokens.row, self._tokens.row + 1))
        if self._slow.take(row | {"target": np.array([target]), "weight": np.array([weight])}):
            self._logits = {}

    def grow(self) -> None:
        self._slow.grow()
        # No step has changed the spare since these were computed: the new class gives what the spare gave.
        self._logits = {row: np.append(logits_K, logits_K[-1]) for row, logits_K in self._logits.items()}

    def react(self) -> None:
        self._slow.react()

    def set_rate(self, learning_rate: float) -> None:
        self._slow.set_rate(learning_rate)

    def stats(self) -> dict[str, float]:
        stats = self._slow.stats()
        return {"slow_loss": stats.pop("loss"), **stats}

    def state_dict(self) -> State:
        return _arrays(self._slow.state_dict())

    def load_state_dict(self, state: State) -> None:
        self._slow.load_state_dict(state)
        self._logits = {}

    def weights(self) -> State:
        return _arrays(self._slow.weights())

    def load_weights(self, state: State) -> None:
        self._slow.load_weights(state)
        self._logits = {}

    def num_bytes(self) -> int:
        return sum(self._slow.state_bytes().values())

    def state_bytes(self) -> dict[str, int]:
        return {f"{self.name}_{part}": size for part, size in self._slow.state_bytes().items()}


def _arrays(state: Mapping[str, Any]) -> State:
    """The same with numpy arrays for tensors, which lie on the CPU."""
    return {
        key: _arrays(value) if isinstance(value, dict) else value.numpy() if isinstance(value, torch.Tensor) else value
        for key, value in state.items()
    }
