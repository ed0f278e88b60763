"""The pool of experts for texts: the one place that names them and their constants."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.learning.experts.base import Expert
from daemon.learning.experts.knn import NearestNeighbours
from daemon.learning.experts.lda import StreamingLDA
from daemon.learning.experts.logistic import RATES, LogisticBank
from daemon.learning.experts.markov import MarkovLabel
from daemon.learning.experts.naive_bayes import NaiveBayes
from daemon.learning.experts.prior import DecayedPrior
from daemon.learning.experts.softmax import SoftmaxBank
from daemon.learning.experts.word_bayes import WordBayes
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.text import TextFeatures
from daemon.learning.lead import standard_errors_to_lead
from daemon.learning.mixer import Mixer, how_to_mix

# The bound on the sum of the mixing weights for a pool of these experts.
MAX_TOTAL = 1.2


def text_experts(features: TextFeatures, *, label_history: bool = True, columns: TableFeatures | None = None) -> list[Expert]:
    """Experts on hashed words and bytes, where `features` has an encoder on its embeddings, and, with `label_history`, on the
    labels of earlier rows. Logistic regression reads the `columns` beside a text, too."""
    lda = StreamingLDA(text=features) if features.width else None
    # The softmaxes read the LDA's prediction, so it stands before them.
    experts: list[Expert] = [lda, NearestNeighbours(text=features)] if lda else []
    softmaxes = SoftmaxBank(text=features, lda=lda, num_logistic=len(RATES))
    experts += softmaxes.experts()
    # Behind the softmaxes, whose table they share.
    experts += [NaiveBayes(text=features, table=softmaxes.table), WordBayes(text=features, table=softmaxes.table)]
    experts += LogisticBank(text=features, table=columns, words=softmaxes.table, rates=RATES).experts()
    if label_history:
        experts += [
            MarkovLabel(decay=0.995, pseudo_count=1.0),
            DecayedPrior(half_life=32.0, pseudo_count=0.5),
        ]
    return experts


def text_mixer(experts: Sequence[Expert], *, late: bool) -> Mixer:
    """The mixer of a pool for texts alone."""
    standard_errors = standard_errors_to_lead(experts, late=late)
    return Mixer(num_experts=len(experts), max_total=MAX_TOTAL, standard_errors=standard_errors, **how_to_mix(late=late))
