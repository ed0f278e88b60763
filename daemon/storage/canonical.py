"""JSON in one form only, so that equal documents have equal bytes and equal hashes."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical(document: Any) -> bytes:
    """`document` as JSON: sorted keys, no spaces, ASCII, floats by `repr` (which round-trips). Raises `ValueError` on NaN.

    >>> canonical({"b": 0.1, "a": ["é", None]})
    b'{"a":["\\\\u00e9",null],"b":0.1}'
    """
    # ASCII, because a label may hold a lone surrogate, which JSON can carry and UTF-8 cannot.
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def sha256_of(document: Any) -> str:
    """SHA-256 of the canonical form.

    >>> sha256_of({"a": 1, "b": 2}) == sha256_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical(document)).hexdigest()
