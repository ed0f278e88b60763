"""The default regressor: a pool of experts under one mixer, learning one row after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert, Extractor
from daemon.learning.models.base import Floats, check_rows
from daemon.learning.models.pool import LOSS_HORIZON_ROWS, Pool
from daemon.learning.reactions import Reactions
from daemon.learning.regression_mixer import RegressionMixer
from daemon.state import JSON


class RegressionMixture(Pool):
    """Regression by E experts that read the extractors' features and are mixed by `mixer`.

    Every row is encoded, predicted by all experts, mixed, and learned by all, before the next row is looked at.
    """

    num_classes = 0

    def __init__(
        self,
        *,
        extractors: Mapping[str, Extractor],
        experts: Sequence[Expert],
        mixer: RegressionMixer,
        companions: Mapping[str, Path | JSON] | None = None,
        reactions: Reactions = Reactions(),  # noqa: B008 - it is frozen
        shows_inputs: bool = False,
    ) -> None:
        super().__init__(
            extractors=extractors,
            experts=experts,
            weighing=mixer,
            companions=companions,
            reactions=reactions,
            shows_inputs=shows_inputs,
        )
        self._mixer = mixer

    def learn(self, batch: Batch, target_B: Floats, weight_B: Floats) -> Floats:
        check_rows(target_B.tolist(), weight_B.tolist(), classifies=False)
        self.begin(batch)
        output_B = np.zeros(len(batch))
        for row in range(len(batch)):
            self.turn(weight_B[row])
            p_E = self.say(row)
            output_B[row] = self._mixer.mix(p_E)
            self.look(p_E)
            if weight_B[row] > 0.0:
                self._learn_row(p_E, float(output_B[row]), float(target_B[row]), float(weight_B[row]))
            self.num_rows += 1
        self.best_expert, self.inputs_BD = self.show()
        return output_B

    def predict(self, batch: Batch) -> Floats:
        self.begin(batch)
        return np.array([self._mixer.mix(self.say(row)) for row in range(len(batch))])

    def say(self, row: int) -> Floats:
        self._encode(row)
        return np.concatenate([expert.predict() for expert in self._experts])

    def answers(self, said: Floats, *, balanced: bool) -> tuple[Floats, ...]:
        return (np.array([self._mixer.mix(said)]),)

    def alone(self, said: Sequence[Floats]) -> Floats:
        return np.array(said)

    def take(self, row: int, said: Floats | None, target: float, weight: float, *, late_by: int = 0) -> None:
        if weight > 0.0:
            now = self.say(row)
            said = now if said is None else said
            self._learn_row(said, self._mixer.mix(said), target, weight, late_by=late_by)
        self.num_rows += 1

    def _learn_row(self, p_E: Floats, output: float, target: float, weight: float, *, late_by: int = 0) -> None:
        self.errors_E += abs(p_E - target)
        self._loss += (abs(output - target) - self._loss) / min(self.num_learned + 1, LOSS_HORIZON_ROWS)
        self._mixer.learn(target, weight, late_by=late_by)
        self._learn_parts(target, weight)
