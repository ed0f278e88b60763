"""What the pool was before an alarm, kept for a while beside what it becomes."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Expert, array_bytes
from daemon.learning.mixer import Mixer
from daemon.learning.models.base import Floats
from daemon.state import State

# An anchor holds so many rows after the alarm for which it was last needed.
HOLD_ROWS: Final = 2_000
# The mixer is remembered every so many rows, so many times: an alarm finds it as it was 256 to 384 rows earlier, before any
# change that a detector needed as long to find.
REMEMBER_ROWS: Final = 128
REMEMBERED: Final = 3
# The part of the weight that the anchor and the learner both get of every row.
SHARE: Final = 0.01
FLOOR: Final = 1e-4
# With less weight than this it is asked on every fourth row only.
AWAKE: Final = 0.05
ASLEEP_ROWS: Final = 4


class Anchor:
    """A frozen copy of the pool's experts, taken at an alarm and weighed against the pool by fixed share.

    An alarm may be a new concept, or a burst of wrong labels that will pass. The pool has to follow both, and after a burst
    it needs a thousand rows to find back; the anchor does not follow, so the answers are as good as before within some ten
    rows of the burst's end. After a true change its weight stays near nothing.

    At the alarm the experts have learned some tens of the new rows, which changes them little, but the mixer has already
    turned to those that follow fastest. So the anchor mixes them as the pool did a few hundred rows before. It reads the
    pool's own extractors, costs nothing while there was no alarm and little while it is of no use, and goes 2,000 learned rows
    after the last alarm.

    Fixed share between two: Herbster and Warmuth 1998.
    """

    def __init__(self, *, make_experts: Callable[[], Sequence[Expert]]) -> None:
        """`make_experts` builds experts on the extractors of the pool, in its order."""
        self._make_experts = make_experts
        self._earlier: deque[State] = deque(maxlen=REMEMBERED)
        self._num_rows = 0
        self._rows_left = 0
        self._experts: tuple[Expert, ...] = ()
        self._mixer: Mixer | None = None
        self._num_classes = 0
        self._weight = SHARE
        self._said: tuple[Floats, Floats] | None = None  # of the row mixed last, where both spoke: pool and anchor

    @property
    def holds(self) -> bool:
        """Whether there is one now."""
        return self._mixer is not None

    @property
    def speaks(self) -> bool:
        """Whether it is asked for the current row."""
        return self.holds and (self._weight >= AWAKE or self._num_rows % ASLEEP_ROWS == 0)

    def drop(self, *, experts: Sequence[Expert], mixer: Mixer, num_classes: int) -> None:
        """An alarm: keep what the pool was before. An anchor that holds already was dropped before this trouble: it stays."""
        self._rows_left = HOLD_ROWS
        if not self.holds:
            earlier = self._earlier[0] if self._earlier else mixer.weights()
            self._take({expert.name: expert.weights() for expert in experts}, earlier, mixer)
            self._num_classes, self._weight = num_classes, SHARE

    def _take(self, experts: State, weights: State, mixer: Mixer) -> None:
        self._experts = tuple(self._make_experts())
        for expert in self._experts:
            expert.load_weights(copy.deepcopy(experts[expert.name]))
        self._mixer = copy.deepcopy(mixer)
        self._mixer.load_weights(copy.deepcopy(weights))

    def begin(self, batch: Batch) -> None:
        """Take a micro-batch, after the extractors did."""
        for expert in self._experts:
            expert.begin(batch)

    def say(self, num_classes: int) -> Floats:
        """(1, C + 1) what it gives to the current row; labels that came since share what it gives to a new one."""
        assert self._mixer is not None, "ask `speaks` first"
        p_K = self._mixer.mix(np.stack([expert.predict() for expert in self._experts]))
        said_1K = np.full((1, num_classes + 1), p_K[-1] / (num_classes + 1 - self._num_classes))
        said_1K[0, : self._num_classes] = p_K[:-1]
        return said_1K

    def join(self, mixed_K: Floats, said_AK: Floats) -> Floats:
        """(K,) the answer of both, from what the pool gives and what the anchor gave, (1, K), or (0, K) where it was not asked.
        Kept for the `learn` that follows: that of this very row, or none."""
        if not self.holds or not len(said_AK):
            self._said = None
            return mixed_K
        self._said = mixed_K, said_AK[0]
        joined_K: Floats = (1.0 - self._weight) * mixed_K + self._weight * said_AK[0]
        return joined_K

    def learn(self, target: int, weight: float, mixer: Mixer) -> None:
        """The row joined last, if any, was `target`; `mixer` is the pool's before it learns the row."""
        if self._num_rows % REMEMBER_ROWS == 0:
            self._earlier.append(copy.deepcopy(mixer.weights()))
        self._num_rows += 1
        if self._said is not None:
            said = [max(float(p_K[target]), FLOOR) for p_K in self._said]
            # Of the ratio to the better: however heavy the row, one of the two is 1.
            pool, anchor = ((p / max(said)) ** weight for p in said)
            kept = self._weight * anchor / (self._weight * anchor + (1.0 - self._weight) * pool)
            self._weight, self._said = (1.0 - SHARE) * kept + SHARE / 2, None
        if self.holds:
            self._rows_left -= 1
            if self._rows_left == 0:
                self._experts, self._mixer = (), None

    def state_dict(self) -> State:
        return self.weights() | {
            "rows_left": self._rows_left,
            "earlier": {str(place): copy.deepcopy(weights) for place, weights in enumerate(self._earlier)},
        }

    def load_state_dict(self, state: State, mixer: Mixer) -> None:
        self.load_weights(state, mixer)
        self._rows_left = int(state["rows_left"])
        earlier = (state["earlier"][str(place)] for place in range(len(state["earlier"])))
        self._earlier = deque(earlier, maxlen=REMEMBERED)

    def num_bytes(self) -> int:
        """Memory that it takes."""
        mixers = {"earlier": {str(place): weights for place, weights in enumerate(self._earlier)}}
        if self._mixer is not None:
            mixers["mixer"] = self._mixer.weights()
        return array_bytes(mixers) + sum(expert.num_bytes() for expert in self._experts)

    def weights(self) -> State:
        if self._mixer is None:
            return {"holds": False, "rows": self._num_rows}
        return {
            "holds": True,
            "rows": self._num_rows,
            "num_classes": self._num_classes,
            "weight": self._weight,
            "mixer": self._mixer.weights(),
            "experts": {expert.name: expert.weights() for expert in self._experts},
        }

    def load_weights(self, state: State, mixer: Mixer) -> None:
        """`mixer` is one like that of the pool."""
        self._num_rows = int(state["rows"])
        self._experts, self._mixer, self._said = (), None, None
        if state["holds"]:
            self._take(state["experts"], state["mixer"], mixer)
            self._num_classes, self._weight = int(state["num_classes"]), float(state["weight"])
