"""`python -m benchmarks.quality.texts [STREAM …]`: texts that people wrote, into docs/texts.json and docs/texts.md."""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.quality import results
from benchmarks.quality.__main__ import DOCS, PEERS_PYTHON
from benchmarks.quality.cases import Task
from benchmarks.quality.scores import SETTLED_ROWS
from benchmarks.quality.simple import COLUMNS, STANDARD_ERRORS, summed_losses, table_row
from benchmarks.quality.streams import Row, recorded

logger = logging.getLogger("benchmarks.quality.texts")

MOST_ROWS: Final = 6_000
INTRO: Final = f"""# Texts that people wrote

Made by `make bench-texts`; do not edit. What else of the recorded streams has texts and something to foretell of them: each
in the order of its file, or shuffled, the first {MOST_ROWS:,} rows. Most of the default was made without them: the texts of
`moods` are among [the streams to be learned](quality.md), with their scores, and `articles`, `genres` and `parties` showed
what to answer on the row behind the first of a second label, which was one error more on each. They are learned by `learnd
backtest` with its one default configuration, by learnd's baselines, naive Bayes and Vowpal Wabbit (`vw`, and `vw_last` with
the last label as one more input). Errors, or absolute errors, stand beside those of the simple learner that has the fewest
in the end. How much more learnd lost is shown for the first {SETTLED_ROWS:,} rows, beside whoever had lost least there, and
for all of them. `✓` at most 1 %, `✗` more. {STANDARD_ERRORS}

| stream | what is to be foretold | rows | {COLUMNS} |
|---|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Texts:
    """A stream: the field of a recorded file that is the label, and that which is the text, or what makes it one."""

    name: str
    what: str
    file: str
    label: Callable[[Row], str | float]
    text: Callable[[Row], str] = lambda row: str(row["text"])
    task: Task = "classification"
    shuffled: bool = False

    def rows(self) -> Iterator[Row]:
        """The first `MOST_ROWS`, at most; raises `MissingError` where the recorded files are not there."""
        rows: Sequence[Row] = list(recorded(self.file))
        if self.shuffled:
            rows = [rows[place] for place in np.random.default_rng(0).permutation(len(rows)).tolist()]
        for row in islice(rows, MOST_ROWS):
            yield {"text": self.text(row), "label": self.label(row)}


def _emotion(dimension: str) -> Texts:
    what = f"the {dimension} of a sentence, genre by genre"
    return Texts(f"emobank_{dimension}", what, "emobank_vad", lambda row: float(row[dimension]), task="regression")


def _both(name: str, what: str, order: str, file: str, field: str, text: str = "text") -> tuple[Texts, Texts]:
    """As it stands, where the labels are all but sorted, and shuffled."""
    texts = Texts(name, f"{what}; {order}", file, lambda row: str(row[field]), lambda row: str(row[text]))
    shuffled = Texts(f"{name}_shuffled", f"{what}; shuffled", file, texts.label, texts.text, shuffled=True)
    return texts, shuffled


TEXTS: Final = (
    Texts("intents", "27 intents of customers", "bitext_support", lambda row: row["intent"], lambda row: row["question"]),
    *_both("articles", "which of 48 articles a question is on", "one after the other", "squad11_dev_qa", "title", "question"),
    *_both("genres", "the genre of a sentence, of seven", "one after the other", "emobank_vad", "genre"),
    *_both("parties", "the party of a president, of eight, by a piece of a speech", "year by year", "sotu_lm", "party"),
    Texts(
        "entities",
        "whether a post names anybody or anything",
        "wnut17_ner",
        lambda row: str(any(tag != "O" for tag in row["tags"])),
        lambda row: " ".join(row["tokens"]),
    ),
    Texts("pronouns", "which of two names, which are not told, a pronoun stands for", "gap_coref", lambda row: row["label"]),
    Texts("moods", "positive, negative or neutral; tweets, then reviews of goods", "vader_sentiment", lambda row: row["label"]),
    *(_emotion(dimension) for dimension in ("valence", "arousal", "dominance")),
)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(prog="bench-texts", description=__doc__)
    names = ", ".join(texts.name for texts in TEXTS)
    parser.add_argument("streams", nargs="*", metavar="STREAM", help=f"of {names}; all of them")
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="Python of the environment with the peers")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of texts.json and texts.md")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.streams) - {texts.name for texts in TEXTS}):
        parser.error(f"there is no stream {', '.join(unknown)}; there are {names}")
    for texts in TEXTS:
        if chosen.streams and texts.name not in chosen.streams:
            continue
        logger.info("%s", texts.name)
        result = _learned(texts, chosen.peers_python)
        collected = results.load(chosen.docs / "texts.json") | {texts.name: result}
        results.save(chosen.docs / "texts.json", collected)
        (chosen.docs / "texts.md").write_text(render(TEXTS, collected), encoding="utf-8")


def _learned(texts: Texts, peers_python: Path) -> Mapping[str, Any]:
    stamp, rows = results.stamp(), list(texts.rows())
    with tempfile.TemporaryDirectory(prefix="bench-texts-") as folder:
        file = Path(folder) / f"{texts.name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        sums = summed_losses(texts.name, file, task=texts.task, peers_python=peers_python, history=True)
    return {"rows": len(rows), "sums": sums, "stamp": stamp}


def render(streams: Sequence[Texts], collected: Mapping[str, Any]) -> str:
    """The whole page."""
    known = [(texts, collected[texts.name]) for texts in streams if texts.name in collected]
    return INTRO + "".join(
        table_row([texts.name, texts.what, f"{result['rows']:,}"], result["sums"], result["stamp"]) for texts, result in known
    )


if __name__ == "__main__":
    main()
