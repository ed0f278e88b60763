"""Numbers and categories of a row, beside what came before: the features of the tabular default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daemon.learning.batch import Batch
from daemon.learning.experts.base import Extractor
from daemon.learning.features import column_kernels, tile_kernels
from daemon.learning.features.column_inputs import ColumnInputs
from daemon.learning.features.columns import Columns
from daemon.learning.features.inputs import Dense, Tokens
from daemon.learning.features.label_history import LabelHistory
from daemon.learning.features.past_limit import ColumnLimit, marks, tokens_past_limit
from daemon.learning.features.season import is_due
from daemon.learning.features.table_kernels import WITH_SEASON
from daemon.learning.features.table_row import TableRow
from daemon.state import State

# Columns that the watch on inputs sees.
SUMMARY_WIDTH = 64
PAIRS = 64
TOKENS_PER_COLUMN = 2 + 6 * WITH_SEASON


class Page(NamedTuple):
    """What `TableFeatures` holds of one row, but for what it learned of it."""

    row: TableRow
    current_D: NDArray[np.float32]
    context_D: NDArray[np.float32]
    tiles_T: NDArray[np.uint64]
    fine_tiles_T: NDArray[np.uint64]
    context_tiles_T: NDArray[np.uint64]


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
        self._limit = ColumnLimit(
            max_columns=max_columns, read="only exact values, rough sizes and that it is there are read, by hash"
        )
        self.columns = Columns(window=window)

    def begin(self, batch: Batch) -> None:
        for row in batch.features:
            for name, value in row.items():
                if not isinstance(value, str) and not math.isfinite(value):
                    raise ValueError(f"column {name!r}: {value} is not a finite number; leave a missing value out of the row")
        self._rows = batch

    def encode(self, row: int) -> None:
        self._values = self._rows.features[row]
        self.row = here = TableRow(self._values, self.columns.index)
        self.columns.measure(here)
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
        """The current row, for `turn_to`, whatever is encoded or learned in between: all that experts of a classification read
        of it."""
        coarse, fine, context = self.tiles.hashes_T, self.fine_tiles.hashes_T, self.context_tiles.hashes_T
        return Page(self.row, self.current.values_D, self.context.values_D, coarse, fine, context)

    def turn_to(self, page: Page) -> None:
        """Make an earlier row the current one, as it was. What is learned next must be the row encoded last."""
        self.row = page.row
        self.current.values_D, self.context.values_D = page.current_D, page.context_D
        self.tiles.hashes_T, self.fine_tiles.hashes_T = page.tiles_T, page.fine_tiles_T
        self.context_tiles.hashes_T = page.context_tiles_T

    def _encode_tiles(self, here: TableRow) -> None:
        key_N = self.columns.key_N
        row = (key_N, here.category_N, here.bits_N, here.known_N, here.rank_N)
        here.marks_T = column_kernels.rare_row(here.known_N, self.columns.stats_NS, key_N)
        if len(key_N) and here.unknown:
            here.marks_T = np.concatenate([here.marks_T, marks(here.unknown)])
        coarse_T, fine_T = np.empty((2, 5 * len(key_N) + PAIRS), dtype=np.uint64)
        self.tiles.hashes_T = coarse_T[: tile_kernels.tile_row(*row, 8, 32, 6, PAIRS, coarse_T)]
        self.fine_tiles.hashes_T = fine_T[: tile_kernels.tile_row(*row, 16, 64, 12, PAIRS, fine_T)]
        if here.unknown and len(key_N) >= self.max_columns:
            more_T = tokens_past_limit(here.unknown)
            for tokens in (self.tiles, self.fine_tiles):
                tokens.hashes_T = np.concatenate([tokens.hashes_T, more_T])
        if not self.has_context:
            return
        room = TOKENS_PER_COLUMN * len(key_N) + 4 + self.labels.share_CH.size
        token_T = np.empty(room, dtype=np.uint64)
        num_context = tile_kernels.tile_context(
            key_N, here.category_N, here.known_N, here.rank_N, here.change_NC, self.columns.num_changes,
            self.labels.last_L, self.labels.seasonal, self.labels.share_CH, token_T,
        )  # fmt: skip
        self.context_tiles.hashes_T = token_T[:num_context]

    @property
    def mark_D(self) -> NDArray[np.int64]:  # noqa: N802 - a shape suffix
        """The inputs of `current` that are no numbers: missing marks and categories."""
        return self._inputs.mark_D

    def summary(self) -> NDArray[np.float32]:
        """(64,) of each of the first 64 columns the rank of its number, or a number that stands for its category.

        A number that the column nearly always has is in the middle: its rank would wander with how often others came lately.
        """
        summary_D = np.full(SUMMARY_WIDTH, np.nan, np.float32)
        self.columns.summarize(self.row, summary_D)
        return summary_D

    def exact_keys(self) -> NDArray[np.uint64]:
        """(N,) a hash of the current row's exact value in each column known, 0 where it has none."""
        here = self.row
        key_N = self.columns.key_N[: len(here.kind_N)]  # columns may have come since
        return tile_kernels.exact_row(key_N, here.category_N, here.bits_N, here.kind_N)

    def learn(self, target: float, weight: float) -> None:
        if weight == 0.0:
            return
        self._discover()
        self.columns.learn(self.row)
        if self._earlier_rows and is_due(self.columns.num_rows):
            self.columns.look_for_season()
            if self.columns.season:
                self._inputs.add_seasons()
        self.labels.learn(int(target), self.context)

    def _discover(self) -> None:
        """Take in new columns, and inputs that the current row is the first to need."""
        room = self.max_columns - len(self.columns)
        if self.row.unknown and room > 0:
            new = [name for name, _ in self.row.unknown][:room]
            self.columns.add(new)
            self._inputs.add_columns(len(new))
            self.row = TableRow(self._values, self.columns.index)
        if self.row.unknown and len(self.columns) >= self.max_columns:
            self._limit.tell(self.row.unknown[0][0])
        self._inputs.learn(self.row.kind_N, self.row.category_N, self.row.categorical)

    def state_dict(self) -> State:
        return self.columns.state_dict() | self._inputs.state_dict() | {"labels": self.labels.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.columns.load_state_dict(state)
        self.row = TableRow({}, self.columns.index)
        self._inputs.load_state_dict(state)
        self.labels.load_state_dict(state["labels"])

    def weights(self) -> State:
        return self.state_dict()

    def load_weights(self, state: State) -> None:
        self.load_state_dict(state)
