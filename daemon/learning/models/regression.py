"""The default regressor: a pool of experts under one mixer, learning one row after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert, Extractor
from daemon.learning.models.base import Floats
from daemon.learning.models.pool import LOSS_HORIZON_ROWS, Pool
from daemon.learning.regression_mixer import RegressionMixer
from daemon.state import JSON, State


class RegressionMixture(Pool):
    """Regression by E experts that read the extractors' features and are mixed by `mixer`.

    Every row is encoded, predicted by all experts, mixed, and learned by all, before the next row is looked at.
    `absolute_error_E`, the sum of the errors each expert would have made alone, tells the best single one.
    """

    num_classes = 0

    def __init__(
        self,
        *,
        extractors: Mapping[str, Extractor],
        experts: Sequence[Expert],
        mixer: RegressionMixer,
        companions: Mapping[str, Path | JSON] | None = None,
    ) -> None:
        super().__init__(extractors=extractors, experts=experts, weighing=mixer, companions=companions)
        self._mixer = mixer
        self.absolute_error_E = np.zeros(len(self._experts))
        self.answers_BE: Floats = np.zeros((0, len(self._experts)))
        """What each expert alone answered in the last `learn`."""

    def learn(self, batch: Batch, target_B: Floats, weight_B: Floats) -> Floats:
        if not np.isfinite(target_B).all():
            raise ValueError(f"target {target_B[~np.isfinite(target_B)][0]} is not a finite number; drop such rows")
        self.begin(batch)
        output_B = np.zeros(len(batch))
        self.answers_BE = np.zeros((len(batch), len(self._experts)))
        for row in range(len(batch)):
            p_E = self.say(row)
            output_B[row] = self._mixer.mix(p_E)
            self.answers_BE[row] = p_E
            if weight_B[row] > 0.0:
                self._learn_row(p_E, float(output_B[row]), float(target_B[row]), float(weight_B[row]))
            self.num_rows += 1
        return output_B

    def predict(self, batch: Batch) -> Floats:
        self.begin(batch)
        return np.array([self._mixer.mix(self.say(row)) for row in range(len(batch))])

    def say(self, row: int) -> Floats:
        self._encode(row)
        return np.concatenate([expert.predict() for expert in self._experts])

    def answers(self, said: Floats) -> tuple[Floats, ...]:
        return (np.array([self._mixer.mix(said)]),)

    def alone(self, said: Floats) -> Floats:
        return said

    def take(self, row: int, said: Floats, target: float, weight: float) -> None:
        if weight > 0.0:
            self.say(row)
            self._learn_row(said, self._mixer.mix(said), target, weight)
        self.num_rows += 1

    def _learn_row(self, p_E: Floats, output: float, target: float, weight: float) -> None:
        self.absolute_error_E += abs(p_E - target)
        self._loss += (abs(output - target) - self._loss) / min(self.num_rows + 1, LOSS_HORIZON_ROWS)
        self._mixer.learn(target, weight)
        self._learn_parts(target, weight)

    def state_dict(self) -> State:
        return super().state_dict() | {"errors": self.absolute_error_E.copy()}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.absolute_error_E = np.array(state["errors"], dtype=np.float64)
