"""The default learner: a pool of experts under one mixer, learning one row after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daemon.errors import StateError
from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert, Extractor
from daemon.learning.mixer import Mixer
from daemon.learning.models.base import Floats, Model
from daemon.state import JSON, State

# How far back the loss shown in telemetry reaches, in rows.
LOSS_HORIZON_ROWS = 500


class Mixture(Model):
    """Classification by E experts that read the extractors' features and are mixed by `mixer`.

    Every row is encoded, predicted by all experts, mixed, and learned by all, before the next row is looked at; a new label
    grows the pool in between. Experts predict over C + 1 classes (see `experts/base.py`); the answer is the mixed
    distribution over the C known ones. `errors_E`, the errors each expert would have made alone, tells the best single one.
    """

    weights_name = "mixture"

    def __init__(
        self,
        *,
        extractors: Mapping[str, Extractor],
        experts: Sequence[Expert],
        mixer: Mixer,
        companions: Mapping[str, Path | JSON] | None = None,
    ) -> None:
        self._extractors = dict(extractors)
        self._experts = tuple(experts)
        self._mixer = mixer
        self._companions = dict(companions or {})
        self.num_classes = 0
        self.num_rows = 0
        self.errors_E = np.zeros(len(self._experts), dtype=np.int64)
        self.answers_BE: NDArray[np.int64] = np.zeros((0, len(self._experts)), dtype=np.int64)
        """What each expert alone answered in the last `learn`: class indices, -1 where no label was known yet."""
        self._num_learned = 0
        self._loss = 0.0

    @property
    def expert_names(self) -> tuple[str, ...]:
        return tuple(expert.name for expert in self._experts)

    def learn(self, batch: Batch, target_B: Floats, weight_B: Floats) -> Floats:
        self._begin(batch)
        num_known = max(self.num_classes, int(target_B.max(initial=-1.0)) + 1)
        output_BC = np.zeros((len(batch), num_known))
        self.answers_BE = np.full((len(batch), len(self._experts)), -1, dtype=np.int64)
        for row in range(len(batch)):
            p_EK = self._predict_row(row)
            mixed_K = self._mixer.mix(p_EK)
            known = self.num_classes
            if known:
                output_BC[row, :known] = _over_known(mixed_K)
                self.answers_BE[row] = p_EK[:, :known].argmax(axis=1)
            if weight_B[row] > 0.0:
                self._learn_row(row, int(target_B[row]), float(weight_B[row]), mixed_K)
            self.num_rows += 1
        return output_BC[:, : self.num_classes]

    def predict(self, batch: Batch) -> Floats:
        self._begin(batch)
        output_BC = np.zeros((len(batch), self.num_classes))
        if self.num_classes:
            for row in range(len(batch)):
                output_BC[row] = _over_known(self._mixer.mix(self._predict_row(row)))
        return output_BC

    def _begin(self, batch: Batch) -> None:
        for extractor in self._extractors.values():
            extractor.begin(batch)
        for expert in self._experts:
            expert.begin(batch)

    def _predict_row(self, row: int) -> Floats:
        for extractor in self._extractors.values():
            extractor.encode(row)
        return np.stack([expert.predict() for expert in self._experts])

    def _learn_row(self, row: int, target: int, weight: float, mixed_K: Floats) -> None:
        seen_as = min(target, self.num_classes)  # a new label was predicted as the spare
        self.errors_E += self.answers_BE[row] != target
        self._num_learned += 1
        self._loss += (-float(np.log(mixed_K[seen_as])) - self._loss) / min(self._num_learned, LOSS_HORIZON_ROWS)
        self._mixer.learn(seen_as, weight)
        while self.num_classes <= target:
            for expert in self._experts:
                expert.grow()
            self.num_classes += 1
        for expert in self._experts:
            expert.learn(target, weight)
        for extractor in self._extractors.values():
            extractor.learn(target, weight)

    def rewarm(self) -> None:
        """Nothing to do: no part of the pool has a schedule, and fixed share finds the experts that adapt fastest."""

    def set_rate(self, learning_rate: float) -> None:
        """Nothing to do: the pool spans its rates, from which the mixer chooses."""

    def stats(self) -> dict[str, float]:
        weight_E = self._mixer.expert_weights
        return {"loss": self._loss} | {
            f"expert_weight_{expert.name}": float(weight) for expert, weight in zip(self._experts, weight_E, strict=True)
        }

    def is_finite(self) -> bool:
        return self._mixer.is_finite() and all(_all_finite(expert.weights()) for expert in self._experts)

    def state_dict(self) -> State:
        return {
            "rows": self.num_rows,
            "learned": self._num_learned,
            "num_classes": self.num_classes,
            "loss": self._loss,
            "errors": self.errors_E.copy(),
            "mixer": self._mixer.state_dict(),
            "extractors": {name: extractor.state_dict() for name, extractor in self._extractors.items()},
            "experts": {expert.name: expert.state_dict() for expert in self._experts},
        }

    def load_state_dict(self, state: State) -> None:
        self._check_names(state)
        self.num_rows = int(state["rows"])
        self._num_learned = int(state["learned"])
        self.num_classes = int(state["num_classes"])
        self._loss = float(state["loss"])
        self.errors_E = np.array(state["errors"], dtype=np.int64)
        self._mixer.load_state_dict(state["mixer"])
        for name, extractor in self._extractors.items():
            extractor.load_state_dict(state["extractors"][name])
        for expert in self._experts:
            expert.load_state_dict(state["experts"][expert.name])

    def weights(self) -> State:
        return {
            "num_classes": self.num_classes,
            "mixer": self._mixer.weights(),
            "extractors": {name: extractor.weights() for name, extractor in self._extractors.items()},
            "experts": {expert.name: expert.weights() for expert in self._experts},
        }

    def load_weights(self, state: State) -> None:
        self._check_names(state)
        self.num_classes = int(state["num_classes"])
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


def _over_known(mixed_K: Floats) -> Floats:
    """(C,) the distribution given that the label is one of the known ones; the spare comes last in K."""
    known_C = mixed_K[:-1]
    over_known_C: Floats = known_C / known_C.sum()
    return over_known_C


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
