"""Mail of the bundled sample, from where both kinds come in turns: of one label alone a classifier learns nothing."""

from __future__ import annotations

import gzip
import itertools
import json

from streams.samples import SPAM

# The sample begins with more than a hundred spam mails in a row, and has other such stretches.
FIRST_ROW = 1240


def mails(num_rows: int, *, num_characters: int) -> list[dict[str, str]]:
    """So many rows of text and label, each text cut at `num_characters`; at least a quarter of them is of either label."""
    with gzip.open(SPAM, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in itertools.islice(lines, FIRST_ROW, FIRST_ROW + num_rows)]
    assert num_rows / 4 <= sum(row["label"] == "spam" for row in rows) <= num_rows * 3 / 4
    return [{"text": row["text"][:num_characters], "label": row["label"]} for row in rows]
