"""What is run, and what is to be reached: one case is one row of the table, or as many as it has goals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Figures = Mapping[str, float | int | None]
Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Beside:
    """A limit set by what rivals reached in the same run: the best of them, times `factor`, plus `plus`."""

    rivals: tuple[str, ...]
    factor: float = 1.0
    plus: float = 0.0

    def value(self, figure: str, *, lower: bool, reached: Mapping[str, Figures]) -> float | None:
        """The limit; None until every rival was run."""
        values = [reached.get(name, {}).get(figure) for name in self.rivals]
        known = [value for value in values if value is not None]
        if len(known) < len(self.rivals):
            return None
        return (min(known) if lower else max(known)) * self.factor + self.plus


Limit = float | Beside | None


@dataclass(frozen=True)
class Goal:
    """One figure with its anchor (a published or measured reference, as text), its floor and its aim."""

    figure: str
    floor: Limit
    aim: Limit
    anchor: str = "–"
    lower: bool = False


@dataclass(frozen=True)
class Case:
    """One run of `learnd backtest` and the peers beside it.

    `flags` go to the command; `delay` labels arrive so many rows late, for learnd, baselines and peers alike; `evaluate` is a
    stream that the final state is scored on. With `history` peers on tables get the last label as one more input: wherever
    learnd reads earlier labels, but for `obd_clicks`. `allowed_delay` and `drift_every` are for streams whose drifts are known.
    `burst` runs `burst.py` instead.
    """

    name: str
    stream: str
    goals: tuple[Goal, ...]
    peers: tuple[str, ...]
    task: Task = "classification"
    flags: tuple[str, ...] = ()
    delay: int = 0
    evaluate: str = ""
    history: bool = True
    drift_every: int = 0
    allowed_delay: int = 0
    burst: bool = False
    note: str = ""


TEXT_PEERS: Final = ("vw", "vw_minilm", "river_tfidf_sgd", "naive_bayes")
FORESTS: Final = ("river_arf", "river_amf", "river_srp")
TABLE_PEERS: Final = ("vw", "naive_bayes", "river_logistic", *FORESTS, "deep_river_mlp")
NUMBER_PEERS: Final = ("vw", "river_linear", "river_arf", "river_amf")
NO_LABELS: Final = ("--set", "features.label_history=false")
ROW_ALONE: Final = "learnd reads the rows before, without their labels; peers see the current row alone"
CURRENT_ONLY: Final = (*NO_LABELS, "--set", "features.earlier_rows=false")
LAST_VALUE: Final = Beside(("last_value",))
BELOW_LAST_VALUE: Final = Beside(("last_value",), factor=0.95)


def _accuracy(anchor: str, floor: Limit, aim: Limit) -> tuple[Goal, ...]:
    return (Goal("accuracy", floor, aim, anchor),)


def _errors(anchor: str, floor: float, aim: float) -> Goal:
    return Goal("errors", floor, aim, anchor, lower=True)


def _numbers(name: str, anchor: str, *, note: str = "") -> Case:
    goal = Goal("mae", LAST_VALUE, BELOW_LAST_VALUE, f"repeat last {anchor}", lower=True)
    return Case(name, name, (goal,), NUMBER_PEERS, task="regression", note=note)


def _drifting(name: str, *, every: int, allowed: int, floor: float, aim: float) -> Case:
    goals = (
        Goal("drift_delay", floor, aim, f"ADWIN {floor:g}", lower=True),
        Goal("false_alarms", 0.0, 0.0, "0", lower=True),
        Goal("missed_drifts", 0.0, 0.0, "0", lower=True),
    )
    note = f"its generator, seed {name.partition('_')[2]}: never seen before" if "_" in name else ""
    return Case(name, name, goals, ("vw", "naive_bayes"), drift_every=every, allowed_delay=allowed, note=note)


CASES: Final = (
    Case("phishing", "phishing", _accuracy(".9135", 0.9168, 0.92), TABLE_PEERS),
    Case("bananas", "bananas", _accuracy(".8894", 0.8951, 0.90), TABLE_PEERS),
    Case("image_segments", "image_segments", _accuracy(".902", 0.9550, 0.957), TABLE_PEERS),
    Case(
        "keystroke",
        "keystroke",
        _accuracy("best forest beside", Beside(FORESTS), Beside(FORESTS, plus=0.02)),
        TABLE_PEERS,
        flags=NO_LABELS,
        history=False,
        note=ROW_ALONE,
    ),
    _numbers("trump_approval", ".151"),
    _numbers("chick_weights", "50.25"),
    _numbers("water_flow", ".631", note="the series alone"),
    # An input that only grows is the harder way to hand over the same stream, so both are shown.
    _numbers("water_flow_clock", ".631", note="the time as a number beside it"),
    Case(
        "spam",
        "spam",
        (
            _errors("VW + MiniLM 98", 65, 50),
            Goal("worst_500", 0.965, 0.975, "VW + MiniLM .934"),
        ),
        TEXT_PEERS,
    ),
    Case("banking77", "banking77", (_errors("1103", 1110, 1050),), TEXT_PEERS),
    Case(
        "elec2_current",
        "elec2",
        _accuracy(".9064", 0.911, 0.915),
        TABLE_PEERS,
        flags=CURRENT_ONLY,
        history=False,
        note="current features only",
    ),
    Case("elec2", "elec2", _accuracy("–", 0.963, 0.967), TABLE_PEERS, note="all default inputs"),
    Case(
        "obd_clicks",
        "obd_clicks",
        (
            Goal("log_loss", Beside(("vw",)), Beside(("vw",), factor=0.98), "VW beside", lower=True),
            Goal("auc", Beside(("vw",)), Beside(("vw",), factor=1.02), "VW beside"),
        ),
        ("vw", "naive_bayes"),
        history=False,
        note="peers without the last label, which learnd reads",
    ),
    Case(
        "vader_score",
        "vader_score",
        (
            Goal(
                "mae",
                Beside(("vw", "river_tfidf_sgd")),
                Beside(("vw", "river_tfidf_sgd"), factor=0.95),
                "best of TF-IDF + SGD, VW beside",
                lower=True,
            ),
        ),
        ("vw", "river_tfidf_sgd"),
        task="regression",
    ),
    Case(
        "spam_200_late",
        "spam",
        (_errors("VW 484", 236, 200),),
        ("vw", "naive_bayes"),
        delay=200,
        note="the 200 rows before the first label not counted, of which the label to come is wrong for 2",
    ),
    Case(
        "spam_1000_late",
        "spam",
        (_errors("best single expert 708", 708, 600),),
        ("vw", "naive_bayes"),
        delay=1000,
        note="the 1,000 rows before the first label not counted, of which the label to come is wrong for 192",
    ),
    Case(
        "banking77_by_class",
        "banking77_by_class",
        (Goal("balanced_accuracy", 0.89, 0.91, "LDA alone .898"),),
        ("vw", "naive_bayes"),
        evaluate="banking77_test",
        note="one class after the other; accuracy of `scores_balanced` on the test file at the end",
    ),
    Case(
        "burst",
        "bananas",
        (
            Goal("probe_fall", 0.01, None, lower=True),
            Goal("published_after", 1, None),
            # Within the 500 clean rows of the burst itself; those behind them are fed only where that is missed.
            Goal("clean_rows_to_publish", None, 500, lower=True),
        ),
        (),
        burst=True,
        note="500 flipped labels, 200 rows of 1e30, 500 clean rows: what the served accuracy on a clean probe falls by",
    ),
    *(_drifting(name, every=20_000, allowed=250, floor=61, aim=50) for name in ("sine1", "sine1_1001", "sine1_1002")),
    *(_drifting(name, every=25_000, allowed=1_000, floor=188, aim=150) for name in ("circles", "circles_1001", "circles_1002")),
    Case(
        "rialto",
        "rialto",
        _accuracy("best forest beside", Beside(FORESTS), Beside(FORESTS, plus=0.02)),
        ("vw", "naive_bayes", *FORESTS),
        flags=NO_LABELS,
        history=False,
        note=ROW_ALONE,
    ),
)
