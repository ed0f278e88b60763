"""Tensors of the Open Inference Protocol: one column of values in, one array out, as JSON or as raw bytes.

Binary data extension (Triton): after the JSON come the tensors' bytes in order, little-endian; a BYTES element is preceded by
its length in four bytes. https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from daemon.serving.errors import RequestError

NUMERIC = {
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}


class Tensor(msgspec.Struct, forbid_unknown_fields=True):
    """An input tensor as the JSON part of a request describes it. Its data is there, or in the bytes that follow."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


def column(tensor: Tensor, raw: memoryview | None) -> list[str] | list[float]:
    """The B values of a tensor of shape [B] or [B, 1]: strings for BYTES, floats for numbers.

    >>> column(Tensor("text", [2, 1], "BYTES", data=[["a"], ["b"]]), None)
    ['a', 'b']
    >>> column(Tensor("age", [2], "INT64"), memoryview((7).to_bytes(8, "little") * 2))
    [7.0, 7.0]

    Raises `RequestError` where shape, datatype and data disagree, a number is not finite, or bytes are not UTF-8.
    """
    where = f"input {tensor.name!r}"
    if len(tensor.shape) not in (1, 2) or tensor.shape[1:] not in ([], [1]) or tensor.shape[0] < 0:
        raise RequestError(f"{where}: shape {tensor.shape}; it has to be [B] or [B, 1], a row for each instance")
    if tensor.datatype != "BYTES" and tensor.datatype not in NUMERIC:
        raise RequestError(f"{where}: datatype {tensor.datatype!r}; it has to be BYTES or one of {', '.join(NUMERIC)}")
    if raw is None:
        values = _from_json(tensor, where)
    elif tensor.datatype == "BYTES":
        values = _strings(raw, where)
    else:
        values = _numbers(raw, tensor.datatype, where)
    if len(values) != tensor.shape[0]:
        raise RequestError(f"{where}: {len(values)} values for shape {tensor.shape}")
    return values


def _from_json(tensor: Tensor, where: str) -> list[str] | list[float]:
    if tensor.data is None:
        raise RequestError(f"{where}: it has no data, neither in the JSON nor after it (parameters.binary_data_size)")
    data = tensor.data
    if len(tensor.shape) == 2 and all(isinstance(row, list) for row in data):
        data = [value for row in data for value in row]
    expected: Any = list[str] if tensor.datatype == "BYTES" else list[float]
    try:
        values: list[str] | list[float] = msgspec.convert(data, expected)
    except (msgspec.ValidationError, OverflowError) as error:
        raise RequestError(f"{where}: data does not fit datatype {tensor.datatype}: {error}") from error
    return values


def _strings(raw: memoryview, where: str) -> list[str]:
    values: list[str] = []
    at = 0
    while at < len(raw):
        end = at + 4 + struct.unpack_from("<I", raw, at)[0] if at + 4 <= len(raw) else math.inf
        if end > len(raw):
            raise RequestError(f"{where}: element {len(values)} does not end inside the tensor's {len(raw)} bytes")
        try:
            values.append(str(raw[at + 4 : int(end)], "utf-8"))
        except UnicodeDecodeError as error:
            raise RequestError(f"{where}: element {len(values)} is not UTF-8: {error.reason} at byte {error.start}") from error
        at = int(end)
    return values


def _numbers(raw: memoryview, datatype: str, where: str) -> list[float]:
    dtype = np.dtype(NUMERIC[datatype])
    if len(raw) % dtype.itemsize:
        raise RequestError(f"{where}: {len(raw)} bytes are no whole number of {datatype}, {dtype.itemsize} bytes each")
    values = np.frombuffer(raw, dtype).astype(np.float64)
    if not np.isfinite(values).all():
        raise RequestError(
            f"{where}: value {int(np.argmin(np.isfinite(values)))} is not finite; leave a missing value's column out"
        )
    result: list[float] = values.tolist()
    return result


def encode(values: Sequence[Any], datatype: str) -> bytes:
    """The bytes of an output tensor: strings for BYTES, numbers (flat or nested) otherwise.

    >>> encode(["ab", ""], "BYTES")
    b'\\x02\\x00\\x00\\x00ab\\x00\\x00\\x00\\x00'
    """
    if datatype == "BYTES":
        encoded = [str(value).encode() for value in values]
        return b"".join(struct.pack("<I", len(element)) + element for element in encoded)
    return np.asarray(values, NUMERIC[datatype]).tobytes()
