"""What each reaction to a drift alarm is worth: `learnd backtest` with all of them on, and with each one off in turn.

Streams: the published files of `sine1` and `circles`, Elec2, "bananas, burst", whose labels are exchanged from row 2,000 to row
2,500, and two of texts: "spam, swapped", the mail in its order with
spam and ham exchanged from row 3,000 on, and "vader", whose texts come from tweets, then reviews of goods, then of films
(the drifts are the changes of domain). Tables and n-grams show the mixer's reaction. Those of the transformer are shown by
a BERT of 2 layers and 32 hidden units with random weights, fine-tuned as it goes, in the mean of seeds 0, 1 and 2; "cosine" is
a learning rate that has fallen to a tenth before the drift, the others hold it constant.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.drift_scores import score
from benchmarks.quality.cases import CURRENT_ONLY, Case
from benchmarks.quality.learnd import backtest
from benchmarks.quality.scores import Floats, losses, worst
from benchmarks.quality.streams import DATA, ROOT, STREAMS, Row

CACHE: Final = Path(".cache") / "drift"
AFTER_ROWS: Final = 500
SWAPPED_AT: Final = 3_000
VADER_ROWS: Final = 10_000
BURST: Final = range(2_000, 2_500)


@dataclass(frozen=True)
class Reacting:
    """One learner on one stream, and the reactions that it can be shown without."""

    stream: str
    learner: str
    rows: int
    reactions: tuple[str, ...] = ("faster_mixer", "anchor")
    flags: tuple[str, ...] = ()
    drifts: tuple[int, ...] = ()
    allowed_rows: int = 1_000
    """An alarm so many rows after a drift, or fewer, has found it."""
    seeds: tuple[int, ...] = (0,)

    @property
    def name(self) -> str:
        return f"{self.stream}, {self.learner}"

    def variants(self) -> dict[str, tuple[str, ...]]:
        """Name -> the flags that switch each reaction on or off.

        >>> Reacting("s", "l", 9, reactions=("a", "b")).variants()["a off"]
        ('--set', 'reactions.a=false', '--set', 'reactions.b=true')
        """
        off = {"all on": (), **{f"{each} off": (each,) for each in self.reactions}}
        off |= {"all off": self.reactions} if len(self.reactions) > 1 else {}
        return {
            name: _sets(*(f"reactions.{each}={str(each not in without).lower()}" for each in self.reactions))
            for name, without in off.items()
        }


def _sets(*settings: str) -> tuple[str, ...]:
    return tuple(part for setting in settings for part in ("--set", setting))


_ONE_THREAD: Final = _sets("training.threads=1")
_NGRAMS: Final = _sets("model.encoder=none")
_SLOW: Final = ("rewarm", "recent_replay")
_BERT: Final = _sets("model.kind=transformer", "model.training=full", "model.max_tokens=64", "optimizer.learning_rate=0.001")
_SINE1_DRIFTS: Final = (20_000, 40_000, 60_000, 80_000)
_CIRCLES_DRIFTS: Final = (25_000, 50_000, 75_000)
# Falls to a tenth within 150 steps of 16 rows; the drift comes after 187.
_COSINE: Final = _sets("schedule.kind=cosine", "schedule.total_steps=150")
_VADER_DRIFTS: Final = (4_138, 7_830)

CASES: Final = (
    Reacting("sine1", "default", 100_000, drifts=_SINE1_DRIFTS, allowed_rows=250),
    Reacting("sine1", "current features", 100_000, drifts=_SINE1_DRIFTS, allowed_rows=250, flags=CURRENT_ONLY),
    Reacting("circles", "default", 100_000, drifts=_CIRCLES_DRIFTS),
    Reacting("circles", "current features", 100_000, drifts=_CIRCLES_DRIFTS, flags=CURRENT_ONLY),
    Reacting("elec2", "default", 45_312),
    Reacting("elec2", "current features", 45_312, flags=CURRENT_ONLY),
    Reacting("bananas, burst", "default", 5_300, drifts=(BURST.start, BURST.stop)),
    Reacting("spam, swapped", "n-grams", 6_046, flags=_NGRAMS, drifts=(SWAPPED_AT,)),
    Reacting("vader", "n-grams", VADER_ROWS, flags=_NGRAMS, drifts=_VADER_DRIFTS),
    Reacting("spam, swapped", "BERT", 6_046, _SLOW, _BERT, drifts=(SWAPPED_AT,), seeds=(0, 1, 2)),
    Reacting("spam, swapped", "BERT, cosine", 6_046, _SLOW, _BERT + _COSINE, drifts=(SWAPPED_AT,), seeds=(0, 1, 2)),
    Reacting("vader", "BERT", VADER_ROWS, _SLOW, _BERT, drifts=_VADER_DRIFTS, seeds=(0, 1, 2)),
)


def _spam_swapped() -> Iterator[Row]:
    other = {"spam": "ham", "ham": "spam"}
    for number, row in enumerate(STREAMS["spam"]()):
        yield row if number < SWAPPED_AT else {**row, "label": other[row["label"]]}


def _bananas_burst() -> Iterator[Row]:
    rows = list(STREAMS["bananas"]())
    first, second = sorted({row["label"] for row in rows})
    other = {first: second, second: first}
    for number, row in enumerate(rows):
        yield {**row, "label": other[row["label"]]} if number in BURST else row


def _vader() -> Iterator[Row]:
    with gzip.open(DATA / "vader_sentiment.jsonl.gz", "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            yield {"text": row["text"], "label": row["label"], "domain": row["domain"]}


_OWN: Final[dict[str, Callable[[], Iterator[Row]]]] = {
    "spam, swapped": _spam_swapped,
    "bananas, burst": _bananas_burst,
    "vader": _vader,
}


def domain_changes(rows: Sequence[Row]) -> tuple[int, ...]:
    """The rows at which another domain begins.

    >>> domain_changes([{"domain": "a"}, {"domain": "a"}, {"domain": "b"}])
    (2,)
    """
    lengths = [len(list(group)) for _, group in groupby(row["domain"] for row in rows)]
    return tuple(int(start) for start in np.cumsum(lengths)[:-1])


def rows_of(case: Reacting) -> list[Row]:
    """The first rows of the case's stream."""
    return list(islice({**STREAMS, **_OWN}[case.stream](), case.rows))


def measure(case: Reacting) -> dict[str, dict[str, Any]]:
    """Variant -> its figures, in the mean over the seeds, and its command with the first seed."""
    rows = rows_of(case)
    file = ROOT / CACHE / f"{case.stream.replace(', ', '_')}-{case.rows}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = ("text", "features", "label")
    file.write_text("".join(json.dumps({key: row[key] for key in kept if key in row}) + "\n" for row in rows))
    index = {label: number for number, label in enumerate(dict.fromkeys(str(row["label"]) for row in rows))}
    target_N = np.array([index[str(row["label"])] for row in rows], np.float64)
    variants = {
        name: [_run(case, file, off, seed=seed, index=index, target_N=target_N) for seed in case.seeds]
        for name, off in case.variants().items()
    }
    after = [case.drifts or run.alarms for run in variants["all on"]]
    return {name: _means(case, runs, after) for name, runs in variants.items()}


@dataclass(frozen=True)
class _Run:
    command: str
    loss_N: Floats
    report: dict[str, Any]

    @property
    def alarms(self) -> tuple[int, ...]:
        """Rows of the alarms on the error, which reactions follow."""
        return tuple(alarm["example"] for alarm in self.report["drift_alarms"] if alarm["detector"] != "inputs")


def _run(case: Reacting, file: Path, off: tuple[str, ...], *, seed: int, index: dict[str, int], target_N: Floats) -> _Run:
    flags = (*case.flags, *_ONE_THREAD, *_sets(f"training.seed={seed}"), *off)
    if case.learner.startswith("BERT"):
        flags += _sets(f"model.encoder={_bert(case, seed)}")
    done = backtest(Case(case.name, case.stream, goals=(), peers=(), flags=flags), file, index=index)
    loss_N = losses(target_N, done.answers, task="classification")
    return _Run(" ".join(["learnd backtest", str(file.relative_to(ROOT)), *flags]), loss_N, done.report)


def _bert(case: Reacting, seed: int) -> Path:
    """The folder of a BERT for the case's texts, written unless it is there."""
    from tests.learning.tiny import tiny_bert

    folder = CACHE / f"bert-{case.stream.replace(', ', '_')}-{seed}"
    if not (ROOT / folder).exists():
        tiny_bert(ROOT / folder, [row["text"] for row in rows_of(case)], seed=seed)
    return folder


def _means(case: Reacting, runs: Sequence[_Run], after: Sequence[Sequence[int]]) -> dict[str, Any]:
    found = [score(run.alarms, case.drifts, allowed_rows=case.allowed_rows, num_rows=case.rows) for run in runs]
    delays = [delay for each in found for delay in each.delays]
    return {
        "errors": float(np.mean([run.loss_N.sum() for run in runs])),
        "errors_after": float(np.mean([errors_after(run.loss_N, rows) for run, rows in zip(runs, after, strict=True)])),
        "worst_500": float(np.mean([worst(run.loss_N) or 0.0 for run in runs])),
        "alarms": float(np.mean([len(run.alarms) for run in runs])),
        "input_alarms": float(np.mean([len(run.report["drift_alarms"]) - len(run.alarms) for run in runs])),
        "delay": float(np.mean(delays)) if delays else None,
        "found": f"{len(delays)} of {len(case.drifts) * len(runs)}" if case.drifts else None,
        "false": sum(each.false for each in found) if case.drifts else None,
        "seeds": list(case.seeds),
        "command": runs[0].command,
    }


def errors_after(loss_N: Floats, starts: Sequence[int]) -> int:
    """Errors in the 500 rows from each start on, each row counted once.

    >>> errors_after(np.ones(2_000), [100, 400, 1_900])
    900
    """
    counted_N = np.zeros(len(loss_N), bool)
    for start in starts:
        counted_N[start : start + AFTER_ROWS] = True
    return int(loss_N[counted_N].sum())
