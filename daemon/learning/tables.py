"""The pool of experts for tables: the one place that names them and their constants."""

from __future__ import annotations

from daemon.learning.experts.base import Expert
from daemon.learning.experts.fourier import FourierLeastSquares
from daemon.learning.experts.linear import Linear
from daemon.learning.experts.markov import MarkovLabel
from daemon.learning.experts.mlp import MLP
from daemon.learning.experts.prior import DecayedPrior
from daemon.learning.experts.rank_knn import RankNeighbors
from daemon.learning.experts.tiles import Tiles
from daemon.learning.features.table import TableFeatures

# The bound on the sum of the mixing weights for a pool with these experts, and how fast fixed share follows the best.
MAX_TOTAL = 1.4
SHARE_RATE = 0.75


def table_experts(features: TableFeatures, *, seed: int) -> list[Expert]:
    """Experts on the columns of the current row, and, where `features` has them, on the rows and labels before it."""
    row, tiles, context = features.current, features.tiles, features.context
    experts: list[Expert] = [
        Tiles(name="tiles_slow", tokens=tiles, rate=0.03),
        Tiles(name="tiles_middle", tokens=tiles, rate=0.1),
        Tiles(name="tiles_fast", tokens=tiles, rate=0.3),
        Tiles(name="tiles_fine", tokens=features.fine_tiles, rate=0.2),
        FourierLeastSquares(name="fourier_narrow", inputs=row, bandwidth=0.25, forgetting=0.999, seed=seed + 1),
        FourierLeastSquares(name="fourier_middle", inputs=row, bandwidth=0.5, forgetting=0.9998, seed=seed + 2),
        FourierLeastSquares(name="fourier_wide", inputs=row, bandwidth=1.0, forgetting=0.998, seed=seed + 3),
        MLP(name="mlp", inputs=row, seed=seed + 4, rate=0.003, steps=2),
        MLP(name="mlp_fast", inputs=row, seed=seed + 5, rate=0.006, steps=1),
        Linear(name="linear", inputs=row, rate=0.3),
        RankNeighbors(name="neighbors_1", inputs=row, num_neighbors=1),
        RankNeighbors(name="neighbors_16", inputs=row, num_neighbors=16),
        DecayedPrior(name="prior_slow", half_life=200.0, pseudo_count=0.5),
    ]
    if features.has_context:
        experts += [
            Tiles(name="context_tiles_slow", tokens=features.context_tiles, rate=0.03),
            Tiles(name="context_tiles_fast", tokens=features.context_tiles, rate=0.1),
            MLP(name="context_mlp", inputs=context, seed=seed + 6, rate=0.003, steps=2),
            MLP(name="context_mlp_slow", inputs=context, seed=seed + 7, rate=0.001, steps=1),
            Linear(name="context_linear", inputs=context, rate=0.3),
        ]
    if features.has_label_history:
        experts += [
            MarkovLabel(name="last_label", decay=0.995, pseudo_count=0.5, diagonal=0.5),
            DecayedPrior(name="prior_fast", half_life=16.0, pseudo_count=0.5),
        ]
    return experts
