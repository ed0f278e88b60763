"""What to answer on the row right behind the first one of a second label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.learning.lead import follow

Floats = NDArray[np.float64]

# Of fewer rows of a label one does not know what is usual of them; behind n of them a second label is taken to be n / FEW_ROWS
# times as likely to stay as to go.
FEW_ROWS = 8


def behind_second(mixed_K: Floats, balanced: Sequence[Floats], *, rows_alone: int) -> Floats:
    """(K,) `mixed_K`, in which the likeliest of two labels is that of most of the experts that need no class frequencies, (K,)
    each; where as many are for either, that of the mix.

    A second label that came once, behind n = `rows_alone` rows of the first, may be rare, or have come to stay as where labels
    are sorted. The odds that it stays are taken to grow with n: where a rate is as likely to be any, it first shows behind n
    rows with a chance that falls as 1/n²; the end of a run that is as likely to be of any order falls as 1/n. So where n is 8
    or more the experts are asked under these odds. Of later labels one knows how those before went on.

    >>> mixed_K = np.array([0.7, 0.2, 0.1])
    >>> unlike, like, like_too = np.array([0.99, 0.01, 0.0]), np.array([0.5, 0.4, 0.1]), np.array([0.6, 0.4, 0.0])
    >>> behind_second(mixed_K, [unlike, like, like_too], rows_alone=40).tolist()
    [0.2, 0.7, 0.1]
    >>> behind_second(mixed_K, [unlike, like], rows_alone=40).tolist()
    [0.7, 0.2, 0.1]
    """
    if rows_alone < FEW_ROWS or not balanced:
        return mixed_K
    odds_EK = np.array(balanced)[:, :2] * (1.0, rows_alone / FEW_ROWS)
    votes_K = np.bincount(odds_EK.argmax(axis=1), minlength=3)  # none for the spare
    return mixed_K if votes_K[0] == votes_K[1] else follow(votes_K.astype(np.float64), mixed_K)
