"""How often the detector of the inputs raises an alarm on real streams, and what it costs a row.

It is shown what a mixture shows it: ranks and categories of a table's columns, or the embedding of a text. On "shuffled"
streams, whose rows were put in a random order, every alarm is a false one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.streams import STREAMS, Row
from daemon.learning.batch import Batch
from daemon.learning.encoders import load_encoder
from daemon.learning.experts.base import Extractor
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.text import TextFeatures
from daemon.monitoring.drift.budget import inputs_for_budget

INPUTS: Final = ("elec2", "elec2, shuffled", "obd_clicks", "obd_clicks, shuffled", "keystroke", "spam", "banking77")
BATCH_ROWS: Final = 64
ALARMS_PER_100K: Final = 1.0
"""learnd's default (`monitoring.input_alarms_per_100k`)."""


def watch_inputs(name: str) -> dict[str, Any]:
    """Rows, the rows of the alarms, and µs of processor time a row."""
    stream, _, shuffled = name.partition(", ")
    rows = list(STREAMS[stream]())
    if shuffled:
        rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    detector, alarms, seconds = inputs_for_budget(alarms_per_100k=ALARMS_PER_100K, seed=0), [], 0.0
    for number, summary_D in enumerate(_summaries(rows)):
        began = time.process_time()
        detector.update(summary_D)
        seconds += time.process_time() - began
        if detector.drift_detected:
            alarms.append(number)
    return {"rows": len(rows), "alarms": alarms, "us_a_row": seconds / len(rows) * 1e6}


def _summaries(rows: list[Row]) -> Iterator[NDArray[np.float32]]:
    extractor: Extractor = TextFeatures(encoder=load_encoder("auto", device="cpu")) if "text" in rows[0] else TableFeatures()
    for start in range(0, len(rows), BATCH_ROWS):
        piece = rows[start : start + BATCH_ROWS]
        extractor.begin(Batch([row.get("text", "") for row in piece], [row.get("features", {}) for row in piece]))
        for row in range(len(piece)):
            extractor.encode(row)
            yield extractor.summary()
            extractor.learn(0.0, 1.0)
