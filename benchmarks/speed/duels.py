"""Who takes turns with whom, and what is to be reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Side = Literal["learnd", "peers"]


@dataclass(frozen=True)
class Contestant:
    """A pass by name, and the environment that it runs in."""

    name: str
    side: Side = "learnd"


@dataclass(frozen=True)
class Duel:
    """`ours` against `theirs` over `num_rows` rows: `floor` and `aim` bound how many times as fast `ours` is.

    Without `theirs` the seconds of a row are bounded instead (`most_us`, microseconds): the only figures here that depend on
    the machine. `more_accurate` says that `ours` must also make fewer errors.
    """

    name: str
    ours: Contestant
    theirs: Contestant | None
    num_rows: int
    floor: float = 0.0
    aim: float = 0.0
    most_us: float = 0.0
    more_accurate: bool = False


DUELS: Final = (
    Duel(
        "elec2_deep_river_mlp",
        Contestant("elec2_bare"),
        Contestant("deep_river_mlp", "peers"),
        4_000,
        floor=2.0,
        aim=5.0,
        more_accurate=True,
    ),
    Duel(
        "elec2_river_arf",
        Contestant("elec2_bare"),
        Contestant("river_arf", "peers"),
        4_000,
        floor=2.0,
        aim=5.0,
        more_accurate=True,
    ),
    Duel(
        "linear_river_logistic",
        Contestant("elec2_linear"),
        Contestant("river_logistic", "peers"),
        20_000,
        floor=1.0,
        aim=1.0,
        more_accurate=True,
    ),
    # Long enough for the first snapshot, which nothing has earned yet, to be of little weight, and ended before Elec2's first
    # alarm (row 18,015): the bare learner has no detector, so what a reaction costs would be the daemon's alone.
    Duel("table_daemon", Contestant("elec2_daemon"), Contestant("elec2_bare"), 16_000, floor=0.9, aim=0.9),
    Duel("text_daemon", Contestant("text_daemon"), Contestant("text_2_bare"), 6_000, floor=0.9, aim=0.9),
    # As fast as 1 / 1.1 of the bare pass.
    Duel("encoder", Contestant("encoder"), Contestant("bare_encoder"), 256, floor=1 / 1.1, aim=1 / 1.1),
    # How much of a row the Gram scan would save, and at how many errors more.
    Duel("dense_2_classes", Contestant("dense_rows_2"), Contestant("dense_scan_2"), 2_000),
    Duel("dense_77_classes", Contestant("dense_rows_77"), Contestant("dense_scan_77"), 6_000),
    Duel("text_2_classes", Contestant("text_2_bare"), None, 2_000, most_us=600),
    Duel("text_150_classes", Contestant("text_150_bare"), None, 2_000, most_us=1_000),
)
