from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from daemon.serving.service import Limits
from tests.serving.toy import LABELS, Toy, ToyRegressor, running


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    with running(tmp_path_factory.mktemp("snapshots"), versions=(1, 2), limits=Limits(instances=8)) as toy:
        yield toy


@pytest.fixture
def client(toy: Toy) -> Iterator[httpx.Client]:
    with toy.client() as client:
        yield client


@pytest.fixture
def triton_client(toy: Toy) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(toy.url.removeprefix("http://")) as client:
        yield client


def logistic(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def texts(*values: str, binary: bool = True, column: bool = False) -> triton.InferInput:
    array = np.array([value.encode() for value in values], dtype=np.object_)
    if column:
        array = array[:, None]
    tensor = triton.InferInput("text", list(array.shape), "BYTES")
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("column", [True, False])
def test_triton_client_is_answered(
    toy: Toy, triton_client: triton.InferenceServerClient, binary_in: bool, binary_out: bool, column: bool
) -> None:
    result = triton_client.infer(
        "toy",
        [texts("a", "żółw", binary=binary_in, column=column)],
        outputs=[triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("label", "scores")],
        request_id="question-7",
    )
    response = result.get_response()
    assert response["id"] == "question-7"
    assert response["model_name"] == "toy"
    assert response["model_version"] == "2"
    assert response["parameters"] == {"snapshot_digest": toy.snapshots.open(2).digest}
    labels = [label.decode() if isinstance(label, bytes) else label for label in result.as_numpy("label")]
    assert labels == ["spam", "spam"]
    assert json.loads(result.get_output("scores")["parameters"]["labels"]) == list(LABELS)
    assert result.as_numpy("scores").dtype == np.float64
    np.testing.assert_allclose(result.as_numpy("scores")[:, 1], [logistic(3), logistic(6)], rtol=1e-12)


def test_triton_client_with_its_defaults(triton_client: triton.InferenceServerClient) -> None:
    result = triton_client.infer("toy", [texts("a")])
    assert result.as_numpy("label").tolist() == [b"spam"]
    assert result.as_numpy("scores").shape == (1, 2)


def test_columns_are_tensors_of_their_own_or_objects(triton_client: triton.InferenceServerClient) -> None:
    inputs = []
    for name, datatype, values in [
        ("a", "FP64", np.array([-4.5, 0.0])),
        ("b", "FP32", np.array([1.5, 0.0], dtype=np.float32)),
        ("c", "INT64", np.array([1, -2])),
        ("d", "BYTES", np.array([b"red", b"blue"], dtype=np.object_)),
        ("features", "BYTES", np.array([b'{"e": 1, "f": null, "g": "x"}', b"{}"], dtype=np.object_)),
    ]:
        tensor = triton.InferInput(name, [2], datatype)
        tensor.set_data_from_numpy(values)
        inputs.append(tensor)
    scores = triton_client.infer("toy", inputs).as_numpy("scores")
    np.testing.assert_allclose(scores[:, 1], [logistic(2 - 4.5 + 1.5 + 1 + 1), logistic(2 - 2)], rtol=1e-12)


def test_triton_client_asks_for_an_older_version(toy: Toy, triton_client: triton.InferenceServerClient) -> None:
    result = triton_client.infer("toy", [texts("a")], model_version="1")
    assert result.get_response()["model_version"] == "1"
    assert result.get_response()["parameters"]["snapshot_digest"] == toy.snapshots.open(1).digest
    np.testing.assert_allclose(result.as_numpy("scores")[:, 1], [logistic(2)], rtol=1e-12)


def test_triton_client_reads_health_and_metadata(triton_client: triton.InferenceServerClient) -> None:
    assert triton_client.is_server_live()
    assert triton_client.is_server_ready()
    assert triton_client.is_model_ready("toy")
    assert triton_client.is_model_ready("toy", "1")
    assert not triton_client.is_model_ready("toy", "3")
    assert not triton_client.is_model_ready("other")
    assert triton_client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert triton_client.get_model_metadata("toy") == {
        "name": "toy",
        "versions": ["1", "2"],
        "platform": "learnd",
        "inputs": [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in ("text", "features")],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "scores", "datatype": "FP64", "shape": [-1, 2]},
        ],
    }


def test_triton_client_hears_of_errors(triton_client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match=r"\[404\] there is no model 'other'; there is 'toy'"):
        triton_client.infer("other", [texts("a")])
    with pytest.raises(InferenceServerException, match=r"\[404\] there is no version 9; there are 1, 2"):
        triton_client.infer("toy", [texts("a")], model_version="9")
    with pytest.raises(InferenceServerException, match='"classification" is not supported'):
        triton_client.infer("toy", [texts("a")], outputs=[triton.InferRequestedOutput("label", class_count=1)])


def test_outputs_are_those_asked_for_in_that_order(client: httpx.Client) -> None:
    request = {
        "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}],
        "outputs": [{"name": "scores"}, {"name": "label"}],
    }
    response = client.post("/v2/models/toy/infer", json=request)
    assert [output["name"] for output in response.json()["outputs"]] == ["scores", "label"]
    assert response.json()["outputs"][0]["shape"] == [1, 2]
    assert len(response.json()["outputs"][0]["data"]) == 2
    assert "id" not in response.json()
    assert response.headers["content-type"] == "application/json"
    assert response.headers["X-Learnd-Snapshot-Version"] == "2"


def test_a_regression_has_one_value_a_row(tmp_path: Path) -> None:
    with running(tmp_path, kind=ToyRegressor) as toy, toy.client() as client:
        request = {"inputs": [{"name": "a", "shape": [2, 1], "datatype": "FP64", "data": [[0.5], [-1]]}]}
        outputs = client.post("/v2/models/toy/infer", json=request).json()["outputs"]
        assert outputs == [{"name": "value", "datatype": "FP64", "shape": [2], "data": [1.5, 0.0]}]
        assert client.get("/v2/models/toy").json()["outputs"] == [{"name": "value", "datatype": "FP64", "shape": [-1]}]


def tensor(**changes: object) -> dict[str, object]:
    return {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]} | changes


@pytest.mark.parametrize(
    ("inputs", "status", "text"),
    [
        ([], 400, "there has to be one at least"),
        ([tensor(), tensor()], 400, "none twice"),
        ([tensor(extra=1)], 400, "unknown field `extra`"),
        ([tensor(shape=[2])], 400, "1 values for shape [2]"),
        ([tensor(shape=[1, 2])], 400, "it has to be [B] or [B, 1]"),
        ([tensor(shape=[])], 400, "it has to be [B] or [B, 1]"),
        ([tensor(shape=[-1])], 400, "it has to be [B] or [B, 1]"),
        ([tensor(datatype="BF16")], 400, "datatype 'BF16'"),
        ([tensor(data=None)], 400, "it has no data"),
        ([tensor(data=[1])], 400, "data does not fit datatype BYTES"),
        ([tensor(name="a", datatype="FP64", data=["x"])], 400, "data does not fit datatype FP64"),
        ([tensor(name="a", datatype="FP64", data=[True])], 400, "data does not fit datatype FP64"),
        ([tensor(), tensor(name="a", shape=[2], data=["x", "y"])], 400, "differ in their number of rows"),
        ([tensor(name="features", data=["[1]"])], 400, "row 0 of input 'features' is not an object"),
        ([tensor(name="features", data=['{"a": 1e999}'])], 400, "out of range"),
        ([tensor(datatype="FP64", data=[1.5])], 400, '"text" and "features" are BYTES tensors'),
        ([tensor(shape=[9], data=["a"] * 9)], 413, "9 instances, at most 8"),
        ([tensor(shape=[0], data=[])], 400, "no instances"),
    ],
)
def test_tensors_that_make_no_inputs_are_refused(client: httpx.Client, inputs: list[object], status: int, text: str) -> None:
    response = client.post("/v2/models/toy/infer", json={"inputs": inputs})
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert text in response.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "\xff", "inputs": []}',
        b'{"inputs": [{"name": "x\xfe", "datatype": "FP32", "shape": [1], "data": [1]}]}',
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": ' + b"[" * 1500 + b"]" * 1500 + b"}]}",
    ],
    ids=["id", "name", "nested"],
)
def test_what_is_not_utf8_or_nested_without_end_is_refused(client: httpx.Client, body: bytes) -> None:
    response = client.post("/v2/models/toy/infer", content=body)
    assert response.status_code == 400
    assert "the request is not of the Open Inference Protocol" in response.json()["error"]


def test_an_unknown_output_is_refused(client: httpx.Client) -> None:
    response = client.post("/v2/models/toy/infer", json={"inputs": [tensor()], "outputs": [{"name": "logits"}]})
    assert response.status_code == 400
    assert response.json() == {"error": "there is no output 'logits'; there are label, scores"}


@pytest.mark.parametrize(
    ("described", "raw", "text"),
    [
        ({"parameters": {"binary_data_size": 6}}, b"\x01\0\0\0a", "its 6 bytes are not there; 5 are left"),
        ({"parameters": {"binary_data_size": 5}}, b"\x01\0\0\0ab", "1 bytes after the JSON belong to no input"),
        ({"parameters": {"binary_data_size": -1}}, b"", "binary_data_size -1"),
        ({"parameters": {"binary_data_size": True}}, b"a", "binary_data_size True"),
        ({"parameters": {"binary_data_size": 5}}, b"\x02\0\0\0a", "element 0 does not end inside"),
        ({"parameters": {"binary_data_size": 3}}, b"\x02\0\0", "element 0 does not end inside"),
        ({"parameters": {"binary_data_size": 5}}, b"\x01\0\0\0\xff", "element 0 is not UTF-8"),
        ({"name": "a", "datatype": "FP64", "parameters": {"binary_data_size": 7}}, b"\0" * 7, "no whole number of FP64"),
        ({"name": "a", "datatype": "FP64", "parameters": {"binary_data_size": 8}}, struct.pack("<d", math.nan), "not finite"),
        ({"name": "a", "datatype": "FP32", "parameters": {"binary_data_size": 4}}, struct.pack("<f", math.inf), "not finite"),
    ],
)
def test_binary_data_that_does_not_fit_is_refused(
    client: httpx.Client, described: dict[str, object], raw: bytes, text: str
) -> None:
    described = {key: value for key, value in tensor(**described).items() if key != "data"}
    header = json.dumps({"inputs": [described]}).encode()
    response = client.post(
        "/v2/models/toy/infer", content=header + raw, headers={"Inference-Header-Content-Length": str(len(header))}
    )
    assert response.status_code == 400
    assert text in response.json()["error"]


@pytest.mark.parametrize("length", ["-1", "x", "99999", "9" * 5000, "²"])
def test_a_wrong_header_length_is_refused(client: httpx.Client, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length.encode("latin-1")}
    response = client.post("/v2/models/toy/infer", json={"inputs": [tensor()]}, headers=headers)
    assert response.status_code == 400
    assert "Inference-Header-Content-Length" in response.json()["error"]


@pytest.mark.parametrize(
    "version", ["0", "9", "-1", "1.0", "latest", "..%2f", "%2e%2e", "..%2f..%2fetc", "1%00", "٣", "1" * 5000]
)
def test_only_versions_that_are_there_have_a_path(client: httpx.Client, version: str) -> None:
    for request in (
        client.build_request("GET", f"/v2/models/toy/versions/{version}"),
        client.build_request("POST", f"/v2/models/toy/versions/{version}/infer", json={"inputs": [tensor()]}),
    ):
        response = client.send(request)
        assert response.status_code == 404
        assert list(response.json()) == ["error"]
