"""The pool of experts for tables: the one place that names them and their constants."""

from __future__ import annotations

import math
from collections.abc import Sequence

from daemon.learning.experts.base import Expert
from daemon.learning.experts.forest import Forest
from daemon.learning.experts.fourier import FourierLeastSquares
from daemon.learning.experts.key_column import KeyColumn
from daemon.learning.experts.linear import Linear
from daemon.learning.experts.logistic import LogisticBank
from daemon.learning.experts.markov import MarkovLabel
from daemon.learning.experts.mlp import MLP
from daemon.learning.experts.prior import DecayedPrior
from daemon.learning.experts.probit import ProbitBank
from daemon.learning.experts.rank_knn import RankNeighbors
from daemon.learning.experts.table_bayes import TableBayes
from daemon.learning.experts.tiles import Rate, TileBank
from daemon.learning.experts.word_bayes import WordBayes
from daemon.learning.features.inputs import Dense
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.text import TextFeatures
from daemon.learning.lead import standard_errors_to_lead
from daemon.learning.mixer import Mixer, how_to_mix

# The bound on the sum of the mixing weights for a pool with these experts, and how fast fixed share follows the best.
MAX_TOTAL = 1.4
SHARE_RATE = 0.25
# The mixer starts with the simple learners, at so many times the weight of any other, and so loses less to them while it finds
# out; less so where labels are late, and it would need long to learn better.
SIMPLE_WEIGHT, SIMPLE_WEIGHT_LATE = 6.0, 3.0
# Of logistic regression only the rate that finds a rare category at once: sums are found sooner by the probits.
LOGISTIC_RATES = (0.5,)


def table_experts(
    features: TableFeatures, *, seed: int, text: TextFeatures | None = None, words: WordBayes | None = None
) -> list[Expert]:
    """Experts on the columns of the current row, and, where `features` has them, on the rows and labels before it.

    Of each kind there are some for what holds long and some that forget within hundreds of rows. `tiles_careful` and
    `prior_all` answer near to how often a label comes, which no other does where one is rare. `text` is that beside the table,
    and `words` the expert on its words, to which naive Bayes adds the columns; logistic regression is among those on the text.
    """
    row, tiles = features.current, features.tiles
    rates = [Rate("tiles_slow", 0.03), Rate("tiles_careful", 0.1, start=30.0), Rate("tiles_steady", 1.0, start=100.0)]
    experts: list[Expert] = [
        *TileBank(tokens=tiles, rates=rates).experts(),
        *TileBank(tokens=features.fine_tiles, rates=[Rate("tiles_fine", 0.2)]).experts(),
        _fourier("fourier_narrow", row, bandwidth=0.35, forgetting=0.9995, seed=seed + 1, num_features=200),
        _fourier("fourier_fast", row, bandwidth=1.0, forgetting=0.99, seed=seed + 3, num_features=100),
        MLP(name="mlp", inputs=row, seed=seed + 4),
        Forest(name="forest", table=features, seed=seed + 2),
        *RankNeighbors(inputs=row, members={"neighbors_1": 1, "neighbors_16": 16}).experts(),
        TableBayes(name="table_bayes", table=features, words=words),
        KeyColumn(name="key", table=features),
        DecayedPrior(name="prior_all", half_life=math.inf, pseudo_count=0.5),
        DecayedPrior(name="prior_slow", half_life=200.0, pseudo_count=0.5),
    ]
    experts += ProbitBank(table=features, text=text).experts()
    if not words:
        experts += LogisticBank(text=None, table=features, rates=LOGISTIC_RATES).experts()
    if features.has_context:
        experts += _on_context(features, seed=seed)
    if features.has_label_history:
        experts.append(MarkovLabel(name="last_label", decay=0.995, pseudo_count=1.0))
    return experts


def table_mixer(experts: Sequence[Expert], *, late: bool) -> Mixer:
    """The mixer of a pool with a table."""
    simple = SIMPLE_WEIGHT_LATE if late else SIMPLE_WEIGHT
    return Mixer(
        num_experts=len(experts),
        first_weights=[simple if expert.is_simple else 1.0 for expert in experts],
        max_total=MAX_TOTAL,
        share_rate=SHARE_RATE,
        standard_errors=standard_errors_to_lead(experts, late=late),
        # Not so for texts alone, whose experts err too seldom to be told how surely they do.
        calibrated=[place for place, expert in enumerate(experts) if not expert.is_trivial],
        **how_to_mix(late=late),
    )


def _on_context(features: TableFeatures, *, seed: int) -> list[Expert]:
    inputs, tiles = features.context, features.context_tiles
    rates = [Rate("context_tiles_slow", 0.03), Rate("context_tiles_steady", 0.3, start=100.0)]
    return [
        *TileBank(tokens=tiles, rates=rates).experts(),
        MLP(name="context_mlp", inputs=inputs, seed=seed + 7, num_replayed=15),
        Linear(name="context_linear", inputs=inputs, rate=0.3),
    ]


def _fourier(
    name: str, inputs: Dense, *, bandwidth: float, forgetting: float, seed: int, num_features: int
) -> FourierLeastSquares:
    return FourierLeastSquares(
        name=name, inputs=inputs, bandwidth=bandwidth, forgetting=forgetting, seed=seed, num_features=num_features
    )
