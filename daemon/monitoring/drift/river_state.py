"""River's detectors as JSON and back, exactly and without pickle.

A walk over their attributes, for the classes listed here and no others: plain numbers and small objects, and objects
of River's Rust part, which give and take bytes.
"""

from __future__ import annotations

import importlib
import math
from typing import Any, Final

from daemon.errors import StateError
from daemon.state import JSON

# Objects whose attributes are walked.
_WALKED: Final = frozenset(
    {
        "river.drift.binary.hddm_a.HDDMA",
        "river.drift.binary.hddm_w.HDDMW",
        "river.drift.binary.hddm_w.SampleInfo",
        "river.drift.page_hinkley.PageHinkley",
        "river.stats.ewmean.EWMean",
        "river.stats.mean.Mean",
    }
)

# Rust objects, with the arguments of an empty one; their state is set right after.
_RUST: Final[dict[str, tuple[float, ...]]] = {"river._river_rust.stats.RsEWMean": (0.5,)}
_RUST_NAMES: Final = {name.rpartition(".")[2]: name for name in _RUST}


def encode(value: Any, *, root: Any = None) -> JSON:
    """A detector, or a part of one, as JSON; raises `StateError` for a class that is not listed.

    >>> encode([1, 2.5, float("inf")])
    [1, 2.5, {'float': 'inf'}]
    """
    root = value if root is None else root
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": repr(float(value))}
    if hasattr(value, "item"):  # a numpy scalar
        return encode(value.item(), root=root)
    if isinstance(value, list):
        return [encode(item, root=root) for item in value]
    if getattr(value, "__self__", None) is root:  # a method of the detector that it keeps under another name
        return {"method": value.__name__}
    return _encode_object(value, root)


def _encode_object(value: Any, root: Any) -> JSON:
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    rust_name = _RUST_NAMES.get(type(value).__qualname__)
    if rust_name is not None:
        return {"rust": rust_name, "bytes": value.__getstate__().hex()}
    if name not in _WALKED:
        raise StateError(f"{name} has no place in a saved detector; list it in river_state.py once its parts were checked")
    return {"class": name, "fields": {key: encode(item, root=root) for key, item in vars(value).items()}}


def decode(saved: JSON, *, root: Any = None) -> Any:
    """What `encode` was given; raises `StateError` for what it cannot have written."""
    if isinstance(saved, list):
        return [decode(item, root=root) for item in saved]
    if not isinstance(saved, dict):
        return saved
    match saved:
        case {"float": text}:
            return float(text)
        case {"method": name}:
            return getattr(root, name)
        case {"rust": name, "bytes": text} if name in _RUST:
            value = _class(name)(*_RUST[name])
            value.__setstate__(bytes.fromhex(text))
            return value
        case {"class": name, "fields": fields} if name in _WALKED:
            value = object.__new__(_class(name))
            root = value if root is None else root
            vars(value).update({key: decode(item, root=root) for key, item in fields.items()})
            return value
    raise StateError(f"a saved detector holds {sorted(saved)}, which this version cannot read")


def _class(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)
