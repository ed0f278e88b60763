"""Requests and responses of the Open Inference Protocol v2, between bytes and inputs or answers.

Inputs: "text" BYTES [B]; "features" BYTES [B], a JSON object in each element; any other name is a column of that name, numbers
or (BYTES) categories. Outputs: "label" BYTES [B] and "scores" FP64 [B, C], whose parameter "labels" names the C columns as a
JSON list in a string (a parameter may be no list), or "value" FP64 [B].
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from daemon.serving.answerer import Answer, Answerer, Input, features_of
from daemon.serving.errors import NOT_DECODABLE, RequestError
from daemon.serving.store import Served
from daemon.serving.tensors import Tensor, column, encode


class RequestedOutput(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON part of a request."""

    inputs: list[Tensor]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[RequestedOutput] = []


@dataclass(frozen=True, slots=True)
class OutputTensor:
    name: str
    datatype: str
    shape: list[int]
    values: Sequence[Any]
    parameters: dict[str, str]


_decoder = msgspec.json.Decoder(InferRequest)
_features_decoder = msgspec.json.Decoder(dict[str, float | str | bool | None])


def parse_infer(body: bytes, *, header_length: str | None) -> tuple[InferRequest, list[Input]]:
    """The request and its rows. `header_length` is the Inference-Header-Content-Length header: where the JSON ends.

    Raises `RequestError` for what is not of the protocol or cannot be an input.
    """
    num_json = len(body) if header_length is None else _header_length(header_length, len(body))
    try:
        request = _decoder.decode(memoryview(body)[:num_json])
    except NOT_DECODABLE as error:
        raise RequestError(f"the request is not of the Open Inference Protocol: {error}") from error
    names = [tensor.name for tensor in request.inputs]
    if not names or len(set(names)) != len(names):
        raise RequestError(f"the inputs are {names}; there has to be one at least, and none twice")
    columns = _columns(request.inputs, memoryview(body)[num_json:])
    counts = {name: len(values) for name, values in columns.items()}
    if len(set(counts.values())) > 1:
        raise RequestError(f"the inputs differ in their number of rows: {counts}")
    return request, _rows(columns)


def _header_length(text: str, num_bytes: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 12 or int(text) > num_bytes:
        raise RequestError(
            f"Inference-Header-Content-Length {text[:20]!r}: it has to be a number up to the body's {num_bytes} bytes"
        )
    return int(text)


def _columns(tensors: Sequence[Tensor], raw: memoryview) -> dict[str, list[str] | list[float]]:
    columns = {}
    at = 0
    for tensor in tensors:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            columns[tensor.name] = column(tensor, None)
            continue
        if type(size) is not int or size < 0 or tensor.data is not None:
            raise RequestError(
                f"input {tensor.name!r}: binary_data_size {size!r} has to be a number of bytes, without data in the JSON"
            )
        if at + size > len(raw):
            raise RequestError(
                f"input {tensor.name!r}: its {size} bytes are not there; {len(raw) - at} are left after the JSON"
            )
        columns[tensor.name] = column(tensor, raw[at : at + size])
        at += size
    if at != len(raw):
        raise RequestError(f"{len(raw) - at} bytes after the JSON belong to no input")
    return columns


def _rows(columns: dict[str, list[str] | list[float]]) -> list[Input]:
    num_rows = len(next(iter(columns.values())))
    texts = columns.pop("text", [""] * num_rows)
    objects = columns.pop("features", ["{}"] * num_rows)
    rows = []
    for row, (text, features) in enumerate(zip(texts, objects, strict=True)):
        if not isinstance(text, str) or not isinstance(features, str):
            raise RequestError('"text" and "features" are BYTES tensors; a column of that name goes into a "features" object')
        try:
            parsed = _features_decoder.decode(features)
        except NOT_DECODABLE as error:
            raise RequestError(f"row {row} of input 'features' is not an object of numbers and strings: {error}") from error
        rows.append(Input(text, features_of(parsed) | {name: column[row] for name, column in columns.items()}))
    return rows


def outputs_of(answerer: Answerer) -> list[dict[str, Any]]:
    """The outputs as model metadata lists them; -1 stands for the number of rows."""
    if answerer.task == "regression":
        return [{"name": "value", "datatype": "FP64", "shape": [-1]}]
    return [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "scores", "datatype": "FP64", "shape": [-1, len(answerer.labels)]},
    ]


def _tensors(answers: Sequence[Answer], answerer: Answerer) -> list[OutputTensor]:
    num_rows = len(answers)
    if answerer.task == "regression":
        return [OutputTensor("value", "FP64", [num_rows], [answer["value"] for answer in answers if "value" in answer], {})]
    labelled = [answer for answer in answers if "scores" in answer]
    labels = list(answerer.labels)
    scores_BC = [[answer["scores"][label] for label in labels] for answer in labelled]
    return [
        OutputTensor("label", "BYTES", [num_rows], [answer["label"] for answer in labelled], {}),
        OutputTensor("scores", "FP64", [num_rows, len(labels)], scores_BC, {"labels": json.dumps(labels)}),
    ]


def check_outputs(request: InferRequest, answerer: Answerer) -> None:
    """Whether the outputs that the request names are there. Raises `RequestError`."""
    names = [output["name"] for output in outputs_of(answerer)]
    for output in request.outputs:
        if output.name not in names:
            raise RequestError(f"there is no output {output.name!r}; there are {', '.join(names)}")
        if output.parameters.get("classification"):
            raise RequestError(
                f'output {output.name!r}: "classification" is not supported; "scores" has the score of each label'
            )


def render_infer(
    request: InferRequest, answers: Sequence[Answer], served: Served, *, model_name: str
) -> tuple[bytes, int | None]:
    """The response body and, where it has binary tensors, the length of its JSON."""
    tensors = {tensor.name: tensor for tensor in _tensors(answers, served.answerer)}
    all_binary = bool(request.parameters.get("binary_data_output", False))
    wanted = request.outputs or [RequestedOutput(name) for name in tensors]
    outputs = []
    binaries = []
    for output in wanted:
        tensor = tensors[output.name]
        described: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        parameters: dict[str, Any] = dict(tensor.parameters)
        if output.parameters.get("binary_data", all_binary):
            binaries.append(encode(tensor.values, tensor.datatype))
            parameters["binary_data_size"] = len(binaries[-1])
        else:
            described["data"] = [value for row in tensor.values for value in row] if len(tensor.shape) == 2 else tensor.values
        outputs.append(described | ({"parameters": parameters} if parameters else {}))
    response = {"model_name": model_name, "model_version": str(served.version)}
    if request.id:
        response["id"] = request.id
    header = msgspec.json.encode(response | {"parameters": {"snapshot_digest": served.digest}, "outputs": outputs})
    return header + b"".join(binaries), len(header) if binaries else None
