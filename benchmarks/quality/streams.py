"""Every stream as one file of JSON lines with text or features and a label, the same for learnd and for its peers."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import drift_streams

Row = dict[str, Any]

ROOT: Final = Path(__file__).parents[2]
DATA: Final = ROOT.parent / "shared" / "data"
CACHE: Final = ROOT / ".cache" / "quality"


class MissingError(Exception):
    """A stream's data are not here; the text says which, and why that may be."""


def write(name: str, *, folder: Path = CACHE, max_rows: int | None = None) -> Path:
    """The file of stream `name`, written into `folder` unless it is there already."""
    path = folder / (f"{name}.jsonl" if max_rows is None else f"{name}-{max_rows}.jsonl")
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")  # another process may write it, too
        with part.open("w", encoding="utf-8") as file:
            for number, row in enumerate(STREAMS[name]()):
                if number == max_rows:
                    break
                file.write(json.dumps(row) + "\n")
        part.rename(path)
    return path


def read(path: Path) -> list[Row]:
    """The rows of a file that `write` wrote."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _open(name: str) -> Any:
    path = DATA / name
    if not path.exists():
        raise MissingError(f"{name} is not here: the measured streams lie beside the project, not in it")
    return gzip.open(path, "rt", encoding="utf-8", newline="")


def recorded(name: str) -> Iterator[Row]:
    """The rows of a recorded file as they stand; raises `MissingError` where it is not there."""
    with _open(f"{name}.jsonl.gz") as file:
        yield from map(json.loads, file)


def _spam() -> Iterator[Row]:
    return ({"text": row["text"], "label": row["label"]} for row in recorded("spamassassin_chrono"))


def _vader() -> Iterator[Row]:
    return ({"text": row["text"], "label": row["score"]} for row in recorded("vader_sentiment"))


def _banking77(part: str) -> list[Row]:
    with _open(f"banking77_{part}.csv.gz") as file:
        return [{"text": row["text"], "label": row["category"]} for row in csv.DictReader(file)]


def _banking77_shuffled() -> Iterator[Row]:
    rows = _banking77("train")
    return (rows[i] for i in np.random.default_rng(0).permutation(len(rows)))


def _banking77_by_class() -> Iterator[Row]:
    """One class after the other, in the order in which the file first names them."""
    rows = _banking77("train")
    order = {label: i for i, label in enumerate(dict.fromkeys(row["label"] for row in rows))}
    return iter(sorted(rows, key=lambda row: order[row["label"]]))


def _elec2() -> Iterator[Row]:
    with _open("elec2.csv.gz") as file:
        for row in csv.DictReader(file):
            label = row.pop("up")
            yield {"features": {name: float(value) for name, value in row.items()}, "label": label}


def _numbered(name: str) -> Iterator[Row]:
    for row in recorded(name):
        yield {"features": {f"x{i}": value for i, value in enumerate(row["x"])}, "label": row["label"]}


def _clicks() -> Iterator[Row]:
    for row in recorded("obd_clicks"):
        label = row.pop("label")
        del row["t"]
        yield {"features": row, "label": str(label)}


def _arff(name: str) -> Iterator[Row]:
    with _open(f"{name}.arff.gz") as file:
        for line in file:
            if line.strip() and not line.startswith("@"):
                x, y, label = line.strip().split(",")
                yield {"features": {"x": float(x), "y": float(y)}, "label": label}


def _generated(name: str, seed: int) -> Iterator[Row]:
    """The published stream's generator with another seed."""
    points_N2, label_N, *_ = {"sine1": drift_streams.sine1, "circles": drift_streams.circles_as_published}[name](seed)
    for (x, y), label in zip(points_N2.tolist(), label_N.tolist(), strict=True):
        yield {"features": {"x": x, "y": y}, "label": "np"[label]}


def _river(name: str) -> Iterator[Row]:
    """A stream that comes inside River's wheel."""
    from river import datasets

    # All at once: River closes its file only at the end.
    for inputs, target in list(getattr(datasets, name)()):
        label = target if isinstance(target, int | float) and not isinstance(target, bool) else str(target)
        yield {"features": {column: float(value) for column, value in inputs.items()}, "label": label}


def _water_flow() -> Iterator[Row]:
    """The series alone, one step ahead."""
    from river import datasets

    for inputs, flow in list(datasets.WaterFlow()):  # type: ignore[no-untyped-call]  # River states no types
        yield {"features": {}, "time": inputs["Time"].isoformat(), "label": flow}


def _water_flow_clock() -> Iterator[Row]:
    """The same with what River's stream has for an input: the time, as a number that only ever grows."""
    from river import datasets

    for inputs, flow in list(datasets.WaterFlow()):  # type: ignore[no-untyped-call]  # River states no types
        yield {"features": {"Time": inputs["Time"].timestamp()}, "label": flow}


STREAMS: Final[dict[str, Callable[[], Iterator[Row]]]] = {
    "phishing": lambda: _river("Phishing"),
    "bananas": lambda: _river("Bananas"),
    "image_segments": lambda: _river("ImageSegments"),
    "trump_approval": lambda: _river("TrumpApproval"),
    "chick_weights": lambda: _river("ChickWeights"),
    "water_flow": _water_flow,
    "water_flow_clock": _water_flow_clock,
    "keystroke": lambda: _numbered("keystroke"),
    "rialto": lambda: _numbered("rialto"),
    "elec2": _elec2,
    "obd_clicks": _clicks,
    "sine1": lambda: _arff("sine1_w_50_n_0.1_101"),
    "circles": lambda: _arff("circles_w_500_n_0.1_101"),
    "sine1_1001": lambda: _generated("sine1", 1001),
    "sine1_1002": lambda: _generated("sine1", 1002),
    "circles_1001": lambda: _generated("circles", 1001),
    "circles_1002": lambda: _generated("circles", 1002),
    "spam": _spam,
    "vader_score": _vader,
    "banking77": _banking77_shuffled,
    "banking77_by_class": _banking77_by_class,
    "banking77_test": lambda: iter(_banking77("test")),
}
