"""JSON in one form only, so that equal documents have equal bytes and equal hashes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from daemon.errors import StateError
from daemon.state import JSON

# ASCII, because a label may hold a lone surrogate, which JSON can carry and UTF-8 cannot.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def canonical(document: Any) -> bytes:
    """`document` as JSON: sorted keys, no spaces, ASCII, floats by `repr` (which round-trips). Raises `ValueError` on NaN.

    >>> canonical({"b": 0.1, "a": ["é", None]})
    b'{"a":["\\\\u00e9",null],"b":0.1}'
    """
    return _ENCODER.encode(document).encode("ascii")


def sha256_of(document: Any) -> str:
    """SHA-256 of the canonical form.

    >>> sha256_of({"a": 1, "b": 2}) == sha256_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical(document)).hexdigest()


def seal(document: Mapping[str, Any]) -> bytes:
    """A file that tells by itself whether it is what was written: the canonical form with its own "sha256" in it."""
    return canonical({**document, "sha256": sha256_of(document)}) + b"\n"


def unseal(data: bytes) -> dict[str, Any]:
    """What was sealed; raises `ValueError` where even one bit of `data` is not as `seal` made it.

    >>> unseal(seal({"step": 3}))
    {'step': 3}
    """
    document = json.loads(data)
    if not isinstance(document, dict) or document.pop("sha256", None) != sha256_of(document) or seal(document) != data:
        raise ValueError("it is not what was written")
    return document


def checked(value: Any, path: tuple[str, ...]) -> JSON:
    """A deep copy of `value`; raises `StateError`, which names the path below `path`, where it is not JSON.

    >>> checked({"rate": [0.1, None]}, ())
    {'rate': [0.1, None]}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise StateError(f"{show(path)}: {value} is not JSON; keep numbers that may not be finite in an array")
        return float(value)
    if isinstance(value, list):
        return [checked(item, (*path, str(index))) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {checked_key(key, path): checked(item, (*path, key)) for key, item in value.items()}
    raise StateError(f"{show(path)}: {type(value).__name__} is neither an array in a dictionary nor JSON; convert it")


def checked_key(key: object, path: tuple[str, ...]) -> str:
    """`key` of the dictionary at `path`, if it may be one."""
    # The one name that safetensors keeps for itself.
    if not isinstance(key, str) or (not path and key == "__metadata__"):
        raise StateError(f'{show(path)}: key {key!r} ({type(key).__name__}); use a string other than "__metadata__"')
    return key


def join(path: tuple[str, ...]) -> str:
    """The keys of `path` as one string, in the escaping of RFC 6901.

    >>> join(("head", "a/b~c"))
    'head/a~1b~0c'
    """
    return "/".join(key.replace("~", "~0").replace("/", "~1") for key in path)


def show(path: tuple[str, ...]) -> str:
    """`path` for the text of an error."""
    return join(path) or "state"
