from __future__ import annotations

import copy
import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from daemon.errors import StateError
from daemon.state import State
from daemon.storage.tensors import digest, host_copy, read_state, write_state

DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")


def sample() -> State:
    return {
        "weights": {"head": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.array([-0.0, np.nan])},
        "steps": 3,
        "schedule": {"rate": 0.1, "warm": True, "name": None},
        "labels": ["spam", "ham\ud800", {"a": [1, 2.5]}],
        "empty": {},
        "scalar": np.array(2.5),
        "none": np.empty((0, 3), np.int64),
        "a/b~c": {"~1": np.ones(1), "/": "slash"},
        "generator": np.random.default_rng(7).bit_generator.state,
    }


def assert_same(left: Any, right: Any) -> None:
    if isinstance(left, dict):
        assert isinstance(right, dict)
        assert sorted(left) == sorted(right)
        for key, value in left.items():
            assert_same(value, right[key])
    elif isinstance(left, np.ndarray):
        assert isinstance(right, np.ndarray)
        assert (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())
    else:
        assert type(left) is type(right)
        assert left == right


def leaf_paths(node: State, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    return [
        found
        for key, value in node.items()
        for found in (leaf_paths(value, (*path, key)) if isinstance(value, dict) and value else [(*path, key)])
    ]


def reorder(node: Any) -> Any:
    return {key: reorder(node[key]) for key in reversed(node)} if isinstance(node, dict) else node


def test_written_and_read_is_the_same_state(tmp_path: Path) -> None:
    hashes = write_state(tmp_path, "model", sample())
    assert sorted(hashes) == ["model.json", "model.safetensors"]
    assert_same(read_state(tmp_path, "model"), sample())
    assert_same(read_state(tmp_path, "model", hashes=hashes), sample())
    assert digest(read_state(tmp_path, "model")) == digest(sample())


def test_what_is_read_can_be_trained_on(tmp_path: Path) -> None:
    write_state(tmp_path, "model", sample())
    assert torch.from_numpy(read_state(tmp_path, "model")["weights"]["head"]).add_(1).sum() == 21


def test_files_only_where_something_is_in_them(tmp_path: Path) -> None:
    assert list(write_state(tmp_path, "arrays", {"w": np.ones(1)})) == ["arrays.safetensors"]
    assert list(write_state(tmp_path, "json", {"n": 1})) == ["json.json"]
    assert list(write_state(tmp_path, "nothing", {})) == ["nothing.json"]
    assert read_state(tmp_path, "nothing") == {}
    with pytest.raises(FileNotFoundError, match="missing: neither"):
        read_state(tmp_path, "missing")


def test_a_flat_state_keeps_its_names_for_other_tools(tmp_path: Path) -> None:
    write_state(tmp_path, "model", {"encoder.layer.0.weight": torch.ones(2, 2)})
    with safetensors.safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert list(file.keys()) == ["encoder.layer.0.weight"]


def test_bytes_on_disk_do_not_depend_on_the_order_of_the_state(tmp_path: Path) -> None:
    assert write_state(tmp_path, "one", sample())["one.json"] == write_state(tmp_path, "two", reorder(sample()))["two.json"]
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_back(tmp_path: Path, dtype: str) -> None:
    array = np.arange(4).astype(dtype).reshape(2, 2)
    write_state(tmp_path, "x", {"a": array})
    assert_same(read_state(tmp_path, "x"), {"a": array})


@settings(deadline=None)
@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_in_json_are_exact(number: float) -> None:
    (copied,) = host_copy({"n": [number]})["n"]
    assert np.float64(copied).tobytes() == np.float64(number).tobytes()


@settings(deadline=None)
@given(array=hnp.arrays(dtype=st.sampled_from(DTYPES), shape=hnp.array_shapes(min_dims=0, min_side=0)))
def test_digest_is_the_same_after_a_round_trip(tmp_path_factory: pytest.TempPathFactory, array: Any) -> None:
    folder = tmp_path_factory.mktemp("state")
    write_state(folder, "x", {"a": array})
    assert digest(read_state(folder, "x")) == digest({"a": array})


def test_a_copy_shares_nothing() -> None:
    tensor, array, listed = torch.ones(3), np.ones((2, 3)).T, [[1]]
    state: State = {"t": tensor, "a": array, "j": listed, "d": {"deep": tensor}}
    copied = host_copy(state)
    tensor += 1
    array += 1
    listed[0][0] = 2
    assert_same(copied, {"t": np.ones(3, np.float32), "a": np.ones((3, 2)), "j": [[1]], "d": {"deep": np.ones(3, np.float32)}})
    assert copied["a"].flags.c_contiguous
    assert copied["a"].flags.writeable


def test_a_parameter_is_copied_without_its_graph() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    assert_same(host_copy({"w": parameter})["w"], np.ones(2, np.float32))


def test_digest_does_not_depend_on_order_layout_or_library() -> None:
    expected = digest(sample())
    assert digest(reorder(sample())) == expected
    assert digest(host_copy(sample())) == expected
    array = np.arange(6.0).reshape(2, 3)
    assert digest({"a": array}) == digest({"a": array.T.copy().T}) == digest({"a": torch.from_numpy(array)})


def test_digest_is_what_it_was() -> None:
    """Hashes are compared across versions of this program, so the way they are made may not drift."""
    state = {"w": np.array([1.5, -0.0], np.float32), "n": {"rate": 0.1, "labels": ["a", None]}}
    fed = b'["w","<f4",[2]]\n' + struct.pack("<2f", 1.5, -0.0) + b'{"n":{"labels":["a",null],"rate":0.1}}'
    assert digest(state) == hashlib.sha256(fed).hexdigest()


@pytest.mark.parametrize("path", leaf_paths(sample()), ids="/".join)
def test_digest_sees_every_leaf(path: tuple[str, ...]) -> None:
    def change(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value + 1 if value.size and not np.isnan(value).any() else value.astype(np.float32)
        return "changed"

    changed, dropped = copy.deepcopy(sample()), copy.deepcopy(sample())
    node, parent = changed, dropped
    for key in path[:-1]:
        node, parent = node[key], parent[key]
    node[path[-1]] = change(node[path[-1]])
    del parent[path[-1]]
    assert len({digest(sample()), digest(changed), digest(dropped)}) == 3


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"a": np.zeros(2)}, {"a": np.zeros((2, 1))}),
        ({"a": np.zeros(2, np.int64)}, {"a": np.zeros(2)}),
        ({"a": np.array(0.0)}, {"a": np.array(-0.0)}),
        ({"a": np.array([0x7FF8000000000000]).view(float)}, {"a": np.array([0x7FF8000000000001]).view(float)}),
        ({"a": {"b": np.ones(1)}}, {"a/b": np.ones(1)}),
        ({"a": np.ones(1)}, {"b": np.ones(1)}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {"a": True}),
        ({"a": {}}, {}),
        ({"a": [1.0]}, {"a": np.array([1.0])}),
    ],
)
def test_digest_tells_apart(left: State, right: State) -> None:
    assert digest(left) != digest(right)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"a": {"b": [1, {"c": float("nan")}]}}, "a/b/1/c: nan is not JSON"),
        ({"a": float("inf")}, "a: inf is not JSON"),
        ({"a": {"b": object()}}, "a/b: object is neither"),
        ({"a": (1, 2)}, "a: tuple is neither"),
        ({"a": [np.ones(1)]}, "a/0: ndarray is neither"),
        ({"a": np.float32(1)}, "a: float32 is neither"),
        ({"a": {1: 2}}, r"a: key 1 \(int\)"),
        ({"a": [{1: 2}]}, r"a/0: key 1 \(int\)"),
        ({"__metadata__": np.ones(1)}, "state: key '__metadata__'"),
        ({"a": np.array(["x"])}, "a: dtype dtype"),
        ({"a": np.array([None])}, "a: dtype dtype"),
        ({"a": np.ones(1, ">f4")}, "a: dtype dtype"),
        ({"a": np.ones(1, complex)}, "a: dtype dtype"),
        ({"a": torch.ones(1, dtype=torch.bfloat16)}, "a: has no numpy counterpart"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_path(tmp_path: Path, state: State, text: str) -> None:
    for refuse in (host_copy, digest, lambda state: write_state(tmp_path, "x", state)):
        with pytest.raises(StateError, match=text):
            refuse(state)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["model.json", "model.safetensors"])
def test_damage_is_found(tmp_path: Path, file: str) -> None:
    hashes = write_state(tmp_path, "model", {"a": 1, "w": np.ones(2)})
    good = (tmp_path / file).read_bytes()
    for bad in (good[:-1], good[:1], b"", good[:-2] + bytes([good[-2] ^ 1]) + good[-1:]):
        (tmp_path / file).write_bytes(bad)
        with pytest.raises(StateError, match=f"{file}: SHA-256 is"):
            read_state(tmp_path, "model", hashes=hashes)
    (tmp_path / file).write_bytes(b"[1]")
    with pytest.raises(StateError, match=f"{file}: cannot be read"):
        read_state(tmp_path, "model")
    (tmp_path / file).unlink()
    with pytest.raises(FileNotFoundError):
        read_state(tmp_path, "model", hashes=hashes)
