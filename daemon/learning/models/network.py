"""What a transformer trains: token rows in, logits out, with a head that grows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from daemon.errors import StateError
from daemon.learning.device import copied
from daemon.learning.replay.base import Rows
from daemon.state import JSON, State


class Network(ABC):
    """A module whose last linear layer, the head, has one row an output.

    `module` is what is trained (its state-dict names are those of snapshots), `head_name` the path of the head in it.
    """

    weights_name: str
    module: nn.Module
    head_name: str
    device: torch.device
    """Where logits are computed."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """N >= 1 texts as the columns of rows that `logits` reads; depends on no weight that is trained."""

    @abstractmethod
    def logits(self, rows: Rows) -> Tensor:
        """(N, K) in float32 on `device`."""

    @abstractmethod
    def companions(self, labels: Sequence[str], *, num_outputs: int) -> Mapping[str, Path | JSON]:
        """The files beside the weights in a snapshot."""

    @property
    def head(self) -> nn.Linear:
        head = self.module.get_submodule(self.head_name)
        assert isinstance(head, nn.Linear)
        return head

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.module.named_parameters())

    def head_parameters(self) -> list[str]:
        return [f"{self.head_name}.{name}" for name, _ in self.head.named_parameters()]

    def grow(self) -> None:
        """One more output, a copy of the last."""
        for name, parameter in list(self.head.named_parameters()):
            rows = parameter.detach()
            setattr(self.head, name, nn.Parameter(torch.cat([rows, rows[-1:]])))
        self.head.out_features += 1

    def reset_head(self, num_outputs: int) -> None:
        """A head of zeros. Unlike small random rows they favour no class, and all rows of a spare class start alike."""
        for name, parameter in list(self.head.named_parameters()):
            zeros = torch.zeros((num_outputs, *parameter.shape[1:]), dtype=parameter.dtype, device=parameter.device)
            setattr(self.head, name, nn.Parameter(zeros))
        self.head.out_features = num_outputs

    def state_dict(self, *, num_outputs: int) -> State:
        """Copies on the CPU of every weight; of the head, the first `num_outputs` rows."""
        of_head = self.head_parameters()
        return {
            name: (tensor[:num_outputs] if name in of_head else tensor).detach().to("cpu", copy=True).contiguous()
            for name, tensor in self.module.state_dict().items()
        }

    def load_state_dict(self, state: State, *, num_spare: int) -> None:
        """Take what `state_dict` returned, and after its outputs `num_spare` of zeros. Raises `StateError`."""
        tensors = {name: copied(array) for name, array in state.items()}
        of_head = self.head_parameters()
        here = {name: tuple(tensor.shape) for name, tensor in self.module.state_dict().items()}
        missing, unknown = sorted(here.keys() - tensors.keys()), sorted(tensors.keys() - here.keys())
        strange = [
            n for n in here.keys() & tensors.keys() if tuple(tensors[n].shape)[n in of_head :] != here[n][n in of_head :]
        ]
        if missing or unknown or strange:
            raise StateError(
                f"saved weights do not fit the encoder: missing {missing[:3]}, unknown {unknown[:3]}, of other shape "
                f"{sorted(strange)[:3]}; resume with the encoder that they were learned with"
            )
        num_outputs = len(tensors[of_head[0]])
        self.reset_head(num_outputs + num_spare)
        with torch.no_grad():
            for name, tensor in self.module.state_dict().items():
                (tensor[:num_outputs] if name in of_head else tensor).copy_(tensors[name])
