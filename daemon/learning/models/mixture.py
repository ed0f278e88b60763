"""The default learner: a pool of experts under one mixer, learning one row after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from daemon.learning.anchor import Anchor
from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert, Extractor
from daemon.learning.mixer import Mixer
from daemon.learning.models.base import Floats, check_rows
from daemon.learning.models.distributions import add_errors, geometric_mean, over_known
from daemon.learning.models.pool import LOSS_HORIZON_ROWS, Pool
from daemon.learning.reactions import Reactions
from daemon.learning.second_label import behind_second
from daemon.state import JSON, State


class Mixture(Pool):
    """Classification by E experts that read the extractors' features and are mixed by `mixer`.

    Every row is encoded, predicted by all experts, mixed, and learned by all, before the next row is looked at; a new label
    grows the pool in between. Experts predict over C + 1 classes (see `experts/base.py`); the answer is the mixed
    distribution over the C known ones.
    """

    answers_balanced = True

    def __init__(
        self,
        *,
        extractors: Mapping[str, Extractor],
        experts: Sequence[Expert],
        mixer: Mixer,
        make_experts: Callable[[], Sequence[Expert]] | None = None,
        companions: Mapping[str, Path | JSON] | None = None,
        reactions: Reactions = Reactions(),  # noqa: B008 - it is frozen
        shows_inputs: bool = False,
    ) -> None:
        """`make_experts` builds such experts once more, on the same extractors, for an anchor; without it there is none."""
        super().__init__(
            extractors=extractors,
            experts=experts,
            weighing=mixer,
            companions=companions,
            reactions=reactions,
            shows_inputs=shows_inputs,
        )
        self._mixer = mixer
        # None reads what another's learning changes, so the last to predict may learn first: what it read is still near, in the
        # processor's cache.
        self._learning = self._experts[::-1]
        self._anchor = None if make_experts is None else Anchor(make_experts=make_experts)
        self.num_classes = 0
        self._rows_alone = 0  # learned before a second label came
        self._rows_since_new = 0  # learned since the one that brought the newest label

    def learn(self, batch: Batch, target_B: Floats, weight_B: Floats) -> Floats:
        check_rows(target_B.tolist(), weight_B.tolist(), classifies=True)
        self.begin(batch)
        num_known = max(self.num_classes, int(target_B.max(initial=-1.0, where=weight_B > 0.0)) + 1)
        output_BC = np.zeros((len(batch), num_known))
        row = 0
        while row < len(batch):
            self.turn(weight_B[row])
            row = self._learn_from(row, target_B, weight_B, output_BC)
        self.best_expert, self.inputs_BD = self.show()
        return output_BC[:, : self.num_classes]

    def _learn_from(self, start: int, target_B: Floats, weight_B: Floats, output_BC: Floats) -> int:
        """Answer rows of the micro-batch from `start` on in `output_BC`, and learn them; returns which one is next."""
        said = self.say(start)
        mixed_K = self._answer_row(start, said, output_BC)
        self._look_at_inputs()
        if weight_B[start] > 0.0:
            self._learn_row(int(target_B[start]), float(weight_B[start]), mixed_K, said)
        self.num_rows += 1
        return start + 1

    def _answer_row(self, row: int, said: Floats, output_BC: Floats) -> Floats:
        """(K,) the mixed distribution, of which the answer is made."""
        mixed_K = self._mix(said)
        self._look_at_experts(said)
        if self.num_classes:
            output_BC[row, : self.num_classes] = self._answer(mixed_K)
        return mixed_K

    def predict(self, batch: Batch) -> Floats:
        self.begin(batch)
        output_BC = np.zeros((len(batch), self.num_classes))
        if self.num_classes:
            for row in range(len(batch)):
                output_BC[row] = over_known(self._mix(self.say(row)))
        return output_BC

    def predict_balanced(self, batch: Batch) -> Floats:
        """(B, C) as if all classes were equally frequent: the geometric mean of the experts that can answer so.

        Their weights are not learned, since a stream that comes sorted by label shows only who follows it best. Where no
        expert can, the answer is that of `predict`.
        """
        self.begin(batch)
        output_BC = np.zeros((len(batch), self.num_classes))
        for row in range(len(batch) if self.num_classes else 0):
            said = self.say(row)
            balanced_C = self._balanced_answer()
            output_BC[row] = over_known(self._mix(said)) if balanced_C is None else balanced_C
        return output_BC

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        if self._anchor is not None:
            self._anchor.begin(batch)

    def say(self, row: int) -> Floats:
        """(E, K), and one row more where an anchor speaks: what it gives."""
        self._encode(row)
        p_EK = np.concatenate([expert.predict() for expert in self._experts]).reshape(-1, self.num_classes + 1)
        return self._with_anchor(p_EK)

    def _with_anchor(self, p_EK: Floats) -> Floats:
        if self._anchor is not None and self._anchor.speaks:
            return np.concatenate([p_EK, self._anchor.say(self.num_classes)])
        return p_EK

    def _mix(self, said: Floats) -> Floats:
        """(K,) the mixed distribution, kept by the mixer and the anchor for the learning that follows."""
        num_experts = len(self._experts)
        mixed_K = self._mixer.mix(said[:num_experts])
        return mixed_K if self._anchor is None else self._anchor.join(mixed_K, said[num_experts:])

    def _answer(self, mixed_K: Floats) -> Floats:
        """(C,) for the next row of the stream, after `say`: `mixed_K` over the known labels. A query, which may be like any row
        that ever came, is answered without a look at which row it is."""
        if self.num_classes == 2 and self._rows_since_new == 0:
            mixed_K = behind_second(mixed_K, self._balanced(), rows_alone=self._rows_alone)
        return over_known(mixed_K)

    def answers(self, said: Floats, *, balanced: bool) -> tuple[Floats, ...]:
        if said.shape[1] == 1:
            return ()
        balanced_C = self._balanced_answer() if balanced else None
        answer_C = over_known(self._mix(said))
        return (answer_C,) if balanced_C is None else (answer_C, balanced_C)

    def alone(self, said: Sequence[Floats]) -> Floats:
        alone_BC = np.zeros((len(said), self.num_classes))
        start = 0
        for num_said, rows in groupby(said, key=len):  # it grows with each new label
            known_RC = np.array(list(rows))[:, :-1]
            alone_BC[start : start + len(known_RC), : num_said - 1] = known_RC / known_RC.sum(axis=1, keepdims=True)
            start += len(known_RC)
        return alone_BC

    def take(self, row: int, said: Floats | None, target: float, weight: float, *, late_by: int = 0) -> None:
        if weight > 0.0:
            now = self.say(row)
            said = now if said is None else said
            self._learn_row(int(target), weight, self._mix(said), said, late_by=late_by)
        self.num_rows += 1

    def _balanced_answer(self) -> Floats | None:
        """(C,) for the current row, after `say`."""
        balanced = self._balanced()
        return over_known(geometric_mean(balanced)) if balanced else None

    def _balanced(self) -> list[Floats]:
        """(K,) of each expert that can answer so."""
        return [p_K for p_K in (expert.predict_balanced() for expert in self._experts) if p_K is not None]

    def _learn_row(self, target: int, weight: float, mixed_K: Floats, said: Floats, *, late_by: int = 0) -> None:
        self._weigh(target, weight, mixed_K, said, late_by=late_by)
        while self.num_classes <= target:
            for expert in self._experts:
                expert.grow()
            self.num_classes += 1
        self._learn_parts(target, weight)

    def _weigh(self, target: int, weight: float, mixed_K: Floats, said: Floats, *, late_by: int = 0) -> None:
        """Learn how much each expert is worth."""
        seen_as = min(target, len(mixed_K) - 1)  # a new label was predicted as the spare
        add_errors(said, target, self.errors_E)
        loss = -float(np.log(mixed_K[seen_as]))
        self._loss += (loss - self._loss) / min(self.num_learned + 1, LOSS_HORIZON_ROWS)
        if self._anchor is not None:
            self._anchor.learn(seen_as, weight, self._mixer)
        self._mixer.learn(seen_as, weight, late_by=late_by)
        self._rows_alone += target == 0 and self.num_classes < 2
        self._rows_since_new = 0 if target >= self.num_classes else self._rows_since_new + 1

    def _react_now(self) -> None:
        super()._react_now()
        if self._anchor is not None and self._reactions.anchor:
            self._anchor.drop(experts=self._experts, mixer=self._mixer, num_classes=self.num_classes)
            self._anchor.begin(self._batch)

    def state_dict(self) -> State:
        anchor = {} if self._anchor is None else {"anchor": self._anchor.state_dict()}
        return super().state_dict() | anchor | self._classes()

    def state_bytes(self) -> dict[str, int]:
        return super().state_bytes() | ({} if self._anchor is None else {"anchor": self._anchor.num_bytes()})

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        if self._anchor is not None:
            self._anchor.load_state_dict(state["anchor"], self._mixer)
        self._load_classes(state)

    def weights(self) -> State:
        anchor = {} if self._anchor is None else {"anchor": self._anchor.weights()}
        return super().weights() | anchor | self._classes()

    def _classes(self) -> State:
        return {
            "num_classes": self.num_classes,
            "rows_alone": self._rows_alone,
            "rows_since_new": self._rows_since_new,
        }

    def _load_classes(self, state: State) -> None:
        self.num_classes = int(state["num_classes"])
        self._rows_alone, self._rows_since_new = int(state["rows_alone"]), int(state["rows_since_new"])

    def load_weights(self, state: State) -> None:
        super().load_weights(state)
        if self._anchor is not None:
            self._anchor.load_weights(state["anchor"], self._mixer)
        self._load_classes(state)
