"""Streaming linear discriminant analysis on the embedding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.base import Expert
from daemon.learning.experts.slots import class_capacity
from daemon.learning.features.text import TextFeatures
from daemon.state import State

Floats = NDArray[np.float64]

# A label that has not come for long keeps this much of the prior's mass, so that its return costs few errors.
PRIOR_FLOOR = 1e-3


class StreamingLDA(Expert):
    """Gaussian classes with one covariance, learned row by row by Sherman and Morrison's formula.

    With A = I + Σ c/(c+1)·ddᵀ over the rows, where d = x − μ_y and c is the weight of class y so far, and n the weight of
    all rows: score_k = (D + n)·(μ_kᵀA⁻¹x − ½ μ_kᵀA⁻¹μ_k) + ln prior_k, and p = softmax(`temperature` · score), below 1
    since embeddings are no Gaussians. A⁻¹μ_k and μ_kᵀA⁻¹μ_k are kept up to date, so that predicting costs D · K.

    >>> text = TextFeatures(encoder=None)
    >>> text.width, text.embedding = 2, np.array([1.0, 0.0], np.float32)
    >>> lda = StreamingLDA(text=text, temperature=1.0)
    >>> lda.grow()
    >>> lda.learn(0, 1.0)
    >>> lda.predict().round(4).tolist()      # 3 · (1 − ½) + ln .01 against ln .001
    [0.9782, 0.0218]

    Arrays over classes have the classes last and room for more, so that the inner loops run over whole vectors. Memory:
    D² + 2·D·K float64.

    After Hayes and Kanan 2020, "Lifelong machine learning with deep streaming linear discriminant analysis".
    """

    def __init__(
        self,
        *,
        text: TextFeatures,
        prior_decay: float = 0.99,
        temperature: float = 0.2,
        name: str = "lda",
    ) -> None:
        self.name = name
        self._text = text
        self._prior_decay = prior_decay
        self._temperature = temperature
        self._inverse_DD = np.eye(text.width)
        # What is still to be taken from the inverse, scale · uuᵀ: the next row does it on its own way through the matrix,
        # which is larger than the processor's nearer caches.
        self._left_scale, self._left_D = 0.0, np.zeros(text.width)
        self._num_classes = 1
        capacity = class_capacity(1)
        self._mean_DK = np.zeros((text.width, capacity))
        self._solved_DK = np.zeros((text.width, capacity))  # A⁻¹μ
        self._square_K = np.zeros(capacity)  # μᵀA⁻¹μ
        self._count_K = np.zeros(capacity)
        self._prior_K = np.zeros(capacity)
        self._total = 0.0  # n
        self.p_K = np.ones(1)

    def predict(self) -> Floats:
        self.p_K = self._predict(self._prior_K)
        return self.p_K

    def predict_balanced(self) -> Floats:
        # Classes without a row, the spare among them, have a mean of 0, which beats the others: a prior of the floor.
        return self._predict(np.where(self._square_K > 0.0, 1.0, 0.0))

    def _predict(self, prior_K: Floats) -> Floats:
        p_K = np.empty(self._num_classes)
        scale = self._text.width + self._total
        _score(self._text.embedding, self._solved_DK, self._square_K, prior_K, scale, self._temperature, p_K)
        return p_K

    def learn(self, target: float, weight: float) -> None:
        if weight <= 0.0:
            return
        label = int(target)
        self._prior_K *= self._prior_decay
        self._prior_K[label] += (1.0 - self._prior_decay) * weight
        self._left_scale, self._left_D = _learn(
            self._text.embedding,
            label,
            weight,
            self._inverse_DD,
            self._left_scale,
            self._left_D,
            self._mean_DK,
            self._solved_DK,
            self._square_K,
            self._count_K,
        )
        self._total += weight

    def grow(self) -> None:
        self._num_classes += 1
        missing = class_capacity(self._num_classes) - len(self._count_K)
        if missing > 0:
            self._mean_DK, self._solved_DK = (np.pad(a, ((0, 0), (0, missing))) for a in (self._mean_DK, self._solved_DK))
            self._square_K, self._count_K, self._prior_K = (
                np.pad(a, (0, missing)) for a in (self._square_K, self._count_K, self._prior_K)
            )
        self.predict()

    def state_dict(self) -> State:
        num_classes = self._num_classes
        _take_left(self._inverse_DD, self._left_scale, self._left_D)
        self._left_scale = 0.0
        return self.weights() | {
            "inverse": self._inverse_DD.copy(),
            "means": self._mean_DK[:, :num_classes].copy(),
            "counts": self._count_K[:num_classes].copy(),
        }

    def weights(self) -> State:
        num_classes = self._num_classes
        return {
            "solved": self._solved_DK[:, :num_classes].copy(),
            "squares": self._square_K[:num_classes].copy(),
            "priors": self._prior_K[:num_classes].copy(),
            "total": self._total,
        }

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state)
        missing = len(self._prior_K) - self._num_classes
        self._inverse_DD, self._left_scale = np.array(state["inverse"], dtype=np.float64), 0.0
        self._mean_DK = np.pad(np.asarray(state["means"], dtype=np.float64), ((0, 0), (0, missing)))
        self._count_K = np.pad(np.asarray(state["counts"], dtype=np.float64), (0, missing))

    def load_weights(self, state: State) -> None:
        self._num_classes = len(state["priors"])
        missing = class_capacity(self._num_classes) - self._num_classes
        self._solved_DK = np.pad(np.asarray(state["solved"], dtype=np.float64), ((0, 0), (0, missing)))
        self._square_K = np.pad(np.asarray(state["squares"], dtype=np.float64), (0, missing))
        self._prior_K = np.pad(np.asarray(state["priors"], dtype=np.float64), (0, missing))
        self._total = float(state["total"])


@compiled
def _score(
    x_D: NDArray[np.float32],
    solved_DK: Floats,
    square_K: Floats,
    prior_K: Floats,
    scale: float,
    temperature: float,
    p_K: Floats,
) -> None:
    num_classes = len(p_K)
    product_K = np.zeros(len(square_K))
    for i in range(len(x_D)):
        x = float(x_D[i])
        row_K = solved_DK[i]
        for k in range(len(product_K)):
            product_K[k] += x * row_K[k]
    for k in range(num_classes):
        prior = np.log(max(prior_K[k], PRIOR_FLOOR))
        p_K[k] = temperature * (scale * (product_K[k] - 0.5 * square_K[k]) + prior)
    top = p_K.max()
    total = 0.0
    for k in range(num_classes):
        p_K[k] = np.exp(p_K[k] - top) + 1e-12
        total += p_K[k]
    p_K /= total


@compiled
def _take_left(inverse_DD: Floats, scale: float, u_D: Floats) -> None:
    """inverse -= scale · uuᵀ"""
    for i in range(len(u_D)):
        for j in range(len(u_D)):
            inverse_DD[i, j] -= scale * (u_D[i] * u_D[j])


@compiled
def _learn(
    x_D: NDArray[np.float32],
    label: int,
    weight: float,
    inverse_DD: Floats,
    left_scale: float,
    left_D: Floats,
    mean_DK: Floats,
    solved_DK: Floats,
    square_K: Floats,
    count_K: Floats,
) -> tuple[float, Floats]:
    """Learn a row, but for what the inverse loses by it: returns the scale and u of that scale · uuᵀ."""
    width, capacity = mean_DK.shape
    difference_D = np.empty(width)
    for i in range(width):
        difference_D[i] = float(x_D[i]) - mean_DK[i, label]
    # u = A⁻¹d by columns, which are the rows of a symmetric matrix.
    u_D = np.zeros(width)
    for i in range(width):
        row_D, left, difference = inverse_DD[i], left_D[i], difference_D[i]
        for j in range(width):
            row_D[j] -= left_scale * (left * left_D[j])
            u_D[j] += difference * row_D[j]
    scatter = weight * count_K[label] / (count_K[label] + weight)
    product = 0.0
    along_K = np.zeros(capacity)  # μᵀu
    for i in range(width):
        product += difference_D[i] * u_D[i]
        for k in range(capacity):
            along_K[k] += u_D[i] * mean_DK[i, k]
    scale = scatter / (1.0 + scatter * product)
    if scale > 0.0:
        for i in range(width):
            left = scale * u_D[i]
            for k in range(capacity):
                solved_DK[i, k] -= left * along_K[k]
        for k in range(capacity):
            square_K[k] -= scale * along_K[k] * along_K[k]
    count_K[label] += weight
    part = weight / count_K[label]
    shrink = 1.0 - scale * product  # the new A⁻¹d is u times this
    square = 0.0
    for i in range(width):
        mean_DK[i, label] += part * difference_D[i]
        solved_DK[i, label] += part * shrink * u_D[i]
        square += mean_DK[i, label] * solved_DK[i, label]
    square_K[label] = square
    return scale, u_D
