"""The default for tables: each expert takes several rows by itself, while what it has learned is in the processor's cache."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from daemon.learning.experts.base import Expert
from daemon.learning.features.table import Page, TableFeatures
from daemon.learning.models.base import Floats
from daemon.learning.models.mixture import Mixture
from daemon.learning.models.pool import REACT_ROWS

# What rows wait with is kept for so many at a time.
MOST_ROWS = 64


class TableMixture(Mixture):
    """A `Mixture` of experts that share nothing but the features of a table: the same bits, in some three quarters of the time
    where micro-batches have 64 rows.

    The table reads up to 64 rows, one after the other. Each expert then predicts and learns all of them, and is shown of each
    what it would have been shown if all had taken the row together; then the mixer takes what they said, row by row. Members of
    a bank take rows together. The one extractor is "table", a `TableFeatures`.

    Memory, beside that of the pool: 64 rows as experts read them, some 0.5 KB a column each.
    """

    @cached_property
    def _table(self) -> TableFeatures:
        table = self._extractors["table"]
        assert isinstance(table, TableFeatures), "experts here share nothing but a table"
        return table

    @cached_property
    def _units(self) -> list[list[tuple[int, Expert]]]:
        """Experts with their places in the pool, members of a bank together."""
        units: dict[int, list[tuple[int, Expert]]] = {}
        for place, expert in enumerate(self._experts):
            units.setdefault(id(expert.unit), []).append((place, expert))
        return list(units.values())

    def _learn_from(self, start: int, target_B: Floats, weight_B: Floats, output_BC: Floats) -> int:
        rows = self._rows_apart(start, target_B, weight_B)
        if len(rows) < 2:
            return super()._learn_from(start, target_B, weight_B, output_BC)
        pages = [self._read(row, target_B[row], weight_B[row]) for row in rows]
        latest = self._table.page()
        said_REK = self._say_apart(pages, target_B[rows.start : rows.stop], weight_B[rows.start : rows.stop])
        for row, page, said in zip(rows, pages, said_REK, strict=True):
            self._table.turn_to(page)
            mixed_K = self._answer_row(row, self._with_anchor(said), output_BC)
            if weight_B[row] > 0.0:
                self._weigh(int(target_B[row]), float(weight_B[row]), mixed_K, said)
                self.num_learned += 1
            self.num_rows += 1
        self._table.turn_to(latest)
        return rows.stop

    def _rows_apart(self, start: int, target_B: Floats, weight_B: Floats) -> range:
        """At most `MOST_ROWS` from `start` on, that experts may take apart: until one brings a new label, or a reaction waits
        there for its place. None right behind the second label: that row is answered by what all say of it before any learns
        it."""
        end, num_learned = start, self.num_learned
        if self.num_classes == 2 and self._rows_since_new == 0:
            return range(start, start)
        while end < min(len(target_B), start + MOST_ROWS):
            if weight_B[end] > 0.0:
                if target_B[end] >= self.num_classes or (self._reaction_due and num_learned % REACT_ROWS == 0):
                    break
                num_learned += 1
            end += 1
        return range(start, end)

    def _read(self, row: int, target: float, weight: float) -> Page:
        """What experts read of a row; the table has learned it then."""
        self._table.encode(row)
        self._look_at_inputs()
        page = self._table.page()
        if weight > 0.0:
            self._table.learn(int(target), weight)
        return page

    def _say_apart(self, pages: Sequence[Page], target_R: Floats, weight_R: Floats) -> Floats:
        """(R, E, K) what the experts say of rows, whose labels are known, before they learn them."""
        said_REK = np.empty((len(pages), len(self._experts), self.num_classes + 1))
        rows = list(zip(pages, target_R.tolist(), weight_R.tolist(), said_REK, strict=True))
        for unit in self._units:
            for page, target, weight, said_EK in rows:
                self._table.turn_to(page)
                for e, expert in unit:
                    said_EK[e] = expert.predict()
                if weight > 0.0:
                    for _, expert in unit:
                        expert.learn(int(target), weight)
        return said_REK
