"""Optimizers whose state is plain tensors by parameter name.

The arithmetic is torch's own fused kernels: elementwise, so the same bits in any order, and able to pass a step over on
the device, so that a gradient that is not finite costs no synchronisation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim.adagrad import adagrad
from torch.optim.adamw import adamw

from daemon.errors import StateError
from daemon.learning.device import copied
from daemon.state import State

Parameters = Mapping[str, Tensor]

# What AdamW makes of a gradient does not depend on its size, so whoever steps multiplies the rate by the mean weight of the
# step's rows: by so much at most, as a network does not recover from a step that is thousands of times as long.
LONGEST_STEP = 10.0


class Optimizer(ABC):
    """Clips by the global norm, skips what is not finite, decays matrices but neither biases nor norms.

    Weight decay is decoupled (Loshchilov & Hutter 2019). Moments are made when a parameter is first seen with a gradient.
    """

    moment_names: tuple[str, ...]

    def __init__(self, *, weight_decay: float, max_grad_norm: float) -> None:
        self._weight_decay = weight_decay
        self._max_grad_norm = max_grad_norm
        self._moments: dict[str, dict[str, Tensor]] = {}
        self._nonfinite_steps = torch.zeros((), dtype=torch.int64)

    def step(self, parameters: Parameters, *, rate: float) -> Tensor:
        """Update `parameters` in place from their `.grad` at a learning rate; returns the global norm before clipping.

        Where that norm is not finite, parameters and moments stay as they are and the step is counted.
        """
        trained = {name: parameter for name, parameter in parameters.items() if parameter.grad is not None}
        grads = [parameter.grad for parameter in trained.values() if parameter.grad is not None]
        norm = get_total_norm(grads)
        skip = (~torch.isfinite(norm)).float()
        self._nonfinite_steps = self._nonfinite_steps.to(norm.device, non_blocking=True) + skip.long()
        torch._foreach_mul_(grads, (self._max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
        for name, parameter in trained.items():
            self._place(name, parameter)
        with torch.no_grad():
            matrices = {name: parameter for name, parameter in trained.items() if parameter.ndim > 1}
            vectors = {name: parameter for name, parameter in trained.items() if parameter.ndim <= 1}
            for group, weight_decay in ((matrices, self._weight_decay), (vectors, 0.0)):
                if group:
                    self._update(group, skip, rate=rate, weight_decay=weight_decay)
        return norm

    def grow(self, name: str) -> None:
        """The parameter got one more row, a copy of its last: so do its moments."""
        for key, moment in self._moments.get(name, {}).items():
            if moment.ndim:
                self._moments[name][key] = torch.cat([moment, moment[-1:]])

    def nonfinite_steps(self) -> int:
        """Steps passed over so far. Waits for the device."""
        return int(self._nonfinite_steps)

    def state_dict(self) -> State:
        """{"moments": {parameter: {moment: copy on the CPU}}, "nonfinite_steps": n}."""
        moments = {
            name: {key: moment.to("cpu", copy=True) for key, moment in of_name.items()}
            for name, of_name in self._moments.items()
        }
        return {"moments": moments, "nonfinite_steps": self.nonfinite_steps()}

    def load_state_dict(self, state: State, parameters: Parameters) -> None:
        """Take the state that belongs to `parameters`; raises `StateError` where a name, moment or shape differs."""
        moments: dict[str, dict[str, Tensor]] = {}
        for name, of_name in state["moments"].items():
            if name not in parameters or set(of_name) != {"step", *self.moment_names}:
                raise StateError(
                    f"optimizer state of {name!r} with {sorted(of_name)} does not fit {type(self).__name__}; "
                    "resume with the model and optimizer that it was saved with"
                )
            # Copies: the updates are in place, and the state is the caller's.
            moments[name] = {key: copied(array) for key, array in of_name.items()}
            shapes = {tuple(moments[name][key].shape) for key in self.moment_names}
            if shapes != {tuple(parameters[name].shape)}:
                raise StateError(
                    f"optimizer state of {name!r} has shapes {shapes}, its parameter {tuple(parameters[name].shape)}"
                )
        self._moments = moments
        self._nonfinite_steps = torch.tensor(state["nonfinite_steps"], dtype=torch.int64)

    def state_bytes(self) -> int:
        """Memory of the moments."""
        return sum(moment.nbytes for of_name in self._moments.values() for moment in of_name.values())

    @abstractmethod
    def _update(self, group: Parameters, skip: Tensor, *, rate: float, weight_decay: float) -> None:
        """Update one group in place unless `skip` is 1."""

    def _place(self, name: str, parameter: Tensor) -> None:
        """Moments beside their parameter: new ones at zero, loaded ones moved there."""
        if name not in self._moments:
            zeros = {key: torch.zeros_like(parameter) for key in self.moment_names}
            self._moments[name] = {"step": torch.zeros((), device=parameter.device), **zeros}
        elif self._moments[name]["step"].device != parameter.device:
            self._moments[name] = {key: moment.to(parameter.device) for key, moment in self._moments[name].items()}

    def _column(self, key: str, group: Parameters) -> list[Tensor]:
        return [self._moments[name][key] for name in group]


class AdamW(Optimizer):
    """Adam with decoupled weight decay: Loshchilov & Hutter 2019, algorithm 2.

    >>> bias = torch.nn.Parameter(torch.ones(2))
    >>> bias.grad = torch.tensor([0.6, -0.3])
    >>> round(float(AdamW().step({"bias": bias}, rate=0.125)), 4), bias.tolist()      # the norm; a step is ±rate at first
    (0.6708, [0.875, 1.125])
    """

    moment_names = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        max_grad_norm: float = 1.0,
    ) -> None:
        super().__init__(weight_decay=weight_decay, max_grad_norm=max_grad_norm)
        self._beta1, self._beta2, self._eps = beta1, beta2, eps

    def _update(self, group: Parameters, skip: Tensor, *, rate: float, weight_decay: float) -> None:
        adamw(
            list(group.values()),
            [parameter.grad for parameter in group.values() if parameter.grad is not None],
            self._column("exp_avg", group),
            self._column("exp_avg_sq", group),
            [],
            self._column("step", group),
            fused=True,
            found_inf=skip,
            amsgrad=False,
            beta1=self._beta1,
            beta2=self._beta2,
            lr=rate,
            weight_decay=weight_decay,
            eps=self._eps,
            maximize=False,
        )


class AdaGrad(Optimizer):
    """One step size a coordinate, from the sum of its squared gradients: Duchi, Hazan & Singer 2011.

    >>> bias, adagrad = torch.nn.Parameter(torch.ones(1)), AdaGrad()
    >>> for gradient in (0.3, 0.4):
    ...     bias.grad = torch.tensor([gradient])
    ...     _ = adagrad.step({"bias": bias}, rate=0.125)
    >>> round(bias.item(), 4)      # 1 − .125 · (.3 / .3 + .4 / .5)
    0.775
    """

    moment_names = ("sum",)

    def __init__(self, *, eps: float = 1e-10, weight_decay: float = 0.0, max_grad_norm: float = 1.0) -> None:
        super().__init__(weight_decay=weight_decay, max_grad_norm=max_grad_norm)
        self._eps = eps

    def _update(self, group: Parameters, skip: Tensor, *, rate: float, weight_decay: float) -> None:
        # torch's AdaGrad knows only the coupled kind of decay.
        torch._foreach_mul_(list(group.values()), 1.0 - rate * weight_decay * (1.0 - skip))
        adagrad(
            list(group.values()),
            [parameter.grad for parameter in group.values() if parameter.grad is not None],
            self._column("sum", group),
            self._column("step", group),
            fused=True,
            found_inf=skip,
            lr=rate,
            weight_decay=0.0,
            lr_decay=0.0,
            eps=self._eps,
            maximize=False,
        )
