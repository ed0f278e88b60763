"""`python -m benchmarks.quality.made [KIND …]`: streams made for simple learners, into docs/made.json and docs/made.md.

Of one stream the luckiest of five learners is often ahead of a better one by chance. So each kind is drawn with several seeds,
and summed errors are compared with those of each simple learner, the same one for all seeds.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.quality import results
from benchmarks.quality.__main__ import DOCS, PEERS_PYTHON
from benchmarks.quality.made_streams import KINDS, NUM_ROWS, Kind
from benchmarks.quality.scores import SETTLED_ROWS
from benchmarks.quality.simple import COLUMNS, STANDARD_ERRORS, Sums, summed_losses, table_row

logger = logging.getLogger("benchmarks.quality.made")

SEEDS: Final = range(1, 6)
INTRO: Final = f"""# Streams made for simple learners

Made by `make bench-made`; do not edit. Each kind of stream is drawn with seeds {SEEDS[0]} to {SEEDS[-1]}, \
{NUM_ROWS:,} rows each, and
learned by `learnd backtest` with its one default configuration, by learnd's baselines, naive Bayes and Vowpal Wabbit. Errors
(or absolute errors) are summed over the seeds; beside them stand those of the simple learner with the fewest. What learnd has
more is shown for the first {SETTLED_ROWS:,} rows, and for all of them. `✓` at most 1 %, `✗` more. How the rows are drawn is
said in `benchmarks/quality/made_streams.py`. {STANDARD_ERRORS}

Some excess nobody can avoid. A label that comes first on row n + 1 may be rare or have come to stay: one of majority and last
label is right on the row behind it, and nobody knows which. Of a fair coin, one of five learners is always lucky. The rest is
what it costs learnd to find out, in the first few hundred rows, which of some twenty experts a stream is made for.

| stream | what is true of it | {COLUMNS} |
|---|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(prog="bench-made", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(kind.name for kind in KINDS)}; all of them")
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="Python of the environment with the peers")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of made.json and made.md")
    chosen = parser.parse_args()
    for kind in KINDS:
        if chosen.kinds and kind.name not in chosen.kinds:
            continue
        stamp = results.stamp()
        summed = [_summed(kind, seed, chosen.peers_python) for seed in SEEDS]
        collected = results.load(chosen.docs / "made.json")
        collected[kind.name] = {learner: np.sum([one[learner] for one in summed], axis=0).tolist() for learner in summed[0]} | {
            "stamp": stamp
        }
        results.save(chosen.docs / "made.json", collected)
        (chosen.docs / "made.md").write_text(render(KINDS, collected), encoding="utf-8")


def _summed(kind: Kind, seed: int, peers_python: Path) -> Sums:
    logger.info("%s, seed %d", kind.name, seed)
    with tempfile.TemporaryDirectory(prefix="bench-made-") as folder:
        file = Path(folder) / f"{kind.name}_{seed}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in kind.rows(seed)), encoding="utf-8")
        return summed_losses(kind.name, file, task=kind.task, peers_python=peers_python, history=False)


def render(kinds: Sequence[Kind], collected: Mapping[str, Any]) -> str:
    """The whole page."""
    return INTRO + "".join(_row(kind, collected[kind.name]) for kind in kinds if kind.name in collected)


def _row(kind: Kind, result: Mapping[str, Any]) -> str:
    sums = {name: both for name, both in result.items() if name != "stamp"}
    return table_row([kind.name, kind.what], sums, result["stamp"])


if __name__ == "__main__":
    main()
