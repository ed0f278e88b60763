"""Made rows of a table for the default learners: what they have to get used to comes after a while."""

from __future__ import annotations

import numpy as np

Row = dict[str, object]


def table_rows(num_rows: int, *, task: str) -> list[Row]:
    """Numbers, a category, a name that never repeats, a number that is missing now and then, another column from the middle on.

    They tell, with some noise, a label of two (of three in the last third), or a number where `task` is "regression".
    """
    draw = np.random.default_rng(0)
    rows: list[Row] = []
    for i in range(num_rows):
        (x, y, noise), colour = draw.normal(size=3).round(3).tolist(), ("red", "green", "blue")[draw.integers(3)]
        features: Row = {"x": x, "y": y if draw.random() < 0.8 else None, "colour": colour, "name": f"row {i}"}
        if 2 * i > num_rows:
            features["late"] = round(10.0 * noise + x, 3)
        target = x + y * (1 if colour == "red" else -1) + 0.1 * noise
        label = "odd" if 3 * i > 2 * num_rows and colour == "blue" else "up" if target > 0 else "down"
        rows.append({"features": features, "label": round(100.0 + target, 3) if task == "regression" else label})
    return rows
