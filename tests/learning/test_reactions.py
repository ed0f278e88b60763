from __future__ import annotations

import numpy as np

from daemon.learning.mixer import Mixer
from daemon.learning.reactions import HASTE_ROWS, Haste, Reactions
from tests.learning.texts import text_mixture


def rows_until_trusted(*, hastened: bool) -> int:
    """Two experts of which one was right for a thousand rows, and then the other: rows until that one weighs more."""
    mixer = Mixer(num_experts=2, rates=(), share_rate=0.5)
    for _ in range(1_000):
        mixer.mix(np.array([[0.9, 0.1], [0.4, 0.6]]))
        mixer.learn(0, 1.0)
    if hastened:
        mixer.hasten()
    for row in range(100):
        mixer.mix(np.array([[0.9, 0.1], [0.4, 0.6]]))
        mixer.learn(1, 1.0)
        if mixer.expert_weights[1] > mixer.expert_weights[0]:
            return row + 1
    raise AssertionError("the better expert is never trusted")


def test_a_hastened_mixer_finds_the_better_expert_sooner() -> None:
    slow, fast = rows_until_trusted(hastened=False), rows_until_trusted(hastened=True)
    assert fast < slow


def test_haste_goes_on_where_it_was_saved() -> None:
    first, second = Haste(share=0.001), Haste(share=0.001)
    first.begin()
    for _ in range(HASTE_ROWS - 1):
        first.next_share()
    second.load_state_dict(first.state_dict())
    assert [second.next_share(), second.next_share()] == [first.next_share(), first.next_share()] == [0.01, 0.001]


def test_a_reaction_that_is_switched_off_changes_no_bit() -> None:
    model = text_mixture(with_encoder=False)
    model._reactions = Reactions(faster_mixer=False)
    model.react()
    assert model.state_dict()["mixer"]["haste"] == {"rows_left": 0}
    model._reactions = Reactions()
    model.react()
    assert model.state_dict()["mixer"]["haste"] == {"rows_left": HASTE_ROWS}
