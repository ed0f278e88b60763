"""States to and from disk: arrays as safetensors, all else as JSON, and one digest over both.

Inside a file an array goes by its path, the keys joined by "/" ("~1" stands for a slash inside a key and "~0" for a tilde, as
in RFC 6901), so that a flat state of weights keeps its plain names and other tools can load it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from daemon.errors import StateError
from daemon.state import JSON, State
from daemon.storage.canonical import canonical, checked, checked_key, join, show
from daemon.storage.durable import write_file

_DTYPES = frozenset(
    {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"}
)


def host_copy(state: State) -> State:
    """A deep copy with every array contiguous in host memory; nothing in it shares memory with `state`.

    >>> host_copy({"w": np.ones((2, 2)).T, "n": [1, 2]})
    {'w': array([[1., 1.],
           [1., 1.]]), 'n': [1, 2]}

    Raises `StateError`, which names the path, where a leaf is neither an array nor JSON.
    """
    return _copy(state, ())


def all_finite(state: State) -> bool:
    """Whether every number in the arrays of `state` is finite.

    >>> all_finite({"w": np.ones(2), "deep": {"n": np.array([1, 2])}}), all_finite({"w": np.array([1.0, np.inf])})
    (True, False)
    """
    return all(bool(np.isfinite(array).all()) for array in _split(state)[0].values())


def num_bytes(state: State) -> int:
    """Bytes of the arrays of `state`, and about those of its JSON: 8 a number, one a character.

    >>> num_bytes({"w": np.ones((2, 2)), "deep": {"n": [1, 2.5], "name": "ab"}})
    50
    """
    arrays, tree = _split(state)
    return sum(array.nbytes for array in arrays.values()) + _json_bytes(tree)


def _json_bytes(node: JSON) -> int:
    if isinstance(node, dict):
        return sum(_json_bytes(leaf) for leaf in node.values())
    if isinstance(node, list):
        return sum(_json_bytes(item) for item in node)
    return len(node) if isinstance(node, str) else 8


def digest(state: State) -> str:
    """SHA-256 over dtype, shape and bytes of every array and over the JSON, in canonical order.

    Independent of the order of dictionaries and of where the arrays live; -0.0 and every NaN count as the bytes that they are.

    >>> digest({"a": np.zeros(2), "b": 1}) == digest({"b": 1, "a": np.zeros(2)})
    True
    >>> digest({"a": np.zeros(2)}) == digest({"a": -np.zeros(2)})
    False
    """
    arrays, tree = _split(state)
    total = hashlib.sha256()
    for path in sorted(arrays):
        array = arrays[path]
        # The header tells how many bytes follow, so no two states feed the same bytes to the hash.
        total.update(canonical([path, array.dtype.str, array.shape]) + b"\n")
        total.update(array.reshape(-1).view(np.uint8).data)
    total.update(canonical(tree))
    return total.hexdigest()


def write_state(folder: Path, name: str, state: State) -> dict[str, str]:
    """Write `<name>.safetensors` where there are arrays and `<name>.json` where there is more; each is fsynced.

    Returns file name -> SHA-256 of its bytes. Raises `StateError` (see `host_copy`) and `OSError`.
    """
    arrays, tree = _split(state)
    files: dict[str, bytes] = {}
    if arrays:
        try:
            # transformers loads only files that say which framework's layout they have.
            files[f"{name}.safetensors"] = safetensors.numpy.save(arrays, metadata={"format": "pt"})
        except UnicodeEncodeError as error:
            raise StateError(f"{name}: a key is not valid Unicode ({error}); rename it") from error
    if tree or not arrays:
        files[f"{name}.json"] = canonical(tree) + b"\n"
    for file_name, data in files.items():
        write_file(folder / file_name, data)
    return {file_name: hashlib.sha256(data).hexdigest() for file_name, data in files.items()}


def read_state(folder: Path, name: str, *, hashes: Mapping[str, str] | None = None) -> State:
    """What `write_state` wrote. Arrays are writable; dictionaries come back sorted by key, so never rely on their order.

    With `hashes` (what `write_state` returned; further files are ignored) exactly those files are read, and the bytes that are
    used are the bytes that were checked. Raises `StateError` for a damaged file and `FileNotFoundError` for a missing one.
    """
    candidates = [f"{name}.safetensors", f"{name}.json"]
    wanted = [file for file in candidates if (file in hashes if hashes is not None else (folder / file).exists())]
    if not wanted:
        raise FileNotFoundError(f"{folder / name}: neither .safetensors nor .json is there")
    state: State = {}
    for file in reversed(wanted):
        data = (folder / file).read_bytes()
        if hashes is not None and (found := hashlib.sha256(data).hexdigest()) != hashes[file]:
            raise StateError(f"{folder / file}: SHA-256 is {found}, expected {hashes[file]}; the file is damaged")
        try:
            if file.endswith(".json"):
                state = dict(json.loads(data))
            else:
                _insert(state, safetensors.numpy.load(data))
        except (TypeError, ValueError, SafetensorError) as error:
            raise StateError(f"{folder / file}: cannot be read ({error}); the file is damaged") from error
    return state


def _insert(state: State, arrays: Mapping[str, NDArray[Any]]) -> None:
    for path in sorted(arrays):
        *parents, last = (key.replace("~1", "/").replace("~0", "~") for key in path.split("/"))
        node = state
        for key in parents:
            node = node.setdefault(key, {})
        node[last] = arrays[path]


def _split(state: State) -> tuple[dict[str, NDArray[Any]], State]:
    """Path -> array, and the state without them (dictionaries that held only arrays are gone, empty ones stay)."""
    arrays: dict[str, NDArray[Any]] = {}

    if not isinstance(state, dict):
        raise StateError(f"{type(state).__name__} is not a state; use a dictionary")

    def walk(node: Mapping[Any, Any], path: tuple[str, ...]) -> State:
        tree: State = {}
        for key, leaf in node.items():
            here = (*path, checked_key(key, path))
            if isinstance(leaf, dict):
                below = walk(leaf, here)
                if below or not leaf:
                    tree[key] = below
            elif _is_array(leaf):
                arrays[join(here)] = _host(leaf, here)
            else:
                tree[key] = checked(leaf, here)
        return tree

    return arrays, walk(state, ())


def _copy(node: Mapping[Any, Any], path: tuple[str, ...]) -> State:
    copy: State = {}
    for key, leaf in node.items():
        here = (*path, checked_key(key, path))
        if isinstance(leaf, dict):
            copy[key] = _copy(leaf, here)
        elif _is_array(leaf):
            host = _host(leaf, here)
            # A tensor on a device was copied on its way to the host; do not pay twice.
            copy[key] = host.copy() if getattr(leaf, "is_cpu", True) else host
        else:
            copy[key] = checked(leaf, here)
    return copy


def _is_array(leaf: object) -> bool:
    return isinstance(leaf, np.ndarray) or hasattr(leaf, "detach")


def _host(leaf: Any, path: tuple[str, ...]) -> NDArray[Any]:
    """A C-contiguous host array; shares memory with `leaf` where that is one already."""
    if not isinstance(leaf, np.ndarray):
        try:
            leaf = leaf.detach().cpu().numpy()
        except (TypeError, RuntimeError) as error:
            raise StateError(f"{show(path)}: has no numpy counterpart ({error}); store it as float32 or integers") from error
    if leaf.dtype.name not in _DTYPES or not leaf.dtype.isnative:
        raise StateError(f"{show(path)}: dtype {leaf.dtype!r} cannot be stored; use one of {', '.join(sorted(_DTYPES))}")
    # Not ascontiguousarray, which turns a scalar array into one of shape (1,).
    return np.asarray(leaf, order="C")
