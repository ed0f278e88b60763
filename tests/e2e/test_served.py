"""Every kind of model, trained by `learnd train`, answers through `learnd serve`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
import tritonclient.http as triton
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from daemon.assembly.serving import ModelAnswerer
from daemon.learning.batch import Batch
from daemon.storage.snapshots import Snapshots
from tests.e2e.learnd import any_port, kept_in, started, train, write_rows
from tests.learning.tiny import tiny_bert

SPAM, HAM = "cheap pills free money click here", "the build is green please review the patch"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is learned, with which settings, and what is asked then. `answers` are the right ones for `questions`;
    `balanced` says that the model has an answer without the frequencies of the labels, too."""

    rows: Sequence[Mapping[str, Any]]
    settings: Callable[[Path], list[str]]
    questions: Sequence[Mapping[str, Any]]
    answers: Sequence[str | float]
    refused: Mapping[str, Any]
    refusal: str
    balanced: bool = False


def _text(index: int) -> dict[str, str]:
    return {"text": f"{(HAM, SPAM)[index % 2]} {index}", "label": ("ham", "spam")[index % 2]}


def _table(index: int) -> dict[str, Any]:
    return {"features": {"x": float(index % 10), "colour": ("red", "blue")[index % 2]}, "label": ("no", "yes")[index % 10 > 4]}


def _number(index: int) -> dict[str, Any]:
    return {"features": {"x": float(index % 17)}, "label": 3.0 * (index % 17) + 1}


def _finetuned(folder: Path) -> list[str]:
    encoder = tiny_bert(folder / "tiny-bert", [SPAM, HAM])
    return [
        "model.training=full", f"model.encoder='{encoder}'", "model.max_tokens=32",
        "optimizer.learning_rate=0.003", "schedule.warmup_steps=2",
    ]  # fmt: skip


TEXTS = [{"text": SPAM}, {"text": HAM}]
TABLES = [{"features": {"x": 9.0, "colour": "blue"}}, {"features": {"x": 0.0, "colour": "red"}}]
NO_TEXT, NO_FEATURES = "this model reads features, not text", "this model reads text, not features"
KINDS = {
    "text": Kind(
        [_text(i) for i in range(200)], lambda _: ["model.encoder=none"], TEXTS, ["spam", "ham"], TABLES[0], NO_FEATURES,
        balanced=True,
    ),
    "features": Kind(
        [_table(i) for i in range(300)],
        lambda _: ["model.inputs=features", "features.label_history=false", "features.earlier_rows=false"],
        TABLES, ["yes", "no"], TEXTS[0], NO_TEXT, balanced=True,
    ),
    "both": Kind(
        [_text(i) | {"features": {"x": float(i % 2)}} for i in range(200)],
        lambda _: ["model.inputs=both", "model.encoder=none", "features.label_history=false"],
        [TEXTS[0] | {"features": {"x": 1.0}}, TEXTS[1] | {"features": {"x": 0.0}}],
        ["spam", "ham"], {"text": 7}, "Expected `str | null`, got `int`", balanced=True,
    ),
    "regression": Kind(
        [_number(i) for i in range(400)],
        lambda _: ["model.inputs=features", "task.kind=regression", "features.label_history=false"],
        [{"features": {"x": 4.0}}, {"features": {"x": 12.0}}], [13.0, 37.0], TEXTS[0], NO_TEXT,
    ),
    "linear": Kind(
        [_text(i) | {"features": {"x": float(i % 2)}} for i in range(200)],
        lambda _: ["model.kind=linear", "model.inputs=both", "features.label_history=false", "features.earlier_rows=false"],
        [TEXTS[0] | {"features": {"x": 1.0}}, TEXTS[1] | {"features": {"x": 0.0}}],
        ["spam", "ham"], {"text": 7}, "Expected `str | null`, got `int`",
    ),
    "linear_regression": Kind(
        [_number(i) for i in range(2000)],
        lambda _: [
            "model.kind=linear", "model.inputs=features", "task.kind=regression", "features.label_history=false",
            "features.earlier_rows=false",
        ],
        [{"features": {"x": 4.0}}, {"features": {"x": 12.0}}], [13.0, 37.0], TEXTS[0], NO_TEXT,
    ),
    "transformer": Kind(
        [_text(i) for i in range(400)], lambda folder: ["model.kind=transformer", *_finetuned(folder)],
        TEXTS, ["spam", "ham"], TABLES[0], NO_FEATURES,
    ),
    "finetuned": Kind(
        [_text(i) for i in range(200)], _finetuned, TEXTS, ["spam", "ham"], TABLES[0], NO_FEATURES, balanced=True
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Served:
    kind: Kind
    name: str
    client: httpx.Client
    manifest: dict[str, Any]
    folder: Path

    def predict(self, body: object) -> list[dict[str, Any]]:
        """The predictions, once it is sure that they name the snapshot they come from."""
        response = self.client.post("/predict", json=body)
        assert response.status_code == 200, response.text
        snapshot = {"version": self.manifest["version"], "digest": self.manifest["digest"]}
        answer = response.json()
        assert answer.keys() == {"predictions", "snapshot"}
        assert answer["snapshot"] == snapshot
        assert response.headers["X-Learnd-Snapshot-Version"] == str(snapshot["version"])
        assert response.headers["X-Learnd-Snapshot-Digest"] == snapshot["digest"]
        predictions: list[dict[str, Any]] = answer["predictions"]
        return predictions


@pytest.fixture(scope="module", params=list(KINDS))
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Each kind once: trained, served, and what its snapshot says of itself."""
    kind, folder = KINDS[request.param], tmp_path_factory.mktemp(request.param)
    file = write_rows(folder / "rows.jsonl", kind.rows)
    train(folder / "data", file, kind.settings(folder))
    newest = max((folder / "data" / "snapshots").glob("[0-9]*"), key=lambda path: int(path.name))
    manifest = json.loads((newest / "snapshot.json").read_text(encoding="utf-8"))
    with started("serve", log=folder / "log", port=any_port(), settings=kept_in(folder / "data")) as (_, client):
        yield Served(kind, request.param, client, manifest, newest)


def _said_balanced(served: Served) -> list[dict[str, float] | None]:
    """What the model in the snapshot, asked here, says of each question as if all labels were equally frequent."""
    questions, newest = served.kind.questions, Snapshots(served.folder.parent).open(served.manifest["version"])
    answerer = ModelAnswerer(newest, device="cpu")
    assert answerer._model.answers_balanced == served.kind.balanced
    if not served.kind.balanced:
        return [None] * len(questions)
    batch = Batch([row.get("text", "") for row in questions], [row.get("features", {}) for row in questions])
    return [dict(zip(answerer.labels, row, strict=True)) for row in answerer._model.predict_balanced(batch).tolist()]


def _matches(prediction: Mapping[str, Any], expected: str | float, balanced: Mapping[str, float] | None) -> bool:
    if isinstance(expected, float):
        return prediction.keys() == {"value"} and abs(prediction["value"] - expected) < 1.0
    if balanced is None:
        return prediction.keys() == {"label", "scores"} and _points_at(expected, prediction["label"], prediction["scores"])
    told = prediction["scores_balanced"]
    return (
        prediction.keys() == {"label", "scores", "scores_balanced"}
        and _points_at(expected, prediction["label"], prediction["scores"])
        and _points_at(expected, prediction["label"], told)
        and told == pytest.approx(balanced, abs=1e-6)
        and told != prediction["scores"]
    )


def _points_at(expected: str, label: str, scores: Mapping[str, float]) -> bool:
    return label == max(scores, key=lambda name: scores[name]) == expected and abs(sum(scores.values()) - 1) < 1e-6


def test_one_row_and_a_list_of_rows_are_answered_right(served: Served) -> None:
    questions, answers, balanced = served.kind.questions, served.kind.answers, _said_balanced(served)
    alone = [served.predict(question) for question in questions]
    assert [len(predictions) for predictions in alone] == [1, 1]
    together = served.predict(list(questions))
    assert all(map(_matches, together, answers, balanced)), together
    assert all(map(_matches, [predictions[0] for predictions in alone], answers, balanced)), alone


def test_tritons_client_is_answered_alike(served: Served) -> None:
    address = str(served.client.base_url).removeprefix("http://")
    with triton.InferenceServerClient(address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("learnd")
        metadata = client.get_model_metadata("learnd")
        assert str(served.manifest["version"]) in metadata["versions"]
        inputs = []
        for name in [tensor["name"] for tensor in metadata["inputs"]]:
            values = [row[name] if name == "text" else json.dumps(row[name]) for row in served.kind.questions]
            tensor = triton.InferInput(name, [len(values)], "BYTES")
            tensor.set_data_from_numpy(np.array(values, dtype=np.object_))
            inputs.append(tensor)
        for version in ("", str(served.manifest["version"])):
            answer = client.infer("learnd", inputs, model_version=version)
            response = answer.get_response()
            assert response["model_version"] == str(served.manifest["version"])
            assert response["parameters"]["snapshot_digest"] == served.manifest["digest"]
            expected = served.predict(list(served.kind.questions))
            if "value" in expected[0]:
                assert answer.as_numpy("value").tolist() == pytest.approx([row["value"] for row in expected], abs=1e-5)
                continue
            assert [label.decode() for label in answer.as_numpy("label")] == [row["label"] for row in expected]
            labels = json.loads(answer.get_output("scores")["parameters"]["labels"])
            scores = [[row["scores"][label] for label in labels] for row in expected]
            assert answer.as_numpy("scores") == pytest.approx(np.array(scores), abs=1e-5)


def test_what_cannot_be_answered_is_refused_with_the_reason(served: Served) -> None:
    question = served.kind.questions[0]
    for body, status, reason in (
        (served.kind.refused, 400, served.kind.refusal),
        ([question, served.kind.refused], 400, served.kind.refusal),
        ({}, 400, 'neither "text" nor "features"'),
        ([], 400, "no instances"),
        ({"txt": "a"}, 400, "unknown field `txt`"),
        ([question] * 257, 413, "257 instances, at most 256"),
    ):
        response = served.client.post("/predict", json=body)
        assert (response.status_code, reason in response.json()["error"]) == (status, True), response.text
    for path, status in (("/v2/models/other", 404), ("/v2/models/learnd/versions/999999", 404), ("/nothing", 404)):
        assert served.client.get(path).status_code == status
    assert served.client.get("/predict").status_code == 405
    garbage = served.client.post("/predict", content=b'{"text": ')
    assert garbage.status_code == 400
    assert re.search("truncated", garbage.json()["error"])


def test_the_links_at_the_root_lead_somewhere(served: Served) -> None:
    links = served.client.get("/").json()
    assert links["predict"] == "/predict"
    for name in ("model", "live", "ready", "metrics"):
        assert served.client.get(links[name]).status_code == 200


def test_a_transformers_snapshot_loads_in_plain_transformers_and_answers_alike(served: Served) -> None:
    if served.name != "transformer":
        pytest.skip("only a transformer is a Hugging Face model")
    tokenizer = AutoTokenizer.from_pretrained(served.folder, local_files_only=True)
    model = AutoModelForSequenceClassification.from_pretrained(served.folder, local_files_only=True).eval()
    texts = [question["text"] for question in served.kind.questions]
    with torch.no_grad():
        scores = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.softmax(-1).tolist()
    for row, prediction in zip(scores, served.predict(list(served.kind.questions)), strict=True):
        named = {model.config.id2label[index]: score for index, score in enumerate(row)}
        assert named == pytest.approx(prediction["scores"], abs=1e-5)
