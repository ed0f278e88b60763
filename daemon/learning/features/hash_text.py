"""A number for a name or a category."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b


@lru_cache(maxsize=1 << 16)
def hash_text(text: str) -> int:
    """64 bits of a name or category, the same in every process.

    >>> hash_text("colour") == hash_text("colour"), hash_text("colour") == hash_text("color")
    (True, False)
    """
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
