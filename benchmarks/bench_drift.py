"""How soon each detector finds known drifts, and how often it raises an alarm where there is none.

    python -m benchmarks.bench_drift [--budget 0.1] [--seeds 8] [--detectors glr,adwin,…]

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
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from benchmarks.drift_streams import (
    DATA,
    GaussianNaiveBayes,
    Stream,
    circles,
    circles_as_published,
    published,
    sine1,
)
from daemon.monitoring.drift.adwin import Adwin
from daemon.monitoring.drift.base import Detector
from daemon.monitoring.drift.budget import KINDS, for_budget

FIRST_SEED: Final = 1001
NUM_STABLE_ROWS: Final = 300_000
RISE_AT: Final = 10_000
RISE_ALLOWED: Final = 2_000


class Score(NamedTuple):
    """What one detector did on some streams."""

    delays: list[int]
    drifts: int
    false: int
    rows: int

    def __str__(self) -> str:
        delay = f"{np.mean(self.delays):.0f}" if self.delays else "-"
        missed = f", {self.drifts - len(self.delays)} of {self.drifts} missed" if len(self.delays) < self.drifts else ""
        return f"{delay} / {self.false * 100_000 / self.rows:.2g}{missed}"


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


def alarms_of(errors: Iterable[float], detector: Detector) -> list[int]:
    """Rows at which the detector raised an alarm for a rise."""
    alarms = []
    for row, error in enumerate(errors):
        detector.update(error)
        if detector.drift_detected and detector.worse:
            alarms.append(row)
    return alarms


def score(alarms: Sequence[int], drifts: Sequence[int], *, allowed_rows: int, num_rows: int) -> Score:
    """Count the first alarm in the allowed rows after each drift as found, alarms outside of them as false.

    >>> score([20_030, 20_100, 31_000], [20_000, 40_000], allowed_rows=250, num_rows=50_000)
    Score(delays=[30], drifts=2, false=1, rows=50000)
    """
    found = [[alarm - drift for alarm in alarms if drift <= alarm < drift + allowed_rows] for drift in drifts]
    false = len(alarms) - sum(map(len, found))
    return Score([delays[0] for delays in found if delays], len(drifts), false, num_rows)


def total(scores: Sequence[Score]) -> Score:
    """One score over several streams."""
    return Score(
        [delay for each in scores for delay in each.delays],
        sum(each.drifts for each in scores),
        sum(each.false for each in scores),
        sum(each.rows for each in scores),
    )


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
        alarms = alarms_of(errors_N.astype(float).tolist(), make())
        rises.append(score(alarms, [RISE_AT], allowed_rows=RISE_ALLOWED, num_rows=len(draw_N)))
    stable_N = np.random.default_rng([FIRST_SEED, 3]).random(NUM_STABLE_ROWS) < 0.1
    alarms = alarms_of(stable_N.astype(float).tolist(), make())
    return total(rises), score(alarms, [], allowed_rows=0, num_rows=NUM_STABLE_ROWS)


def us_a_row(make: Callable[[], Detector]) -> float:
    """Processor time of one update at an error rate of .1."""
    errors = (np.random.default_rng(0).random(20_000) < 0.1).astype(float).tolist()
    detector = make()
    start = time.process_time()
    alarms_of(errors, detector)
    return (time.process_time() - start) / len(errors) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=0.1, help="false alarms per 100,000 stable rows (0.1)")
    parser.add_argument("--seeds", type=int, default=8, help="unseen seeds of each generator (8)")
    parser.add_argument("--detectors", default=",".join(KINDS), help="comma-separated; all")
    arguments = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    streams: Mapping[str, list[Stream]] = {
        **({f"{name}, file": [published(name)] for name in ("sine1", "circles")} if DATA.exists() else {}),
        "sine1": [sine1(seed) for seed in seeds],
        "circles": [circles_as_published(seed) for seed in seeds],
        "circles, gradual": [circles(seed) for seed in seeds],
    }
    makers: dict[str, Callable[[], Detector]] = {
        name: lambda name=name: for_budget(name, alarms_per_100k=arguments.budget)  # type: ignore[misc]
        for name in arguments.detectors.split(",")
    }
    makers["adwin 0.002"] = lambda: Adwin(delta=0.002)
    out = sys.stdout
    out.write(f"budget {arguments.budget:g} per 100,000 rows, seeds {seeds[0]} to {seeds[-1]}\n\n")
    out.write("Cells: delay in rows / false alarms per 100,000 rows.\n\n")
    out.write(f"| detector | {' | '.join(streams)} | rise .1 to .2 | stable .1 | µs a row |\n|{'---|' * (len(streams) + 4)}\n")
    for name, make in makers.items():
        cells = [str(on_streams(each, make)) for each in streams.values()]
        rise, stable = on_rates(make, num_seeds=arguments.seeds)
        cells += [str(rise), f"{stable.false * 100_000 / stable.rows:.2g}", f"{us_a_row(make):.1f}"]
        out.write(f"| {name} | {' | '.join(cells)} |\n")
        out.flush()


if __name__ == "__main__":
    main()
