"""Naive Bayes: words as they are counted, numbers as each class's Gaussian, categories as each class's frequencies."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.quality.peers.base import Peer, Row

WORD = re.compile(r"\w+")
TABLE_ROWS = 1 << 18
# The narrowest Gaussian, as a share of the column's own variance over all classes.
NARROWEST = 1e-3


class NaiveBayes(Peer):
    """argmax P(y) · Π P(x | y); words and categories with one count added (Laplace)."""

    def __init__(self, *, labels: Sequence[str]) -> None:
        self._labels = list(labels)
        self._rows_C = np.zeros(len(labels))
        self._word_HC: Any = None
        self._words_C = np.zeros(len(labels))
        # Column -> number of values, mean and sum of squared differences, by class (C,) and, last, over all.
        self._gauss: dict[str, Any] = {}
        self._category_C: dict[tuple[str, str], Any] = {}
        self._values: dict[str, int] = {}

    def predict(self, row: Row) -> Mapping[str, float]:
        seen_C = self._rows_C > 0
        if not seen_C.any():
            return {}
        log_C = np.log(np.maximum(self._rows_C, 1e-300) / self._rows_C.sum())
        if "text" in row:
            log_C = log_C + self._log_words(row["text"])
        for name, value in row.get("features", {}).items():
            log_C = log_C + (self._log_category(name, value) if isinstance(value, str) else self._log_gauss(name, value))
        log_C = np.where(seen_C, log_C, -np.inf)
        p_C = np.exp(log_C - log_C.max())
        return dict(zip(self._labels, (p_C / p_C.sum()).tolist(), strict=True))

    def learn(self, row: Row, label: Any) -> None:
        target = self._labels.index(str(label))
        self._rows_C[target] += 1
        if "text" in row:
            hashes_T = _hashes(row["text"])
            if self._word_HC is None:
                self._word_HC = np.zeros((TABLE_ROWS, len(self._labels)), dtype=np.float32)
            np.add.at(self._word_HC, (hashes_T, target), 1)
            self._words_C[target] += len(hashes_T)
        for name, value in row.get("features", {}).items():
            if isinstance(value, str):
                if (name, value) not in self._category_C:
                    self._category_C[name, value] = np.zeros(len(self._labels))
                    self._values[name] = self._values.get(name, 0) + 1
                self._category_C[name, value][target] += 1
            else:
                self._learn_gauss(name, value, target)

    def _log_words(self, text: str) -> Any:
        if self._word_HC is None:
            return 0.0
        count_TC = self._word_HC[_hashes(text)]
        return np.log((count_TC + 1) / (self._words_C + TABLE_ROWS)).sum(axis=0)

    def _log_category(self, name: str, value: str) -> Any:
        count_C = self._category_C.get((name, value), 0.0)
        return np.log((count_C + 1) / (self._rows_C + self._values.get(name, 0) + 1))

    def _log_gauss(self, name: str, value: float) -> Any:
        if name not in self._gauss:
            return 0.0
        count_C, mean_C, square_C = self._gauss[name]
        overall = max(square_C[-1] / count_C[-1], 1e-12)
        variance_C = np.maximum(square_C[:-1] / np.maximum(count_C[:-1], 1), NARROWEST * overall)
        # A class with fewer than two values of the column is as wide as the column.
        variance_C = np.where(count_C[:-1] < 2, overall, variance_C)
        return -0.5 * (np.log(2 * math.pi * variance_C) + (value - mean_C[:-1]) ** 2 / variance_C)

    def _learn_gauss(self, name: str, value: float, target: int) -> None:
        """After Welford 1962."""
        width = len(self._labels) + 1
        count_C, mean_C, square_C = self._gauss.setdefault(name, (np.zeros(width), np.zeros(width), np.zeros(width)))
        for k in (target, -1):
            count_C[k] += 1
            difference = value - mean_C[k]
            mean_C[k] += difference / count_C[k]
            square_C[k] += difference * (value - mean_C[k])


def _hashes(text: str) -> Any:
    return np.array([zlib.crc32(word.encode()) % TABLE_ROWS for word in WORD.findall(text.lower())], dtype=np.int64)


def naive_bayes(*, task: str, labels: Sequence[str], seed: int) -> NaiveBayes:
    """It has no random part, and no regression."""
    assert task == "classification"
    return NaiveBayes(labels=labels)
