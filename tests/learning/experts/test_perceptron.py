"""The network of the MLP experts: what a row's weight does, and what becomes of moments that are no longer fed."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.learning.experts.perceptron import Perceptron
from daemon.learning.experts.perceptron_kernels import HIDDEN, TINY
from daemon.learning.features.inputs import Dense
from daemon.state import State


def test_moments_of_an_input_that_fell_silent_reach_zero_and_not_the_denormal_numbers() -> None:
    inputs = Dense()
    inputs.widen(2)
    network = Perceptron(inputs=inputs, seed=1, classifies=True, rate=0.003, steps=1, num_replayed=4, memory=10)
    network.grow()
    for row in range(1200):  # .9 ** 770 is below what float32 holds at full precision
        inputs.values_D[:] = 1.0, float(row < 10)
        network.predict()
        network.learn(float(row % 2), 1.0)
    state = network.state_dict()
    moment_P, square_P = np.abs(state["moment"]), state["square"]
    assert (moment_P[-HIDDEN:] == 0.0).all()
    for values in (moment_P, square_P):
        assert ((values == 0.0) | (values > TINY)).all()


def state_after(weights: tuple[float, ...], *, alike: bool = False) -> State:
    """After rows of these weights, the later ones beside those before them."""
    inputs = Dense()
    inputs.widen(2)
    network = Perceptron(inputs=inputs, seed=1, classifies=True, rate=1e-4, steps=1, num_replayed=8)
    for _ in range(2):
        network.grow()
    for row, weight in enumerate(weights):
        inputs.values_D[:] = 1.0, 0.5 + row * (not alike)
        network.predict()
        network.learn(float(row % 2 and not alike), weight)
    return network.state_dict()


def test_rows_that_all_weigh_two_make_a_step_twice_as_long() -> None:
    none, one, two = (state_after(weights)["theta"] for weights in ((), (1.0,), (2.0,)))
    assert np.abs(one - none).max() > 5e-5
    np.testing.assert_allclose(two - none, 2.0 * (one - none), atol=1e-6)
    for moment in ("moment", "square"):  # which a heavy row must not fill for thousands of rows
        assert (state_after((1e6,))[moment] == state_after((1.0,))[moment]).all()


def test_a_weight_of_two_doubles_a_rows_part_of_the_step() -> None:
    """Of a second row beside those drawn with it: its part of the gradient is w / (w + those of the others)."""
    first = np.float32(0.9) * state_after((1.0,))["moment"]
    # Eight drawn rows, of which some are the second itself: what remains is the gradient of the first row's draws.
    parts = [state_after((1.0, weight))["moment"] - first for weight in (1e-9, 1.0, 2.0, 1e9)]
    only_first, one, two, only_second = parts
    share = [float(np.dot(part - only_first, only_second - only_first)) for part in (one, two)]
    share = [part / float(np.dot(only_second - only_first, only_second - only_first)) for part in share]
    assert share[1] / (1.0 - share[1]) == pytest.approx(2.0 * share[0] / (1.0 - share[0]), rel=1e-3)


def test_rows_that_are_drawn_again_lengthen_a_step_by_their_weight() -> None:
    """Two rows that are alike, the first of weight 3: the second one's step is longer by the mean weight of what was drawn."""
    light, heavy = (
        state_after((weight, 1.0), alike=True)["theta"] - state_after((weight,), alike=True)["theta"] for weight in (1.0, 3.0)
    )
    times = np.abs(heavy).sum() / np.abs(light).sum()
    assert 1.5 < times < 3.0


def test_a_step_is_at_most_ten_times_as_long() -> None:
    none, one, heavy = (state_after(weights)["theta"] for weights in ((), (1.0,), (1e12,)))
    np.testing.assert_allclose(heavy - none, 10.0 * (one - none), atol=1e-6)
