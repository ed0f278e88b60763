"""Each expert through several rows by itself: what it has learned stays in the processor's cache until it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from daemon.learning.experts.base import Expert
from daemon.learning.features.table import Page, TableFeatures
from daemon.learning.models.base import Floats


class Apart:
    """Takes experts that share nothing but the features of a table through rows of a micro-batch, one expert after the other.

    An expert predicts and learns the rows in their order, and reads of each what it would have read if all had taken the row
    together: so all get the same bits, and a row costs some two thirds. Members of a bank go together.
    """

    def __init__(self, *, table: TableFeatures, experts: Sequence[Expert]) -> None:
        """`experts` of a pool, in its order, which read nothing but `table`."""
        self._table = table
        self._units = [list(unit) for _, unit in groupby(enumerate(experts), key=lambda member: id(member[1].unit))]

    def go(
        self, rows: range, target_B: Floats, weight_B: Floats, *, num_classes: int, look: Callable[[], None]
    ) -> tuple[Floats, list[Page]]:
        """(R, E, K) what the experts say of `rows`, whose labels are known, before they learn them, and what is read of each
        row. `look` is called when a row is the current one and not yet learned by the table."""
        pages = []
        for row in rows:
            self._table.encode(row)
            look()
            pages.append(self._table.page())
            if weight_B[row] > 0.0:
                self._table.learn(target_B[row], weight_B[row])
        latest = self._table.page()
        said_REK = np.empty((len(rows), sum(map(len, self._units)), num_classes + 1))
        taught = [(float(target_B[row]), float(weight_B[row])) for row in rows]
        for unit in self._units:
            for page, said_EK, (target, weight) in zip(pages, said_REK, taught, strict=True):
                self._table.turn_to(page)
                for e, expert in unit:
                    said_EK[e] = expert.predict()
                if weight > 0.0:
                    for _, expert in unit:
                        expert.learn(target, weight)
        self._table.turn_to(latest)
        return said_REK, pages

    def of(self, page: Page, say: Callable[[], Floats]) -> Floats:
        """What is said where this page is the current row."""
        latest = self._table.page()
        self._table.turn_to(page)
        said = say()
        self._table.turn_to(latest)
        return said
