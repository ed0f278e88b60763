"""A small neural network with replay and AdamW, in compiled code: what the MLP experts are made of."""

from __future__ import annotations

import numpy as np

from daemon.learning.experts.perceptron_kernels import (
    HIDDEN,
    OUTPUT,
    SECOND,
    SECOND_BIAS,
    Floats,
    Weights,
    predict_row,
    take_steps,
)
from daemon.learning.features.inputs import DenseInputs
from daemon.learning.optimizers import LONGEST_STEP
from daemon.state import State


class Perceptron:
    """Two hidden layers of 64 with ReLU and K linear outputs; AdamW at a constant rate, with replay.

    The loss is that of a softmax where `classifies`, else half the squared error of the one output, with the error clipped to
    ±`error_limit`. Each row learned takes `steps` steps on itself and `num_replayed` of the last `memory` rows, drawn by a hash
    of (seed, row ordinal, step): their mean loss by weight, at the rate times their mean weight, up to 10. A weight of 2 thus
    doubles the row's part of the step, now and when it is replayed, and rows that all weigh 2 make the step twice as long. An
    input that appears later gets weights then, drawn from (seed, input).

    Memory: 3 · (64 · (D + 66) + 65 · K) + `memory` · D float32 for D inputs.

    After Loshchilov and Hutter 2019 (AdamW), He et al. 2015 (initial weights).
    """

    def __init__(
        self,
        *,
        inputs: DenseInputs,
        seed: int,
        classifies: bool,
        rate: float,
        steps: int,
        num_replayed: int = 32,
        memory: int = 2000,
        error_limit: float = 1.0,
    ) -> None:
        self._inputs = inputs
        self._seed = seed
        self._classifies = classifies
        self._rate = rate
        self._steps = steps
        self._num_replayed = num_replayed
        self._error_limit = error_limit
        # Everything that is stepped lies in one vector: biases, second layer, then what grows: output layer, first layer.
        self._theta_P: Weights = _initial(np.random.default_rng([seed, 0]))
        self._moment_P: Weights = np.zeros_like(self._theta_P)
        self._square_P: Weights = np.zeros_like(self._theta_P)
        self._num_outputs = 1
        self._num_inputs = 0
        self._num_rows = 0
        self._memory_MD: Weights = np.zeros((memory, 0), dtype=np.float32)
        self._target_M = np.zeros(memory)
        self._weight_M = np.zeros(memory)

    def predict(self) -> Floats:
        """(K,) the outputs for the current row."""
        self._fit_width()
        return predict_row(self._theta_P, self._num_outputs, self._inputs.values_D)

    def _fit_width(self) -> None:
        """Weights for the inputs that have come: a function of seed, input and width, whenever it is called."""
        width = self._inputs.width
        new = [
            np.random.default_rng([self._seed, 1, i]).normal(size=HIDDEN) * np.sqrt(2.0 / width)
            for i in range(self._num_inputs, width)
        ]
        if new:
            added = np.concatenate(new).astype(np.float32)
            self._theta_P = np.concatenate([self._theta_P, added])
            self._moment_P = np.concatenate([self._moment_P, np.zeros_like(added)])
            self._square_P = np.concatenate([self._square_P, np.zeros_like(added)])
            self._memory_MD = np.pad(self._memory_MD, ((0, 0), (0, width - self._num_inputs)))
            self._num_inputs = width

    def learn(self, target: float, weight: float) -> None:
        """Learn the current row, whose target is the index of an output or, for regression, a number."""
        place = self._num_rows % len(self._memory_MD)
        self._memory_MD[place] = self._inputs.values_D[: self._num_inputs]
        self._target_M[place] = target
        self._weight_M[place] = weight
        take_steps(
            self._steps, self._theta_P, self._moment_P, self._square_P, self._num_outputs,
            self._memory_MD, self._target_M, self._weight_M, self._classifies, self._error_limit,
            self._num_rows, self._num_replayed, self._seed, self._rate, LONGEST_STEP,
        )  # fmt: skip
        self._num_rows += 1

    def grow(self) -> None:
        """One more output, which starts as a copy of the last."""
        end = OUTPUT + self._num_outputs * (HIDDEN + 1)
        for name in ("_theta_P", "_moment_P", "_square_P"):
            vector = getattr(self, name)
            setattr(self, name, np.concatenate([vector[:end], vector[end - HIDDEN - 1 : end], vector[end:]]))
        self._num_outputs += 1

    def state_dict(self) -> State:
        self._fit_width()
        num_stored = min(self._num_rows, len(self._memory_MD))
        return self.weights() | {
            "num_rows": self._num_rows,
            "moment": self._moment_P.copy(),
            "square": self._square_P.copy(),
            "memory": self._memory_MD[:num_stored].copy(),
            "targets": self._target_M[:num_stored].copy(),
            "row_weights": self._weight_M[:num_stored].copy(),
        }

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state)
        self._num_rows = int(state["num_rows"])
        self._moment_P = np.array(state["moment"], dtype=np.float32)
        self._square_P = np.array(state["square"], dtype=np.float32)
        num_stored = len(state["memory"])
        self._memory_MD[:num_stored] = state["memory"]
        self._target_M[:num_stored] = state["targets"]
        self._weight_M[:num_stored] = state["row_weights"]

    def weights(self) -> State:
        self._fit_width()
        return {"theta": self._theta_P.copy(), "num_outputs": self._num_outputs, "num_inputs": self._num_inputs}

    def load_weights(self, state: State) -> None:
        self._num_outputs = int(state["num_outputs"])
        self._num_inputs = int(state["num_inputs"])
        self._theta_P = np.array(state["theta"], dtype=np.float32)
        self._moment_P = np.zeros_like(self._theta_P)
        self._square_P = np.zeros_like(self._theta_P)
        self._memory_MD = np.zeros((len(self._memory_MD), self._num_inputs), dtype=np.float32)


def _initial(random: np.random.Generator) -> Weights:
    """Parameters for no input and one output, which starts at 0, so that all classes start alike."""
    theta_P = np.zeros(OUTPUT + HIDDEN + 1, dtype=np.float32)
    theta_P[SECOND:SECOND_BIAS] = random.normal(size=HIDDEN * HIDDEN) * np.sqrt(2.0 / HIDDEN)
    return theta_P
