"""Assumed density filtering of probit regressions, R members and K classes side by side; see `ProbitBank`.

Of the J inputs whose weights vary together there are means `mean_RKJ` and covariances `joint_RKJJ`. The others stand in the
cells of a `SlotTable`, two planes a member: the mean of a weight and 1 less its variance, so that a new one starts from
N(0, 1).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.slots import Cells, Slots

Floats = NDArray[np.float64]
Values = NDArray[np.float32]

# Of wᵀx by member and class: its mean and its variance; and of what a row says of it: how far it draws Σx, and what it takes
# from Σ in units of ΣxxᵀΣ.
MEAN, VARIANCE = range(2)
STEP, SHRINK = range(2)


@compiled
def say(
    x_J: Floats,
    num_together: int,
    slots: Slots,
    x: Values,
    noise: float,
    mean_RKJ: Floats,
    joint_RKJJ: Floats,
    cells: Cells,
    count_RK: Floats,
    reach_RKJ: Floats,
    said_RKS: Floats,
    p_RK: Floats,
) -> None:
    """What a row's inputs say of wᵀx in `said_RKS`, Σx in `reach_RKJ`, and the classes' probabilities in `p_RK`."""
    _say_joint(x_J, num_together, mean_RKJ, joint_RKJJ, reach_RKJ, said_RKS)
    _say_apart(slots, x, cells, said_RKS)
    _share(said_RKS, count_RK, noise, p_RK)


@compiled
def _say_joint(
    x_J: Floats, num_together: int, mean_RKJ: Floats, joint_RKJJ: Floats, reach_RKJ: Floats, said_RKS: Floats
) -> None:
    """What the joint inputs say of wᵀx, and Σx; of Σ the first `num_together` inputs and the diagonal are read."""
    for r in range(mean_RKJ.shape[0]):
        for k in range(mean_RKJ.shape[1]):
            reach_J = reach_RKJ[r, k]
            reach_J[:num_together] = 0.0
            for i in range(num_together):  # symmetric: a row serves as a column, and the loop inside runs along memory
                if x_J[i] != 0.0:
                    for j in range(num_together):
                        reach_J[j] += x_J[i] * joint_RKJJ[r, k, i, j]
            for j in range(num_together, len(x_J)):
                reach_J[j] = x_J[j] * joint_RKJJ[r, k, j, j]
            mean = variance = 0.0
            for j in range(len(x_J)):
                mean += x_J[j] * mean_RKJ[r, k, j]
                variance += x_J[j] * reach_J[j]
            said_RKS[r, k, MEAN], said_RKS[r, k, VARIANCE] = mean, max(variance, 0.0)


@compiled
def _say_apart(slots: Slots, x: Values, cells: Cells, said_RKS: Floats) -> None:
    """Add what the other inputs of the row say of wᵀx."""
    for i in range(len(slots)):
        square = x[i] * x[i]
        for r in range(said_RKS.shape[0]):
            for k in range(said_RKS.shape[1]):
                said_RKS[r, k, VARIANCE] += square
                if slots[i] >= 0:
                    said_RKS[r, k, MEAN] += x[i] * cells[slots[i], 2 * r, k]
                    said_RKS[r, k, VARIANCE] -= square * cells[slots[i], 2 * r + 1, k]


@compiled
def _share(said_RKS: Floats, count_RK: Floats, noise: float, p_RK: Floats) -> None:
    for r in range(count_RK.shape[0]):
        num_rows = count_RK[r].sum()
        for k in range(count_RK.shape[1]):
            margin = said_RKS[r, k, MEAN] / math.sqrt(1.0 + said_RKS[r, k, VARIANCE])
            p_RK[r, k] = max(noise * count_RK[r, k] / num_rows + (1.0 - noise) * _phi(margin), 1e-12)
        p_RK[r] /= p_RK[r].sum()


@compiled
def _phi(margin: float) -> float:
    """The standard normal distribution up to `margin`."""
    return 0.5 * math.erfc(-margin / math.sqrt(2.0))


@compiled
def learn(
    target: int,
    weight: float,
    noise: float,
    drift_R: Floats,
    num_together: int,
    slots: Slots,
    x: Values,
    said_RKS: Floats,
    reach_RKJ: Floats,
    mean_RKJ: Floats,
    joint_RKJJ: Floats,
    cells: Cells,
    count_RK: Floats,
) -> None:
    """Learn the row said last, then forget a part."""
    site_RKS = _sites(target, weight, noise, said_RKS, count_RK)
    _learn_joint(site_RKS, drift_R, num_together, reach_RKJ, mean_RKJ, joint_RKJJ)
    _learn_apart(site_RKS, drift_R, slots, x, cells)
    for r in range(count_RK.shape[0]):
        for k in range(count_RK.shape[1]):
            count_RK[r, k] *= 1.0 - drift_R[r]
        count_RK[r, target] += weight


@compiled
def _sites(target: int, weight: float, noise: float, said_RKS: Floats, count_RK: Floats) -> Floats:
    """(R, K, 2) `STEP` and `SHRINK` of the row said last: what matches the posterior's mean and variance, counted `weight`
    times."""
    site_RKS = np.empty_like(said_RKS)
    for r in range(said_RKS.shape[0]):
        num_rows = count_RK[r].sum()
        for k in range(said_RKS.shape[1]):
            share = count_RK[r, k] / num_rows
            sign, by_noise = (1.0, share) if k == target else (-1.0, 1.0 - share)
            variance = said_RKS[r, k, VARIANCE]
            scale = math.sqrt(1.0 + variance)
            margin = sign * said_RKS[r, k, MEAN] / scale
            evidence = max(noise * by_noise + (1.0 - noise) * _phi(margin), 1e-300)
            slope = (1.0 - noise) * math.exp(-0.5 * margin * margin) / math.sqrt(2.0 * math.pi) / evidence
            shrink = min(1.0, max(0.0, slope * (slope + margin))) / (1.0 + variance)
            # The same as a Gaussian site on wᵀx, whose precision counts `weight` times.
            left = 1.0 - shrink * variance
            precision, pull = shrink / left, sign * slope / scale / left
            counted = 1.0 + weight * precision * variance
            # However heavy, a row draws wᵀx no further than to one deviation beyond the boundary; of weight 1 none does.
            furthest = (abs(said_RKS[r, k, MEAN]) + scale) / max(variance, 1e-300)
            site_RKS[r, k, STEP] = min(furthest, max(-furthest, weight * pull / counted))
            site_RKS[r, k, SHRINK] = weight * precision / counted
    return site_RKS


@compiled
def _learn_joint(
    site_RKS: Floats, drift_R: Floats, num_together: int, reach_RKJ: Floats, mean_RKJ: Floats, joint_RKJJ: Floats
) -> None:
    num_inputs = mean_RKJ.shape[2]
    for r in range(mean_RKJ.shape[0]):
        kept, keeps = 1.0 - drift_R[r], math.sqrt(1.0 - drift_R[r])
        for k in range(mean_RKJ.shape[1]):
            step, root = site_RKS[r, k, STEP], math.sqrt(site_RKS[r, k, SHRINK])
            reach_J = reach_RKJ[r, k]
            for i in range(num_inputs):
                mean_RKJ[r, k, i] = keeps * (mean_RKJ[r, k, i] + step * reach_J[i])
                reach_J[i] *= root  # so that what is taken off is symmetric to the bit
            for i in range(num_together):
                for j in range(num_together):
                    joint_RKJJ[r, k, i, j] = kept * (joint_RKJJ[r, k, i, j] - reach_J[i] * reach_J[j])
                joint_RKJJ[r, k, i, i] += drift_R[r]
            for i in range(num_together, num_inputs):
                joint_RKJJ[r, k, i, i] = kept * (joint_RKJJ[r, k, i, i] - reach_J[i] * reach_J[i]) + drift_R[r]


@compiled
def _learn_apart(site_RKS: Floats, drift_R: Floats, slots: Slots, x: Values, cells: Cells) -> None:
    for i in range(len(slots)):
        for r in range(site_RKS.shape[0]):
            kept, keeps = 1.0 - drift_R[r], math.sqrt(1.0 - drift_R[r])
            mean, lost = cells[slots[i], 2 * r], cells[slots[i], 2 * r + 1]
            for k in range(site_RKS.shape[1]):
                reach = x[i] * (1.0 - lost[k])
                mean[k] = keeps * (mean[k] + site_RKS[r, k, STEP] * reach)
                lost[k] = kept * (lost[k] + site_RKS[r, k, SHRINK] * reach * reach)
