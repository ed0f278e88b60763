"""Hashing against plain Python, and the features of rows however they are cut into micro-batches."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest

from daemon.learning.batch import Batch
from daemon.learning.features.hashing import BLOCK_SIZE, TextHasher
from daemon.learning.features.text import TextFeatures
from tests.learning.texts import HashedEncoder

MASK = (1 << 64) - 1
OFFSET, PRIME = 0xCBF29CE484222325, 0x100000001B3


def finish(hashed: int) -> int:
    hashed = ((hashed ^ (hashed >> 33)) * 0xFF51AFD7ED558CCD) & MASK
    hashed = ((hashed ^ (hashed >> 33)) * 0xC4CEB9FE1A85EC53) & MASK
    return hashed ^ (hashed >> 33)


def words_of(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text.lower()).split(" ")


def word_features(text: str) -> list[int]:
    features, previous = [], 0
    for word in filter(None, words_of(text)):
        hashed = OFFSET
        for letter in word:
            hashed = ((hashed ^ ord(letter)) * PRIME) & MASK
        single = finish(hashed)
        features.append(single >> 44)
        if previous:
            features.append(finish(((previous ^ (single * PRIME & MASK)) * PRIME) & MASK) >> 44)
        previous = single
    return features


def byte_features(text: str) -> list[int]:
    folded = bytearray()
    for byte in text.encode("utf-8", "surrogatepass"):
        is_space = byte in b" \t\n\v\f\r"
        if not (is_space and folded.endswith(b" ")):
            folded += b" " if is_space else bytes([byte])
    grams = [int.from_bytes(folded[i : i + 4], "big") for i in range(len(folded) - 3)]
    return [BLOCK_SIZE + (finish(((OFFSET ^ gram) * PRIME) & MASK) >> 44) for gram in grams]


def block(features: list[int]) -> list[tuple[int, float]]:
    values = {feature: 1.0 + math.log(count) for feature, count in Counter(features).items()}
    length = math.sqrt(sum(value * value for value in values.values()))
    return [(feature, value / length) for feature, value in values.items()]


TEXTS = (
    "",
    "a",
    "To be, or NOT to be: that's the question\t\n  42",
    "Ünïcode Straße ΣΊΣΥΦΟΣ 東京は日本の首都 İstanbul №7 x² ½",
    "😀 emoji 👩‍👩‍👧 and \ud800 a lone surrogate",
    "\u00a0\u2003 spaces \x1f\x85 that are not ASCII",
)


@pytest.mark.parametrize("text", TEXTS)
def test_hashing_equals_plain_python(text: str) -> None:
    indices, values = TextHasher(max_characters=4000).hash(text)
    expected = block(word_features(text)) + block(byte_features(text))
    assert indices.tolist() == [feature for feature, _ in expected]
    np.testing.assert_allclose(values, [value for _, value in expected], rtol=1e-6)


def test_hashing_equals_plain_python_on_random_code_points() -> None:
    rng = random.Random(7)
    hasher = TextHasher(max_characters=4000)
    for length in (5, 50, 500):
        text = "".join(
            chr(rng.choice((rng.randrange(128), rng.randrange(0x3000), rng.randrange(0x110000)))) for _ in range(length)
        )
        indices, _ = hasher.hash(text)
        assert indices.tolist() == list(dict.fromkeys(word_features(text) + byte_features(text)))


def test_known_features() -> None:
    """A change of the hash would make every saved model worthless, so it must be seen."""
    indices, values = TextHasher(max_characters=4000).hash("Free money")
    assert indices.tolist() == [289215, 202834, 445488, 1527902, 1461075, 1788562, 2000041, 1507915, 1747325, 2077749]
    np.testing.assert_allclose(values[:3], 1 / math.sqrt(3), rtol=1e-6)


def test_only_the_first_characters_count() -> None:
    hasher = TextHasher(max_characters=10)
    assert hasher.hash("0123456789 more")[0].tolist() == hasher.hash("0123456789")[0].tolist()


def test_rows_are_the_same_in_every_micro_batch() -> None:
    texts = list(TEXTS[:4])
    one, all_at_once = (TextFeatures(encoder=HashedEncoder()) for _ in range(2))
    all_at_once.begin(Batch(texts, [{}] * 4))
    for row, text in enumerate(texts):
        one.begin(Batch([text], [{}]))
        one.encode(0)
        all_at_once.encode(row)
        assert one.indices.tobytes() == all_at_once.indices.tobytes()
        assert one.values.tobytes() == all_at_once.values.tobytes()
        assert one.embedding.tobytes() == all_at_once.embedding.tobytes()


def test_without_an_encoder_there_is_no_embedding() -> None:
    text = TextFeatures(encoder=None)
    text.begin(Batch(["some words"], [{}]))
    text.encode(0)
    assert text.width == 0
    assert text.embedding.shape == (0,)
