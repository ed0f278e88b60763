"""Text to hashed features: word uni- and bigrams, and byte 4-grams, each block in a space of 2^20."""

from __future__ import annotations

import functools
import sys

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled

BLOCK_BITS = 20
BLOCK_SIZE = 1 << BLOCK_BITS
NUM_FEATURES = 2 * BLOCK_SIZE
"""Words hash to [0, 2^20), byte 4-grams to [2^20, 2^21)."""

# FNV-1a's 64-bit offset and prime, and the two multipliers of MurmurHash3's finaliser.
_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_MIX_1, _MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)
_KEEP = np.uint64(64 - BLOCK_BITS)

Indices = NDArray[np.int32]
Values = NDArray[np.float32]
Hashes = NDArray[np.uint64]


class TextHasher:
    """Hashes one text after the other; holds scratch memory (64 bytes a character) and the table of letters.

    A word is a run of letters and digits of any script, lower-cased; a byte 4-gram is taken from the UTF-8 text, as
    written, with every run of white space as one space. A feature that occurs n times in its block has the value
    1 + ln n, and each block is scaled to length 1.

    >>> indices, values = TextHasher(max_characters=4000).hash("to be or not to be")
    >>> len(indices), int((indices < BLOCK_SIZE).sum())      # 4 words, 4 pairs; 13 of the 15 4-grams differ
    (21, 8)
    >>> [round(float(value), 4) for value in values[:3]]     # "to" twice, "be" twice, "to be" twice
    [0.4591, 0.4591, 0.4591]
    """

    def __init__(self, *, max_characters: int) -> None:
        self._max_characters = max_characters
        most = 4 * max_characters  # bytes, or characters in lower case
        self._hashes = np.empty(most + 1, dtype=np.uint64)
        # An open-addressed table of a row's features: where each stands among them, from 1.
        self._position_S = np.empty(_table_size(most), dtype=np.int32)
        self._letters = _letters_and_digits()

    def hash(self, text: str) -> tuple[Indices, Values]:
        """(n,) the features in order of first occurrence, words first, and (n,) their values."""
        shown = text[: self._max_characters]
        points = np.frombuffer(shown.lower().encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        utf8 = np.frombuffer(shown.encode("utf-8", "surrogatepass"), dtype=np.uint8)
        # A text of n characters has at most (n + 1) / 2 words, so at most n words and pairs.
        indices = np.empty(len(points) + len(utf8), dtype=np.int32)
        values = np.empty(len(indices), dtype=np.float32)
        num_words = self._count(_hash_words(points, self._letters, self._hashes), 0, indices, values)
        num_grams = _hash_bytes(utf8, self._hashes)
        num = num_words + self._count(num_grams, BLOCK_SIZE, indices[num_words:], values[num_words:])
        return indices[:num].copy(), values[:num].copy()

    def _count(self, num_hashes: int, block: int, indices: Indices, values: Values) -> int:
        # Of the table no more than these need: it stays in the processor's nearest cache.
        return _count(self._hashes[:num_hashes], block, self._position_S[: _table_size(num_hashes)], indices, values)


@functools.cache
def _letters_and_digits() -> NDArray[np.bool_]:
    """(code points,) whether `str.isalnum` holds; made once, in about 0.1 s."""
    num_points = sys.maxunicode + 1
    return np.fromiter((chr(point).isalnum() for point in range(num_points)), dtype=np.bool_, count=num_points)


def _table_size(num_features: int) -> int:
    """A power of two, more than twice as many."""
    return 2 << num_features.bit_length()


@compiled
def _finish(hashed: np.uint64) -> np.uint64:
    hashed = (hashed ^ (hashed >> _SHIFT)) * _MIX_1
    hashed = (hashed ^ (hashed >> _SHIFT)) * _MIX_2
    return hashed ^ (hashed >> _SHIFT)


@compiled
def _hash_words(points: NDArray[np.uint32], letters: NDArray[np.bool_], hashes: Hashes) -> int:
    """The hash of each word and each pair of words, into `hashes`. Returns how many there are."""
    num = 0
    word = _OFFSET
    previous = np.uint64(0)
    inside = False
    for i in range(len(points) + 1):
        if i < len(points) and letters[points[i]]:
            word = (word ^ np.uint64(points[i])) * _PRIME
            inside = True
        elif inside:
            single = _finish(word)
            hashes[num] = single
            num += 1
            if previous != np.uint64(0):
                hashes[num] = _finish((previous ^ single * _PRIME) * _PRIME)
                num += 1
            previous = single
            word = _OFFSET
            inside = False
    return num


@compiled
def _hash_bytes(utf8: NDArray[np.uint8], hashes: Hashes) -> int:
    """The hash of each byte 4-gram, into `hashes`. Returns how many there are."""
    length = 0
    gram = np.uint64(0)
    in_space = False
    for i in range(len(utf8)):
        byte = utf8[i]
        is_space = byte == 32 or 9 <= byte <= 13
        if is_space and in_space:
            continue
        in_space = is_space
        gram = ((gram << np.uint64(8)) | np.uint64(32 if is_space else byte)) & np.uint64(0xFFFFFFFF)
        length += 1
        if length >= 4:
            hashes[length - 4] = gram
    num = max(0, length - 3)
    # Apart from the loop above, so that it is done in whole vectors.
    for i in range(num):
        hashes[i] = _finish((_OFFSET ^ hashes[i]) * _PRIME)
    return num


@compiled
def _count(hashes: Hashes, block: int, position_S: Indices, indices: Indices, values: Values) -> int:
    """The distinct features and 1 + ln of how often each comes, to length 1. Returns how many there are.

    Apart from the hashing, which would otherwise be done again after each branch that the processor guessed wrong.
    """
    position_S[:] = 0
    last = np.uint64(len(position_S) - 1)
    num = 0
    for i in range(len(hashes)):
        feature = np.int32(block + np.int64(hashes[i] >> _KEEP))
        place = np.uint64(feature) & last
        while position_S[place] != 0 and indices[position_S[place] - 1] != feature:
            place = (place + np.uint64(1)) & last
        if position_S[place] == 0:
            indices[num], values[num] = feature, 0.0
            num += 1
            position_S[place] = num
        values[position_S[place] - 1] += np.float32(1.0)
    squares = 0.0
    for i in range(num):
        # Most come once, and a logarithm costs more than all else here.
        value = 1.0 if values[i] == 1.0 else 1.0 + np.log(float(values[i]))
        values[i] = value
        squares += value * value
    length = np.sqrt(squares)
    for i in range(num):
        values[i] /= length
    return num
