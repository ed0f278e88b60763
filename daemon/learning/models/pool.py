"""What every pool of experts under a mixer has in common: the way of a row, and the state of its parts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from daemon.errors import StateError
from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert, Extractor, array_bytes
from daemon.learning.models.base import Floats, Model
from daemon.learning.reactions import Reactions
from daemon.state import JSON, State

# How far back the loss shown in telemetry reaches, in rows.
LOSS_HORIZON_ROWS = 500
# A reaction applies from the next learned row on whose ordinal is a multiple of this.
REACT_ROWS = 64
NOTHING = np.empty(0, np.float32)


class Part(Protocol):
    """What an expert, an extractor and a mixer are to their pool: a piece of its state."""

    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...
    def weights(self) -> State: ...
    def load_weights(self, state: State) -> None: ...


class Weighing(Part, Protocol):
    """The side of a mixer that does not depend on what it mixes."""

    @property
    def expert_weights(self) -> Floats: ...
    def hasten(self) -> None: ...


class Pool(Model):
    """E experts that read the extractors' features and are mixed by a mixer; extractors and experts as in `experts/base.py`.

    A row's way is `begin` with its micro-batch; `say`, what the experts predict; and learning. Where labels are late, other
    rows go their way in between; `take` then has the mixer learn from what was said of the row in time, the experts from what
    they would say now (see `learning/late.py`).
    """

    weights_name = "mixture"

    def __init__(
        self,
        *,
        extractors: Mapping[str, Extractor],
        experts: Sequence[Expert],
        weighing: Weighing,
        companions: Mapping[str, Path | JSON] | None,
        reactions: Reactions,
        shows_inputs: bool,
    ) -> None:
        self._extractors = dict(extractors)
        self._experts = tuple(experts)
        self._learning: Sequence[Expert] = self._experts
        self._stepping = [expert for expert in self._experts if type(expert).pieces is not Expert.pieces]
        self._weighing, self._reactions, self._shows_inputs = weighing, reactions, shows_inputs
        self._companions = dict(companions or {})
        self.num_rows = 0
        self.num_learned = 0
        self._reaction_due = False
        self._batch = Batch((), ())
        self.errors_E = np.zeros(len(self._experts))
        """What each expert would have lost alone: errors, or the sum of its absolute errors."""
        self._loss = 0.0
        self._best: list[Floats] = []
        self._seen: list[NDArray[np.float32]] = []

    @property
    def expert_names(self) -> tuple[str, ...]:
        return tuple(expert.name for expert in self._experts)

    def foresee(self, batch: Batch) -> None:
        for extractor in self._extractors.values():
            extractor.foresee(batch)

    def begin(self, batch: Batch) -> None:
        """Take a micro-batch; no part of it is learned yet."""
        self._batch = batch
        for extractor in self._extractors.values():
            extractor.begin(batch)
        for expert in self._experts:
            expert.begin(batch)

    @abstractmethod
    def say(self, row: int) -> Floats:
        """What each expert predicts for a row of the micro-batch; (E, K) or (E,)."""

    @abstractmethod
    def answers(self, said: Floats, *, balanced: bool) -> tuple[Floats, ...]:
        """The answer to the row of which `said` was just said, (C,) or (1,), and with `balanced` that one too, where there is
        one. None before the first label."""

    @abstractmethod
    def take(self, row: int, said: Floats | None, target: float, weight: float, *, late_by: int = 0) -> None:
        """Learn a row of the micro-batch, of which `said` was said `late_by` rows ago; None is what would be said now."""

    @abstractmethod
    def alone(self, said: Sequence[Floats]) -> Floats:
        """Outputs like those of `learn`, by what one expert said of each row."""

    def look(self, said: Floats) -> None:
        """Remember of the current row, of which `said` was just said, what the best expert said and what was read."""
        self._look_at_experts(said)
        self._look_at_inputs()

    def _look_at_experts(self, said: Floats) -> None:
        self._best.append(said[int(self.errors_E.argmin())])

    def _look_at_inputs(self) -> None:
        if self._shows_inputs:
            self._seen.append(np.concatenate([NOTHING, *(extractor.summary() for extractor in self._extractors.values())]))

    def show(self) -> tuple[Floats, NDArray[np.float32] | None]:
        """`best_expert` and `inputs_BD` of the rows that were looked at since the last call."""
        best, seen_BD = self.alone(self._best), np.array(self._seen, np.float32)
        self._best, self._seen = [], []
        return best, seen_BD if seen_BD.size else None

    def _encode(self, row: int) -> None:
        for extractor in self._extractors.values():
            extractor.encode(row)

    def _learn_parts(self, target: float, weight: float) -> None:
        self.num_learned += 1
        for expert in self._learning:
            expert.learn(target, weight)
        for extractor in self._extractors.values():
            extractor.learn(target, weight)

    def pieces(self, weight_B: Floats) -> list[slice]:
        cuts = {piece.stop for expert in self._stepping for piece in expert.pieces(weight_B)} | {0, len(weight_B)}
        learned_N = np.flatnonzero(weight_B > 0)
        cuts.update(learned_N[-self.num_learned % REACT_ROWS :: REACT_ROWS].tolist())
        return [slice(start, end) for start, end in pairwise(sorted(cuts))]

    def react(self) -> None:
        self._reaction_due = True

    def turn(self, weight: float) -> None:
        """Called before each row, with the weight that it is learned with: a reaction that waits for its place applies here, if
        this is it. Rows of weight 0 lie before that place, so that an alarm on one of them is in time wherever it was cut."""
        if self._reaction_due and weight > 0.0 and self.num_learned % REACT_ROWS == 0:
            self._reaction_due = False
            self._react_now()

    def _react_now(self) -> None:
        if self._reactions.faster_mixer:
            self._weighing.hasten()
        for expert in self._experts:
            expert.react()

    def set_rate(self, learning_rate: float) -> None:
        """For the experts that learn at a rate which is set: the others span their rates, from which the mixer chooses."""
        for expert in self._experts:
            expert.set_rate(learning_rate)

    def stats(self) -> dict[str, float]:
        weights = zip(self.expert_names, self._weighing.expert_weights.tolist(), strict=True)
        stats = {"loss": self._loss} | {f"expert_weight_{name}": weight for name, weight in weights}
        for expert in self._experts:
            stats |= expert.stats()
        return stats

    def state_dict(self) -> State:
        own = {
            "rows": self.num_rows,
            "reaction": {"learned": self.num_learned, "due": self._reaction_due},
            "loss": self._loss,
            "errors": self.errors_E.copy(),
        }
        return own | self._parts(_state_of)

    def load_state_dict(self, state: State) -> None:
        self._load_parts(state, lambda part, saved: part.load_state_dict(saved))
        self.num_rows = int(state["rows"])
        self.num_learned, self._reaction_due = int(state["reaction"]["learned"]), bool(state["reaction"]["due"])
        self._loss = float(state["loss"])
        self.errors_E = np.array(state["errors"], np.float64)

    def weights(self) -> State:
        return self._parts(lambda part: part.weights())

    def load_weights(self, state: State) -> None:
        self._load_parts(state, lambda part, saved: part.load_weights(saved))

    def _parts(self, of: Callable[[Part], State]) -> State:
        return {
            "mixer": of(self._weighing),
            "extractors": {name: of(extractor) for name, extractor in self._extractors.items()},
            "experts": {expert.name: of(expert) for expert in self._experts},
        }

    def _load_parts(self, state: State, load: Callable[[Part, State], None]) -> None:
        for part, here in (("experts", set(self.expert_names)), ("extractors", set(self._extractors))):
            if set(state[part]) != here:
                raise StateError(
                    f"the saved pool has the {part} {sorted(state[part])}, this one has {sorted(here)}; "
                    "set the model as it was when the state was saved, or start with a fresh folder"
                )
        load(self._weighing, state["mixer"])
        for name, extractor in self._extractors.items():
            load(extractor, state["extractors"][name])
        for expert in self._experts:
            load(expert, state["experts"][expert.name])

    def companions(self) -> Mapping[str, Path | JSON]:
        return self._companions

    def state_bytes(self) -> dict[str, int]:
        experts = {part: size for expert in self._experts for part, size in expert.state_bytes().items()}
        extractors = {name: array_bytes(extractor.state_dict()) for name, extractor in self._extractors.items()}
        return {**experts, **extractors, "mixer": array_bytes(self._weighing.state_dict())}


def _state_of(part: Part) -> State:
    return part.state_dict()
