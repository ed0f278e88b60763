"""The network of the MLP experts: what becomes of the moments of a weight that is no longer stepped."""

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
