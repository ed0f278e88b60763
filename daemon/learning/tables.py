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

# The bound on the sum of the mixing weights for a pool with these experts.
MAX_TOTAL = 1.4


def table_experts(features: TableFeatures, *, seed: int) -> list[Expert]:
    """Experts on the columns of the current row, and, where `features` has them, on the rows and labels before it."""
    experts: list[Expert] = [
        Tiles(name="tiles_slow", tokens=features.tiles, rate=0.1),
        Tiles(name="tiles_fast", tokens=features.tiles, rate=0.3),
        Tiles(name="tiles_fine", tokens=features.fine_tiles, rate=0.2),
        FourierLeastSquares(name="fourier_narrow", inputs=features.current, bandwidth=0.25, forgetting=0.999, seed=seed + 1),
        FourierLeastSquares(name="fourier_middle", inputs=features.current, bandwidth=0.5, forgetting=0.9998, seed=seed + 2),
        FourierLeastSquares(name="fourier_wide", inputs=features.current, bandwidth=1.5, forgetting=0.9998, seed=seed + 3),
        MLP(name="mlp", inputs=features.current, seed=seed + 4),
        Linear(name="linear", inputs=features.current, rate=0.3),
        RankNeighbors(name="neighbors_1", inputs=features.current, num_neighbors=1),
        RankNeighbors(name="neighbors_4", inputs=features.current, num_neighbors=4),
        RankNeighbors(name="neighbors_16", inputs=features.current, num_neighbors=16),
        DecayedPrior(name="prior_slow", half_life=200.0, pseudo_count=0.5),
    ]
    if features.has_context:
        experts += [
            Tiles(name="context_tiles_slow", tokens=features.context_tiles, rate=0.1),
            Tiles(name="context_tiles_fast", tokens=features.context_tiles, rate=0.3),
            MLP(name="context_mlp", inputs=features.context, seed=seed + 5),
            Linear(name="context_linear", inputs=features.context, rate=0.3),
        ]
    if features.has_label_history:
        experts += [
            MarkovLabel(name="last_label", decay=0.995, pseudo_count=0.5, diagonal=0.5),
            DecayedPrior(name="prior_fast", half_life=16.0, pseudo_count=0.5),
        ]
    return experts
