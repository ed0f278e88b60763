from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from daemon.errors import StateError
from daemon.learning import optimizers
from daemon.learning.optimizers import AdaGrad, AdamW, Optimizer
from tests.contracts.discovery import has_example

# In double precision what differs from torch's own loops is not rounding.
INPUTS = torch.linspace(-1.0, 1.0, 24, dtype=torch.float64).reshape(8, 3)
TARGETS = torch.tensor([0, 1, 0, 1, 1, 0, 1, 1])
MAKERS: dict[str, Callable[..., Optimizer]] = {"adamw": AdamW, "adagrad": AdaGrad}


def small_model() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 2)).double()


def backward(model: nn.Module, scale: float = 1.0) -> None:
    model.zero_grad()
    (nn.functional.cross_entropy(model(INPUTS), TARGETS) * scale).backward()  # type: ignore[no-untyped-call]


def train(model: nn.Module, optimizer: Optimizer, num_steps: int) -> None:
    for step in range(num_steps):
        backward(model)
        optimizer.step(dict(model.named_parameters()), rate=0.1 / (step + 1))


def copies(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_every_optimizer_is_tested_here_and_has_an_example() -> None:
    found = {value for value in vars(optimizers).values() if inspect.isclass(value) and issubclass(value, Optimizer)}
    assert found == {Optimizer, *MAKERS.values()}
    assert all(has_example(kind) for kind in found - {Optimizer})


def test_adamw_takes_the_steps_of_torch() -> None:
    ours, theirs = small_model(), small_model()
    matrices = [parameter for parameter in theirs.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in theirs.parameters() if parameter.ndim == 1]
    peer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}])
    optimizer = AdamW(weight_decay=0.1, max_grad_norm=0.05)
    for step in range(20):
        backward(ours)
        norm = optimizer.step(dict(ours.named_parameters()), rate=0.1 / (step + 1))
        backward(theirs)
        for group in peer.param_groups:
            group["lr"] = 0.1 / (step + 1)
        torch.testing.assert_close(norm, nn.utils.clip_grad_norm_(theirs.parameters(), 0.05))
        peer.step()
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(dict(ours.named_parameters())[name], parameter, rtol=1e-7, atol=1e-9)


def test_adagrad_takes_the_steps_of_torch_and_decays_matrices_apart_from_the_gradient() -> None:
    ours, theirs = small_model(), small_model()
    peer = torch.optim.Adagrad(theirs.parameters(), lr=0.125)
    optimizer = AdaGrad(weight_decay=0.5, max_grad_norm=100.0)
    for _ in range(20):
        backward(ours)
        optimizer.step(dict(ours.named_parameters()), rate=0.125)
        backward(theirs)
        with torch.no_grad():
            for parameter in theirs.parameters():
                parameter.mul_(0.9375 if parameter.ndim > 1 else 1.0)
        peer.step()
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(dict(ours.named_parameters())[name], parameter, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_reload_goes_on_bit_for_bit(make: Callable[..., Optimizer]) -> None:
    model, optimizer = small_model(), make()
    train(model, optimizer, 5)
    resumed, fresh = small_model(), make()
    resumed.load_state_dict(model.state_dict())
    fresh.load_state_dict(optimizer.state_dict(), dict(resumed.named_parameters()))
    train(model, optimizer, 5)
    train(resumed, fresh, 5)
    assert same(copies(model), copies(resumed))


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_saved_state_is_a_copy_in_both_directions(make: Callable[..., Optimizer]) -> None:
    model, optimizer = small_model(), make()
    train(model, optimizer, 1)
    saved = optimizer.state_dict()
    before = {name: {key: m.clone() for key, m in moments.items()} for name, moments in saved["moments"].items()}
    optimizer.load_state_dict(saved, dict(model.named_parameters()))
    train(model, optimizer, 3)
    assert all(same(saved["moments"][name], before[name]) for name in before)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_skips_the_step_and_is_counted(make: Callable[..., Optimizer], poison: float) -> None:
    model, optimizer = small_model(), make(weight_decay=0.5)
    train(model, optimizer, 2)
    weights, moments = copies(model), optimizer.state_dict()["moments"]
    backward(model, scale=poison)
    optimizer.step(dict(model.named_parameters()), rate=0.1)
    assert same(copies(model), weights)
    assert all(same(optimizer.state_dict()["moments"][name], moments[name]) for name in moments)
    assert optimizer.nonfinite_steps() == 1
    train(model, optimizer, 1)
    assert not same(copies(model), weights)
    assert optimizer.nonfinite_steps() == 1


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_moments_grow_as_copies_of_the_last_row(make: Callable[..., Optimizer]) -> None:
    model, optimizer = small_model(), make()
    train(model, optimizer, 2)
    optimizer.grow("3.weight")
    for key, moment in optimizer.state_dict()["moments"]["3.weight"].items():
        if key != "step":
            assert moment.shape == (3, 4)
            assert torch.equal(moment[2], moment[1])


def test_a_state_of_another_kind_or_shape_is_refused() -> None:
    model, optimizer = small_model(), AdamW()
    train(model, optimizer, 1)
    with pytest.raises(StateError, match="does not fit AdaGrad"):
        AdaGrad().load_state_dict(optimizer.state_dict(), dict(model.named_parameters()))
    optimizer.grow("3.weight")
    with pytest.raises(StateError, match=r"'3.weight' has shapes \{\(3, 4\)\}, its parameter \(2, 4\)"):
        AdamW().load_state_dict(optimizer.state_dict(), dict(model.named_parameters()))
