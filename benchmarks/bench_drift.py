"""How soon each detector finds known drifts, how often it raises an alarm where there is none, and what reactions are worth.

    python -m benchmarks.bench_drift [--budget 0.01] [--seeds 8] [--detectors glr,adwin,…]
        [--reactions "elec2, default;…"] [--inputs "elec2;…"]

Merges its figures into docs/drift.json and writes docs/drift.md. The reactions are those of learnd itself (reactions.py);
the detectors are compared on a small learner, as follows.

The learner is a Gaussian naive Bayes classifier that is reset on an alarm. Streams: the two published files (../shared/data)
and, of each generator, seeds 1001, 1002, …, on which nothing was tuned. "circles" are the published generator's, whose
transitions lie one concept early (drift_streams.py); "circles, gradual" has them in their place. Detectors are set by the
budget; "adwin 0.002" is River's default beside them. Delay: rows from the first row of a transition to the first alarm, in
the mean over the drifts found. False: alarms that do not lie in the allowed rows (250, 1,000) after a drift, per 100,000
rows. "rise" has no learner: an error rate of .1 that becomes .2 after 10,000 rows, 2,000 rows allowed; "stable" stays at .1.
About a minute on one core a detector with 8 seeds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.drift_inputs import INPUTS, watch_inputs
from benchmarks.drift_page import write_page
from benchmarks.drift_scores import Score, score, total
from benchmarks.drift_streams import (
    DATA,
    GaussianNaiveBayes,
    Stream,
    circles,
    circles_as_published,
    published,
    sine1,
)
from benchmarks.quality.results import load, stamp
from benchmarks.quality.streams import ROOT
from benchmarks.reactions import CASES, measure
from daemon.monitoring.drift.adwin import Adwin
from daemon.monitoring.drift.base import Detector
from daemon.monitoring.drift.budget import KINDS, for_budget

MICRO_BATCH: Final = 64
FIRST_SEED: Final = 1001
NUM_STABLE_ROWS: Final = 300_000
RISE_AT: Final = 10_000
RISE_ALLOWED: Final = 2_000
RIVER_DELTA: Final = 0.002
RIVER_ADWIN: Final = f"adwin {RIVER_DELTA}"


def prequential_alarms(stream: Stream, detector: Detector) -> list[int]:
    """Rows at which the detector raised an alarm for a rise, and the learner was reset."""
    learner, alarms = GaussianNaiveBayes(), []
    for row, ((x, y), label) in enumerate(zip(stream.points_N2.tolist(), stream.label_N.tolist(), strict=True)):
        detector.update(float(learner.predict(x, y) != label))
        learner.learn(x, y, label)
        if detector.drift_detected and detector.worse:
            alarms.append(row)
            learner.reset()
    return alarms


def alarms_of(error_N: NDArray[np.float64], detector: Detector) -> list[int]:
    """Rows at which the detector raised an alarm for a rise; it is shown a micro-batch at a time, as by the loop."""
    alarms, row = list[int](), 0
    while row < len(error_N):
        row += detector.advance(error_N[row : row + MICRO_BATCH])
        if detector.drift_detected and detector.worse:
            alarms.append(row - 1)
    return alarms


def on_streams(streams: Sequence[Stream], make: Callable[[], Detector]) -> Score:
    return total(
        [
            score(
                prequential_alarms(stream, make()),
                stream.drifts,
                allowed_rows=stream.allowed_rows,
                num_rows=len(stream.label_N),
            )
            for stream in streams
        ]
    )


def on_rates(make: Callable[[], Detector], *, num_seeds: int) -> tuple[Score, Score]:
    """An error rate that doubles, and one that does not."""
    rises = []
    for seed in range(FIRST_SEED, FIRST_SEED + num_seeds):
        draw_N = np.random.default_rng([seed, 2]).random(RISE_AT + RISE_ALLOWED)
        errors_N = draw_N < np.where(np.arange(len(draw_N)) < RISE_AT, 0.1, 0.2)
        alarms = alarms_of(errors_N.astype(np.float64), make())
        rises.append(score(alarms, [RISE_AT], allowed_rows=RISE_ALLOWED, num_rows=len(draw_N)))
    stable_N = np.random.default_rng([FIRST_SEED, 3]).random(NUM_STABLE_ROWS) < 0.1
    alarms = alarms_of(stable_N.astype(np.float64), make())
    return total(rises), score(alarms, [], allowed_rows=0, num_rows=NUM_STABLE_ROWS)


def us_a_row(make: Callable[[], Detector]) -> float:
    """Processor time of a row at an error rate of .1."""
    error_N = (np.random.default_rng(0).random(20_000) < 0.1).astype(np.float64)
    detector = make()
    start = time.process_time()
    alarms_of(error_N, detector)
    return (time.process_time() - start) / len(error_N) * 1e6


def streams(num_seeds: int) -> dict[str, list[Stream]]:
    """Column -> its streams; without the published files where they are not here."""
    seeds = range(FIRST_SEED, FIRST_SEED + num_seeds)
    return {
        **({f"{name}, file": [published(name)] for name in ("sine1", "circles")} if DATA.exists() else {}),
        "sine1": [sine1(seed) for seed in seeds],
        "circles": [circles_as_published(seed) for seed in seeds],
        "circles, gradual": [circles(seed) for seed in seeds],
    }


def detector_row(name: str, *, budget: float, num_seeds: int, on: Mapping[str, list[Stream]]) -> dict[str, str]:
    """Column -> what the detector did there, as the page shows it."""

    def make() -> Detector:
        return Adwin(delta=RIVER_DELTA) if name == RIVER_ADWIN else for_budget(name, alarms_per_100k=budget)

    rise, stable = on_rates(make, num_seeds=num_seeds)
    return {
        **{column: str(on_streams(each, make)) for column, each in on.items()},
        "rise .1 to .2": str(rise),
        "stable .1": f"{stable.false * 100_000 / stable.rows:.2g}",
        "µs a row": f"{us_a_row(make):.1f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=0.01, help="false alarms per 100,000 stable rows (0.01)")
    parser.add_argument("--seeds", type=int, default=8, help="unseen seeds of each generator (8)")
    parser.add_argument("--detectors", default=",".join([*KINDS, RIVER_ADWIN]), help="comma-separated; all; '' for none")
    parser.add_argument("--reactions", default=";".join(case.name for case in CASES), help="cases with ; between; '' for none")
    parser.add_argument("--inputs", default=";".join(INPUTS), help="streams with ; between; '' for none")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where drift.json and drift.md lie (docs)")
    arguments = parser.parse_args()
    measured = load(arguments.docs / "drift.json")
    settings = {"budget": arguments.budget, "seeds": arguments.seeds}
    on = streams(arguments.seeds) if arguments.detectors else {}
    for name in filter(None, arguments.detectors.split(",")):
        row = detector_row(name, budget=arguments.budget, num_seeds=arguments.seeds, on=on)
        measured.setdefault("detectors", {})[name] = {"cells": row, **settings, **stamp()}
        write_page(arguments.docs, measured)
    for name in filter(None, arguments.reactions.split(";")):
        case = next(case for case in CASES if case.name == name)
        measured.setdefault("reactions", {})[name] = {"variants": measure(case), **stamp()}
        write_page(arguments.docs, measured)
    for name in filter(None, arguments.inputs.split(";")):
        measured.setdefault("inputs", {})[name] = {**watch_inputs(name), **stamp()}
        write_page(arguments.docs, measured)


if __name__ == "__main__":
    main()
