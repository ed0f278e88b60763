from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from daemon.serving.service import Limits
from tests.serving.toy import Toy, ToyClassifier, ToyRegressor, running


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    limits = Limits(body_bytes=4096, instances=3, text_chars=100)
    with running(tmp_path_factory.mktemp("snapshots"), limits=limits) as toy:
        yield toy


@pytest.fixture
def client(toy: Toy) -> Iterator[httpx.Client]:
    with toy.client() as client:
        yield client


def logistic(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def test_an_answer_has_label_scores_and_the_snapshot_that_gave_them(toy: Toy, client: httpx.Client) -> None:
    response = client.post("/predict", json={"text": "hi"})
    digest = toy.snapshots.open(1).digest
    assert response.status_code == 200
    prediction = response.json()["predictions"][0]
    assert prediction["label"] == "spam"
    assert prediction["scores"] == pytest.approx({"ham": 1 - logistic(3), "spam": logistic(3)}, rel=1e-12)
    assert response.json()["snapshot"] == {"version": 1, "digest": digest}
    assert response.headers["X-Learnd-Snapshot-Version"] == "1"
    assert response.headers["X-Learnd-Snapshot-Digest"] == digest


@pytest.mark.parametrize(
    ("body", "logits"),
    [
        ({"text": "abc"}, [4]),
        ({"text": ""}, [1]),
        ({"features": {"a": -3, "b": "category", "c": None}}, [-2]),
        ({"text": "abc", "features": {"a": 0.5}}, [4.5]),
        ([{"text": "a"}, {"features": {"x": -1}}], [2, 0]),
        ({"instances": [{"text": "a"}, {"text": "bb"}]}, [2, 3]),
    ],
)
def test_one_row_or_a_list_of_them_in_order(client: httpx.Client, body: object, logits: list[float]) -> None:
    predictions = client.post("/predict", json=body).json()["predictions"]
    assert [row["scores"]["spam"] for row in predictions] == pytest.approx([logistic(logit) for logit in logits], rel=1e-12)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "truncated"),
        (b"{", 400, "truncated"),
        (b"\xff", 400, "malformed"),
        (b'"text"', 400, "got `str`"),
        (b"{}", 400, 'instance 0: it has neither "text" nor "features"'),
        (b'[{"text": "a"}, {}]', 400, 'instance 1: it has neither "text" nor "features"'),
        (b'{"text": "a", "txet": 1}', 400, "unknown field `txet`"),
        (b'{"text": 1}', 400, "`$.text`"),
        (b'{"text": "\\ud800"}', 400, "the body is not what /predict takes"),
        (b'{"text": "\\ud800 abcdef"}', 400, "the body is not what /predict takes"),
        (b'{"features": {"a": NaN}}', 400, "malformed"),
        (b'{"features": {"a": Infinity}}', 400, "malformed"),
        (b'{"features": {"a": 1e999}}', 400, "out of range"),
        (b'{"features": {"a": [1]}}', 400, "got `array`"),
        (b'{"features": [1]}', 400, "got `array`"),
        (b'{"text": "a", "instances": [{"text": "b"}]}', 400, 'put every row under "instances"'),
        (b"[]", 400, "no instances"),
        (b'{"instances": []}', 400, "no instances"),
        (b'[{"text": "a"}, {"text": "b"}, {"text": "c"}, {"text": "d"}]', 413, "4 instances, at most 3"),
        (b'{"text": "' + b"a" * 101 + b'"}', 413, "instance 0: the text has 101 characters, at most 100"),
        (b'{"text": "' + b"a" * 4096 + b'"}', 413, "larger than 4096 bytes"),
        (b"[" * 4096, 400, "got `array`"),
        (b'{"features": {"a": "\xff"}}', 400, "the body is not what /predict takes"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(client: httpx.Client, body: bytes, status: int, text: str) -> None:
    response = client.post("/predict", content=body)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert text in response.json()["error"]


def test_the_largest_body_that_is_allowed_is_answered(client: httpx.Client) -> None:
    body = b'{"text": "ab"}'
    assert client.post("/predict", content=body + b" " * (4096 - len(body))).status_code == 200
    assert client.post("/predict", content=body + b" " * (4097 - len(body))).status_code == 413


def test_a_body_of_unknown_length_meets_the_limit_too(client: httpx.Client) -> None:
    response = client.post("/predict", content=iter([b" " * 1000] * 5))
    assert response.status_code == 413


def test_a_compressed_body_is_refused(client: httpx.Client) -> None:
    response = client.post("/predict", content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415


def test_an_error_inside_gives_away_its_id_and_no_more(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    response = client.post("/predict", json={"text": "fail"})
    assert response.status_code == 500
    assert set(response.json()) == {"error", "error_id"}
    assert response.json()["error_id"] in response.json()["error"]
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert response.json()["error_id"] in caplog.text
    assert "secret path [1.]" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 405),
        ("POST", "/nothing", 404),
        ("GET", "/predict/", 404),
        ("GET", "//livez", 404),
        ("PUT", "/livez", 405),
    ],
)
def test_errors_of_routing_have_the_same_shape(client: httpx.Client, method: str, path: str, status: int) -> None:
    response = client.request(method, httpx.URL(str(client.base_url).rstrip("/") + path))
    assert response.status_code == status
    assert list(response.json()) == ["error"]


def test_a_regression_answers_with_values(tmp_path: Path) -> None:
    with running(tmp_path, kind=ToyRegressor) as toy, toy.client() as client:
        assert client.post("/predict", json={"features": {"a": 2.5}}).json()["predictions"] == [{"value": 3.5}]


class TextOnly(ToyClassifier):
    reads = ("text",)


def test_an_input_that_the_model_does_not_read_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, kind=TextOnly) as toy, toy.client() as client:
        response = client.post("/predict", json=[{"text": "a"}, {"features": {"a": 1}}])
        assert response.status_code == 400
        assert response.json() == {"error": "instance 1: this model reads text, not features"}


def test_links_and_telemetry(toy: Toy, client: httpx.Client) -> None:
    links = client.get("/").json()
    assert links["predict"] == "/predict"
    for name in ("model", "live", "ready", "metrics"):
        assert client.get(links[name]).status_code == 200
    before = toy.sample("learnd_requests_total", route="/predict", status="200")
    client.post("/predict", json={"text": "a"})
    client.post("/invented", json={})
    text = client.get("/metrics").text
    assert f'learnd_requests_total{{route="/predict",status="200"}} {before + 1}' in text
    assert 'learnd_requests_total{route="none",status="404"}' in text
    assert "learnd_served_snapshot_version 1.0" in text
    assert "learnd_served_snapshot_timestamp_seconds 1001.0" in text
    assert "learnd_requests_in_flight 1.0" in text
    assert "invented" not in text
