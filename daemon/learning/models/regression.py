"""The default regressor: a pool of experts under one mixer, learning one row after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from daemon.errors import StateError
from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert, Extractor
from daemon.learning.models.base import Floats, Model
from daemon.learning.regression_mixer import RegressionMixer
from daemon.state import JSON, State

# How far back the loss shown in telemetry reaches, in rows.
LOSS_HORIZON_ROWS = 500


class RegressionMixture(Model):
    """Regression by E experts that read the extractors' features and are mixed by `mixer`.

    Every row is encoded, predicted by all experts, mixed, and learned by all, before the next row is looked at. Extractors and
    experts are as in `experts/base.py`. `absolute_error_E`, the sum of the errors each expert would have made alone, tells the
    best single one.
    """

    weights_name = "mixture"
    num_classes = 0

    def __init__(
        self,
        *,
        extractors: Mapping[str, Extractor],
        experts: Sequence[Expert],
        mixer: RegressionMixer,
        companions: Mapping[str, Path | JSON] | None = None,
    ) -> None:
        self._extractors = dict(extractors)
        self._experts = tuple(experts)
        self._mixer = mixer
        self._companions = dict(companions or {})
        self.num_rows = 0
        self.absolute_error_E = np.zeros(len(self._experts))
        self.answers_BE: Floats = np.zeros((0, len(self._experts)))
        """What each expert alone answered in the last `learn`."""
        self._loss = 0.0

    @property
    def expert_names(self) -> tuple[str, ...]:
        return tuple(expert.name for expert in self._experts)

    def learn(self, batch: Batch, target_B: Floats, weight_B: Floats) -> Floats:
        if not np.isfinite(target_B).all():
            raise ValueError(f"target {target_B[~np.isfinite(target_B)][0]} is not a finite number; drop such rows")
        self._begin(batch)
        output_B = np.zeros(len(batch))
        self.answers_BE = np.zeros((len(batch), len(self._experts)))
        for row in range(len(batch)):
            p_E = self._predict_row(row)
            output_B[row] = self._mixer.mix(p_E)
            self.answers_BE[row] = p_E
            if weight_B[row] > 0.0:
                self._learn_row(p_E, float(output_B[row]), float(target_B[row]), float(weight_B[row]))
            self.num_rows += 1
        return output_B

    def predict(self, batch: Batch) -> Floats:
        self._begin(batch)
        return np.array([self._mixer.mix(self._predict_row(row)) for row in range(len(batch))])

    def _begin(self, batch: Batch) -> None:
        for extractor in self._extractors.values():
            extractor.begin(batch)
        for expert in self._experts:
            expert.begin(batch)

    def _predict_row(self, row: int) -> Floats:
        for extractor in self._extractors.values():
            extractor.encode(row)
        return np.concatenate([expert.predict() for expert in self._experts])

    def _learn_row(self, p_E: Floats, output: float, target: float, weight: float) -> None:
        self.absolute_error_E += abs(p_E - target)
        self._loss += (abs(output - target) - self._loss) / min(self.num_rows + 1, LOSS_HORIZON_ROWS)
        self._mixer.learn(target, weight)
        for expert in self._experts:
            expert.learn(target, weight)
        for extractor in self._extractors.values():
            extractor.learn(target, weight)

    def rewarm(self) -> None:
        """Nothing to do: no part of the pool has a schedule, and fixed share finds the experts that adapt fastest."""

    def set_rate(self, learning_rate: float) -> None:
        """Nothing to do: the pool spans its rates, from which the mixer chooses."""

    def stats(self) -> dict[str, float]:
        weights = zip(self.expert_names, self._mixer.expert_weights.tolist(), strict=True)
        return {"loss": self._loss} | {f"expert_weight_{name}": weight for name, weight in weights}

    def is_finite(self) -> bool:
        return self._mixer.is_finite() and all(_all_finite(expert.weights()) for expert in self._experts)

    def state_dict(self) -> State:
        return {
            "rows": self.num_rows,
            "loss": self._loss,
            "errors": self.absolute_error_E.copy(),
            "mixer": self._mixer.state_dict(),
            "extractors": {name: extractor.state_dict() for name, extractor in self._extractors.items()},
            "experts": {expert.name: expert.state_dict() for expert in self._experts},
        }

    def load_state_dict(self, state: State) -> None:
        self._check_names(state)
        self.num_rows = int(state["rows"])
        self._loss = float(state["loss"])
        self.absolute_error_E = np.array(state["errors"], dtype=np.float64)
        self._mixer.load_state_dict(state["mixer"])
        for name, extractor in self._extractors.items():
            extractor.load_state_dict(state["extractors"][name])
        for expert in self._experts:
            expert.load_state_dict(state["experts"][expert.name])

    def weights(self) -> State:
        return {
            "mixer": self._mixer.weights(),
            "extractors": {name: extractor.weights() for name, extractor in self._extractors.items()},
            "experts": {expert.name: expert.weights() for expert in self._experts},
        }

    def load_weights(self, state: State) -> None:
        self._check_names(state)
        self._mixer.load_weights(state["mixer"])
        for name, extractor in self._extractors.items():
            extractor.load_weights(state["extractors"][name])
        for expert in self._experts:
            expert.load_weights(state["experts"][expert.name])

    def _check_names(self, state: State) -> None:
        for part, here in (("experts", set(self.expert_names)), ("extractors", set(self._extractors))):
            if set(state[part]) != here:
                raise StateError(
                    f"the saved pool has the {part} {sorted(state[part])}, this one has {sorted(here)}; "
                    "set the model as it was when the state was saved, or start with a fresh folder"
                )

    def companions(self) -> Mapping[str, Path | JSON]:
        return self._companions

    def state_bytes(self) -> dict[str, int]:
        parts = {expert.name: _num_bytes(expert.state_dict()) for expert in self._experts}
        parts |= {name: _num_bytes(extractor.state_dict()) for name, extractor in self._extractors.items()}
        return parts | {"mixer": _num_bytes(self._mixer.state_dict())}


def _num_bytes(state: State) -> int:
    """Bytes of the arrays in a state."""
    return sum(_num_bytes(value) if isinstance(value, dict) else getattr(value, "nbytes", 0) for value in state.values())


def _all_finite(state: State) -> bool:
    """Whether every number in a state's arrays is finite."""
    return all(
        _all_finite(value) if isinstance(value, dict) else bool(np.isfinite(value).all())
        for value in state.values()
        if isinstance(value, dict | np.ndarray)
    )
