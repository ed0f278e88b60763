"""The network of the MLP experts: what a row's weight does, and what becomes of moments that are no longer fed."""

from __future__ import annotations

import numpy as np

from daemon.learning.experts.perceptron import Perceptron
from daemon.learning.experts.perceptron_kernels import HIDDEN, TINY
from daemon.learning.features.inputs import Dense


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


def moments(weight: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """After one row of a weight; and after a second, of weight 1, that replays both."""
    inputs = Dense()
    inputs.widen(2)
    network = Perceptron(inputs=inputs, seed=1, classifies=True, rate=1e-12, steps=1, num_replayed=8)
    for _ in range(2):
        network.grow()
    after = []
    for label, row_weight in ((0, weight), (1, 1.0)):
        inputs.values_D[:] = 1.0, 0.5 + label
        network.predict()
        network.learn(float(label), row_weight)
        after.append(network.state_dict())
    return after[0]["moment"], after[0]["square"], after[1]["moment"] - np.float32(0.9) * after[0]["moment"]


def test_weight_two_doubles_the_gradient_now_and_in_replay() -> None:
    one, two, four = (moments(weight) for weight in (1.0, 2.0, 4.0))
    assert np.abs(one[0]).max() > 1e-3
    assert (two[0] == 2.0 * one[0]).all()
    np.testing.assert_allclose(two[1], 4.0 * one[1], rtol=1e-6)
    replayed = two[2] - one[2]
    assert np.abs(replayed).max() > 1e-3
    np.testing.assert_allclose(four[2] - two[2], 2.0 * replayed, atol=1e-6)
