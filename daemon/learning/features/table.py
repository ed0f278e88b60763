"""Numbers and categories of a row, beside what came before: the features of the tabular default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.errors import StateError
from daemon.learning.batch import Batch
from daemon.learning.experts.base import Extractor
from daemon.learning.features import column_kernels, tile_kernels
from daemon.learning.features import table_kernels as kernels
from daemon.learning.features.column_inputs import ColumnInputs
from daemon.learning.features.hash_text import hash_text
from daemon.learning.features.inputs import Dense, Tokens
from daemon.learning.features.label_history import LabelHistory
from daemon.learning.features.past_limit import ColumnLimit, marks, tokens_past_limit
from daemon.learning.features.season import is_due, season_of_numbers
from daemon.learning.features.table_row import TableRow
from daemon.state import State

# Columns that the watch on inputs sees.
SUMMARY_WIDTH = 64
PAIRS = 64
Page = tuple[Any, ...]
TOKENS_PER_COLUMN = 2 + 6 * kernels.WITH_SEASON


class TableFeatures(Extractor):
    """Columns are discovered as they appear, up to `max_columns`; a value is a number or a category. Of later columns nothing
    is remembered: they give tokens to `tiles` and `fine_tiles` (see `tokens_past_limit`) and marks; the log tells the first.

    The current row gives

    - `current`, dense: of every numeric column its running z-score (clipped to ±5) and its rank in the column's last `window`
      values; an input that marks a missing value, where one was ever missing; one input for each of a column's first 16
      categories, and four signs by hash for all others.
    - `context`, dense: z-scores; their change from the row before and from moving averages over 4, 16 and 64 rows, each over
      its mean size; the last two labels and their shares at half-lives of 4 and 32 rows (see `LabelHistory`); from the
      row on where numbers come again after a season (see `features/season.py`), their change from the mean of the last one.
    - `tiles`, `fine_tiles`, `context_tiles`: tokens by quantile of the same, with pairs of columns.
    - `row`: its columns (see `TableRow`). Marked are the names of columns that have a number here and none in most rows, and
      from the second row on the names, or the categories, of columns that are new or past `max_columns`.

    `earlier_rows=False` leaves the changes out, `label_history=False` the labels; with both off `context` and `context_tiles`
    say no more than `current`. A missing column is neutral in all. A value 10⁴ deviations away counts as missing, until a
    thousand in a row were so. Statistics take a row in `learn`, so predicting changes nothing.

    Raises `ValueError` for NaN or infinity, naming the column, before anything of the micro-batch is taken in.

    Memory: 16 bytes · `window` a column, and at most 16 categories a column.
    """

    def __init__(
        self, *, label_history: bool = True, earlier_rows: bool = True, max_columns: int = 512, window: int = 1000
    ) -> None:
        self.max_columns = max_columns
        self._window = window
        self._earlier_rows = earlier_rows
        self.has_label_history = label_history
        self.has_context = label_history or earlier_rows
        self.labels = LabelHistory(enabled=label_history)
        self.current = Dense()
        self.context = Dense()
        self._inputs = ColumnInputs(current=self.current, context=self.context)
        self.tiles = Tokens()
        self.fine_tiles = Tokens()
        self.context_tiles = Tokens()
        self._rows: Batch = Batch((), ())
        self._values: Mapping[str, float | str] = {}  # of the row encoded last
        self.row = TableRow({}, {})
        self._num_learned = 0
        self.season = 0
        """After how many rows the numbers come again, 0 where they do not or nobody asks."""
        self._limit = ColumnLimit(
            max_columns=max_columns, read="only exact values, rough sizes and that it is there are read, by hash"
        )
        self._names: list[str] = []
        self._index: dict[str, int] = {}
        self._allocate(0)

    def _allocate(self, num_columns: int) -> None:
        """Arrays for `num_columns` columns, of which none has been seen."""
        n = num_columns
        self.stats_NS = np.zeros((n, kernels.NUM_STATS))
        self._ring_NW = np.zeros((n, self._window))
        self._sorted_NW = np.zeros((n, self._window))
        self._size_N = np.zeros(n, dtype=np.int64)
        self._next_N = np.zeros(n, dtype=np.int64)
        self._key_N = np.array([hash_text(name) for name in self._names], dtype=np.uint64)

    def begin(self, batch: Batch) -> None:
        for row in batch.features:
            for name, value in row.items():
                if not isinstance(value, str) and not math.isfinite(value):
                    raise ValueError(f"column {name!r}: {value} is not a finite number; leave a missing value out of the row")
        self._rows = batch

    def encode(self, row: int) -> None:
        self._values = self._rows.features[row]
        self.row = here = TableRow(self._values, self._index)
        kernels.measure_row(
            here.value_N, here.kind_N, self.stats_NS, self._sorted_NW, self._size_N,
            here.z_N, here.rank_N, here.change_NC, here.known_N, self._num_changes,
        )  # fmt: skip
        if not self._earlier_rows:
            here.change_NC[:] = 0.0
        self.current.renew()
        self.context.renew()
        column_kernels.dense_row(
            here.known_N, here.z_N, here.rank_N, here.change_NC, self._inputs.slot_NS,
            self.current.values_D, self.context.values_D,
        )  # fmt: skip
        column_kernels.raw_row(here.known_N, here.value_N, here.category_N, here.raw_N)
        self._inputs.encode_categories(here.category_N, here.categorical)
        self.labels.encode(self.context.values_D)
        self._encode_tiles(here)

    def page(self) -> Page:
        """All that experts read of the current row, for `turn_to`, whatever is encoded or learned in between."""
        dense, tokens = (self.current, self.context), (self.tiles, self.fine_tiles, self.context_tiles)
        return self.row, *(inputs.values_D for inputs in dense), *(each.hashes_T for each in tokens)

    def turn_to(self, page: Page) -> None:
        """Make an earlier row the current one, as it was. What is learned next must be the row encoded last."""
        self.row, self.current.values_D, self.context.values_D, *tokens = page
        self.tiles.hashes_T, self.fine_tiles.hashes_T, self.context_tiles.hashes_T = tokens

    def _encode_tiles(self, here: TableRow) -> None:
        row = (self._key_N, here.category_N, here.bits_N, here.known_N, here.rank_N)
        here.marks_T = column_kernels.rare_row(here.known_N, self.stats_NS, self._key_N)
        if self._names and here.unknown:
            here.marks_T = np.concatenate([here.marks_T, marks(here.unknown)])
        coarse_T, fine_T = np.empty((2, 5 * len(self._names) + PAIRS), dtype=np.uint64)
        self.tiles.hashes_T = coarse_T[: tile_kernels.tile_row(*row, 8, 32, 6, PAIRS, coarse_T)]
        self.fine_tiles.hashes_T = fine_T[: tile_kernels.tile_row(*row, 16, 64, 12, PAIRS, fine_T)]
        if here.unknown and len(self._names) >= self.max_columns:
            more_T = tokens_past_limit(here.unknown)
            for tokens in (self.tiles, self.fine_tiles):
                tokens.hashes_T = np.concatenate([tokens.hashes_T, more_T])
        if not self.has_context:
            return
        room = TOKENS_PER_COLUMN * len(self._names) + 4 + self.labels.share_CH.size
        token_T = np.empty(room, dtype=np.uint64)
        num_context = tile_kernels.tile_context(
            self._key_N, here.category_N, here.known_N, here.rank_N, here.change_NC, self._num_changes,
            self.labels.last_L, self.labels.seasonal, self.labels.share_CH, token_T,
        )  # fmt: skip
        self.context_tiles.hashes_T = token_T[:num_context]

    @property
    def mark_D(self) -> NDArray[np.int64]:  # noqa: N802 - a shape suffix
        """The inputs of `current` that are no numbers: missing marks and categories."""
        return self._inputs.mark_D

    @property
    def num_categories(self) -> int:
        """How many columns of the current row have a category."""
        return len(self.row.categorical)

    def summary(self) -> NDArray[np.float32]:
        """(64,) of each of the first 64 columns the rank of its number, or a number that stands for its category.

        A number that the column nearly always has is in the middle: its rank would wander with how often others came lately.
        """
        summary_D = np.full(SUMMARY_WIDTH, np.nan, np.float32)
        here = self.row
        kernels.summarize_row(here.value_N, here.kind_N, here.rank_N, self._sorted_NW, self._size_N, here.category_N, summary_D)
        return summary_D

    def exact_keys(self) -> NDArray[np.uint64]:
        """(N,) a hash of the current row's exact value in each column known, 0 where it has none."""
        here = self.row
        key_N = self._key_N[: len(here.kind_N)]  # columns may have come since
        return tile_kernels.exact_row(key_N, here.category_N, here.bits_N, here.kind_N)

    def learn(self, target: float, weight: float) -> None:
        if weight == 0.0:
            return
        self._discover()
        self._num_learned += 1
        kernels.learn_row(
            self.row.value_N, self.row.kind_N, self.stats_NS, self._ring_NW, self._sorted_NW, self._size_N, self._next_N,
            self.season,
        )  # fmt: skip
        if self._earlier_rows and is_due(self._num_learned):
            self._look_for_season()
        self.labels.learn(int(target), self.context)

    @property
    def _num_changes(self) -> int:
        return kernels.WITH_SEASON if self.season else kernels.NUM_CHANGES

    def _look_for_season(self) -> None:
        """In columns that had a number in every row that the window holds, or would hold."""
        size = min(self._num_learned, self._window)
        unbroken_N = np.flatnonzero(self.stats_NS[:, kernels.UNBROKEN] >= size)
        before, self.season = self.season, season_of_numbers(self._ring_NW, self._next_N, unbroken_N, size, self.season)
        if self.season != before:
            self.stats_NS[:, kernels.SEASON_ROWS] = 0.0
            self.stats_NS[:, kernels.SPREAD + kernels.NUM_CHANGES] = 0.0
        if self.season:
            self._inputs.add_seasons()

    def _discover(self) -> None:
        """Take in new columns, and inputs that the current row is the first to need."""
        if self.row.unknown and len(self._names) < self.max_columns:
            new = [name for name in self._values if name not in self._index][: self.max_columns - len(self._names)]
            for name in new:
                self._index[name] = len(self._names)
                self._names.append(name)
            self._grow(len(new))
            self.stats_NS[-len(new) :, kernels.ABSENT] = self._num_learned
            self.row = TableRow(self._values, self._index)
        if self.row.unknown and len(self._names) >= self.max_columns:
            self._limit.tell(self.row.unknown[0][0])
        self._inputs.learn(self.row.kind_N, self.row.category_N, self.row.categorical)

    def _grow(self, num_new: int) -> None:
        kept = {name: getattr(self, name) for name in ARRAYS}
        self._allocate(len(self._names))
        for name, array in kept.items():
            getattr(self, name)[: len(array)] = array
        self._inputs.add_columns(num_new)

    def state_dict(self) -> State:
        statistics = {name.strip("_"): getattr(self, name).copy() for name in ARRAYS if name != "_sorted_NW"}
        own = {"names": list(self._names), "rows": self._num_learned, "season": self.season, "labels": self.labels.state_dict()}
        return own | statistics | self._inputs.state_dict()

    def load_state_dict(self, state: State) -> None:
        if state["ring_NW"].shape[1] != self._window:
            raise StateError(f"the saved rank window has {state['ring_NW'].shape[1]} rows, this one {self._window}; set it so")
        self._names, self._num_learned, self.season = list(state["names"]), int(state["rows"]), int(state["season"])
        self._index = {name: column for column, name in enumerate(self._names)}
        self._allocate(len(self._names))
        for name in ARRAYS:
            if name != "_sorted_NW":
                setattr(self, name, np.array(state[name.strip("_")]))
        for column, size in enumerate(self._size_N):
            self._sorted_NW[column, :size] = np.sort(self._ring_NW[column, :size])
        self._inputs.load_state_dict(state)
        self.labels.load_state_dict(state["labels"])

    def weights(self) -> State:
        return self.state_dict()

    def load_weights(self, state: State) -> None:
        self.load_state_dict(state)


# What grows with the number of columns and is learned; the sorted windows follow from the rings.
ARRAYS = ("stats_NS", "_ring_NW", "_sorted_NW", "_size_N", "_next_N")
