"""A linear head on the embeddings of an encoder that does not move."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from daemon.learning.encoders import load_encoder
from daemon.learning.models.network import Network
from daemon.learning.replay.base import Rows
from daemon.state import JSON


class Frozen(Network):
    """The encoder runs once a row, on `device`; pending and replayed rows are kept as embeddings.

    The head is so small that it learns on the CPU: fetching the embeddings is then the only time that the host waits.
    """

    weights_name = "head"

    def __init__(self, *, encoder: str, device: torch.device, max_tokens: int) -> None:
        self.device = torch.device("cpu")
        self._encoder = load_encoder(encoder, device=str(device), max_tokens=max_tokens)
        self.module = nn.Sequential(OrderedDict(head=nn.Linear(self._encoder.width, 1)))
        self.head_name = "head"
        self.reset_head(1)

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        return {"embedding": self._encoder.encode(texts)}

    def logits(self, rows: Rows) -> Tensor:
        logits_NK: Tensor = self.module(torch.from_numpy(rows["embedding"]))
        return logits_NK

    def companions(self, labels: Sequence[str], *, num_outputs: int) -> Mapping[str, Path | JSON]:
        return self._encoder.companions()
