"""Compiled parts of `TableFeatures`: the tokens of one row, by quantile tiles.

N columns, T tokens. Kinds of a value are those of `table_kernels`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.features.table_kernels import CATEGORY, NUM_CHANGES, NUMBER, Floats, Ints


@compiled
def mix_bits(key: int, value: int) -> np.uint64:
    """64 random bits of a pair of integers: the finalizer of SplitMix64 (Steele, Lea and Flood 2014) over their sum."""
    bits = np.uint64(key) + np.uint64(value) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@compiled
def _bin(share: float, num_bins: int, shift: float) -> int:
    return int(share * num_bins + shift)


@compiled
def exact_row(
    key_N: NDArray[np.uint64], category_N: NDArray[np.uint64], bits_N: NDArray[np.uint64], kind_N: Ints
) -> NDArray[np.uint64]:
    """A hash of each column's exact value, 0 where it is missing."""
    exact_N = np.zeros(len(key_N), dtype=np.uint64)
    for n in range(len(key_N)):
        if kind_N[n] == NUMBER:
            exact_N[n] = mix_bits(key_N[n] + np.uint64(1), bits_N[n])
        elif kind_N[n] == CATEGORY:
            exact_N[n] = category_N[n]
    return exact_N


@compiled
def number_tokens(key_V: NDArray[np.uint64], bits_V: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(3 V,) tokens of V numbers, given by their bits: the exact value, and its sign with a quarter octave and octave."""
    token_T = np.empty(3 * len(key_V), dtype=np.uint64)
    for v in range(len(key_V)):
        token_T[3 * v] = mix_bits(key_V[v] + np.uint64(1), bits_V[v])
        token_T[3 * v + 1] = mix_bits(key_V[v] + np.uint64(2), bits_V[v] >> np.uint64(50))
        token_T[3 * v + 2] = mix_bits(key_V[v] + np.uint64(3), bits_V[v] >> np.uint64(52))
    return token_T


@compiled
def tile_row(
    key_N: NDArray[np.uint64],
    category_N: NDArray[np.uint64],
    bits_N: NDArray[np.uint64],
    known_N: Ints,
    rank_N: Floats,
    coarse: int,
    fine: int,
    pair_bins: int,
    num_pairs: int,
    token_T: NDArray[np.uint64],
) -> int:
    """Tokens of one row by quantile tiles; returns how many.

    A number gives four tiles (`coarse` and `fine` bins of its rank, each also shifted by half) and its exact value; a
    category or a missing value gives one token. Pairs of columns, the nearest in order first, give one each.
    """
    num_columns = len(key_N)
    t = 0
    code_N = np.zeros(num_columns, dtype=np.uint64)
    for n in range(num_columns):
        key = key_N[n]
        if known_N[n] == NUMBER:
            u = rank_N[n]
            token_T[t] = mix_bits(key, 1000 + _bin(u, coarse, 0.0))
            token_T[t + 1] = mix_bits(key, 2000 + _bin(u, coarse, 0.5))
            token_T[t + 2] = mix_bits(key, 3000 + _bin(u, fine, 0.0))
            token_T[t + 3] = mix_bits(key, 4000 + _bin(u, fine, 0.5))
            token_T[t + 4] = mix_bits(key + np.uint64(1), bits_N[n])
            t += 5
            code_N[n] = np.uint64(min(pair_bins - 1, _bin(u, pair_bins, 0.0)))
        elif known_N[n] == CATEGORY:
            token_T[t] = category_N[n]
            code_N[n] = category_N[n]
            t += 1
        else:
            token_T[t] = mix_bits(key, 5000)
            code_N[n] = np.uint64(5000)
            t += 1
    made = 0
    for distance in range(1, num_columns // 2 + 1):
        for n in range(num_columns):
            other = (n + distance) % num_columns
            if made == num_pairs or (2 * distance == num_columns and n >= distance):
                break
            low, high = min(n, other), max(n, other)
            token_T[t] = mix_bits(mix_bits(key_N[low], code_N[low]) + key_N[high], code_N[high])
            t += 1
            made += 1
    return t


@compiled
def tile_context(
    key_N: NDArray[np.uint64],
    category_N: NDArray[np.uint64],
    known_N: Ints,
    rank_N: Floats,
    change_NC: Floats,
    num_changes: int,
    label_L: Ints,
    seasonal: int,
    share_CL: Floats,
    token_T: NDArray[np.uint64],
) -> int:
    """Tokens of one row beside the rows and labels before it; returns how many.

    Ranks, changes of each column (squashed to bins), the last labels, and pairs of a column with its change or the label.
    """
    t = 0
    last, before = label_L[0], label_L[1]
    for n in range(len(key_N)):
        key = key_N[n]
        if known_N[n] == CATEGORY:
            token_T[t] = category_N[n]
            token_T[t + 1] = mix_bits(category_N[n], 6000 + last)
            t += 2
        if known_N[n] != NUMBER:
            continue
        u = rank_N[n]
        token_T[t] = mix_bits(key, 1000 + _bin(u, 8, 0.0))
        token_T[t + 1] = mix_bits(key, 3000 + _bin(u, 32, 0.0))
        t += 2
        sixth = _bin(u, 6, 0.0)
        for c in range(num_changes):
            share = 0.5 + 0.5 * change_NC[n, c] / (1.0 + abs(change_NC[n, c]))
            change_key = key + np.uint64(10 + c)
            token_T[t] = mix_bits(change_key, 7000 + _bin(share, 8, 0.0))
            token_T[t + 1] = mix_bits(change_key, 8000 + _bin(share, 24, 0.0))
            token_T[t + 2] = mix_bits(change_key, 9000 + 16 * _bin(share, 6, 0.0) + sixth)
            token_T[t + 3] = mix_bits(change_key, 11000 + _bin(share, 24, 0.5))
            beside = change_NC[n, c - 1 if c > 0 else NUM_CHANGES - 1]  # of the first: that from the longest average
            other = 0.5 + 0.5 * beside / (1.0 + abs(beside))
            token_T[t + 4] = mix_bits(change_key, 12000 + 16 * _bin(share, 8, 0.0) + _bin(other, 8, 0.0))
            t += 5
            if last >= 0:
                token_T[t] = mix_bits(change_key, 10000 + 16 * last + _bin(share, 6, 0.0))
                t += 1
    if last >= 0:
        token_T[t] = mix_bits(11, last)
        token_T[t + 1] = mix_bits(12, 1000 * last + before)
        t += 2
        if seasonal >= 0:
            token_T[t] = mix_bits(15, seasonal)
            token_T[t + 1] = mix_bits(16, 1000 * last + seasonal)
            t += 2
        for c in range(share_CL.shape[0]):
            for h in range(share_CL.shape[1]):
                token_T[t] = mix_bits(13 + h, 100 * c + _bin(share_CL[c, h], 8, 0.5))
                t += 1
    return t
