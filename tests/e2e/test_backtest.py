"""`learnd backtest` as people call it: the names in its report are fixed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streams.samples import SPAM
from tests.e2e.learnd import learnd, wait_until

FIELDS = {
    "task", "examples", "errors", "accuracy", "macro_f1", "kappa", "log_loss", "auc", "worst_500", "mae", "rmse",
    "baselines", "drift_alarms", "encoder", "examples_per_s", "steps", "state_sha256",
}  # fmt: skip
SHARED = Path(__file__).parents[3] / "shared" / "data"


def backtest(folder: Path, file: Path, *flags: str) -> tuple[dict[str, object], list[dict[str, object]]]:
    report, predictions = folder / "report.json", folder / "predictions.jsonl"
    flags = (*flags, "--report", str(report), "--predictions", str(predictions))
    done = learnd("backtest", str(file), *flags)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in predictions.read_text(encoding="utf-8").splitlines()]
    return json.loads(report.read_text(encoding="utf-8")), lines


def test_the_bundled_mail_without_an_encoder(tmp_path: Path) -> None:
    report, predictions = backtest(tmp_path, SPAM, "--set", "model.encoder=none")
    assert report.keys() >= FIELDS
    assert report["examples"] == len(predictions) == 6046
    assert report["errors"] == sum(row["prediction"] != row["label"] for row in predictions)
    assert isinstance(report["errors"], int)
    assert report["errors"] <= 80
    assert report["baselines"]["last_label"]["errors"] == 783  # type: ignore[index]
    assert (report["mae"], report["rmse"], report["encoder"]) == (None, None, None)


def test_stopped_midway_it_gives_no_figures(tmp_path: Path) -> None:
    predictions = tmp_path / "predictions.jsonl"
    flags = ["--predictions", str(predictions), "--set", "model.encoder=none"]
    with subprocess.Popen(
        [sys.executable, "-m", "daemon", "backtest", str(SPAM), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: predictions.exists() and predictions.stat().st_size > 0, what="a prediction")
        process.terminate()
        told, complaint = process.communicate()
    assert (process.returncode, told) == (1, "")
    assert "stopped at row" in complaint


def test_a_regression_on_a_table(tmp_path: Path) -> None:
    file = tmp_path / "line.csv"
    file.write_text("x,label\n" + "".join(f"{i % 17},{3 * (i % 17) + 1}\n" for i in range(400)), encoding="utf-8")
    report, predictions = backtest(tmp_path, file, "--task", "regression")
    assert (report["task"], report["examples"], report["accuracy"], report["errors"]) == ("regression", 400, None, None)
    assert isinstance(report["mae"], float)
    assert report["mae"] < report["baselines"]["last_value"]["mae"]  # type: ignore[index]
    assert predictions[-1].keys() == {"row", "label", "prediction", "scores"}
    assert abs(predictions[-1]["prediction"] - predictions[-1]["label"]) < 1.0  # type: ignore[operator]


def test_the_linear_model_on_the_bundled_mail(tmp_path: Path) -> None:
    """61 errors when this was written."""
    report, _ = backtest(tmp_path, SPAM, "--set", "model.kind=linear")
    assert report["examples"] == 6046
    assert isinstance(report["errors"], int)
    assert report["errors"] <= 66
    assert report["encoder"] is None


def test_a_second_file_is_scored_and_not_learned(tmp_path: Path) -> None:
    learned, held_out = tmp_path / "learned.csv", tmp_path / "held_out.csv"
    learned.write_text("x,label\n" + "".join(f"{i % 4},{'ab'[i % 4 // 2]}\n" for i in range(400)), encoding="utf-8")
    # Of four rows one has another label and one a label that was never learned; two more have none.
    held_out.write_text("x,label\n0,a\n1,\n3,b\n1,b\n2,c\n2,\n", encoding="utf-8")
    flags = ("--set", "features.label_history=false", "--set", "features.earlier_rows=false")
    report, _ = backtest(tmp_path, learned, *flags, "--evaluate", str(held_out))
    alone, _ = backtest(tmp_path, learned, *flags)
    assert report["evaluation"]["examples"] == 4  # type: ignore[index]
    assert report["evaluation"]["errors"] == 2  # type: ignore[index]
    # Of a (one target, one of two answers right) 2/3, of b (two targets, one of two answers right) 1/2, of c 0.
    assert report["evaluation"]["macro_f1"] == pytest.approx(7 / 18)  # type: ignore[index]
    assert report["evaluation"]["dead_letters"] == report["balanced"]["dead_letters"] == 2  # type: ignore[index]
    assert report["dead_letters"] == 0
    assert alone["evaluation"] is None
    assert report["state_sha256"] == alone["state_sha256"]


def test_the_balanced_figures_of_a_second_file_are_those_of_answers_without_frequencies(tmp_path: Path) -> None:
    """Of the learned a three in five are red, of the b four in five, and nine rows in ten are an a: by the frequencies
    everything is an a, without them red is a b and blue an a."""
    learned, held_out = tmp_path / "learned.csv", tmp_path / "held_out.csv"
    rows = ["red,a"] * 27 + ["blue,a"] * 18 + ["red,b"] * 4 + ["blue,b"]
    order_N = np.random.default_rng(2).permutation(np.arange(500) % 50)
    learned.write_text("colour,label\n" + "".join(f"{rows[n]}\n" for n in order_N), encoding="utf-8")
    tested = ["red,b"] * 7 + ["red,a"] * 3 + ["blue,a"] * 4 + ["blue,b"]
    held_out.write_text("colour,label\n" + "".join(f"{row}\n" for row in tested), encoding="utf-8")
    flags = ("--set", "features.label_history=false", "--set", "features.earlier_rows=false")
    report, _ = backtest(tmp_path, learned, *flags, "--evaluate", str(held_out))
    frequent, balanced = report["evaluation"], report["balanced"]
    assert isinstance(frequent, dict)
    assert isinstance(balanced, dict)
    assert (frequent["examples"], frequent["errors"]) == (15, 8)
    assert (balanced["examples"], balanced["errors"], balanced["accuracy"]) == (15, 4, 11 / 15)
    # Of a (7 targets, 5 answers, 4 right) 2/3, of b (8 targets, 10 answers, 7 right) 7/9; by chance 115 of 225 agree.
    assert balanced["macro_f1"] == pytest.approx((2 / 3 + 7 / 9) / 2)
    assert balanced["kappa"] == pytest.approx((11 * 15 - 115) / (225 - 115))
    # Of the 56 pairs of a b and an a, b has the higher score in 28 and the same in 25.
    assert balanced["auc"] == pytest.approx((28 + 25 / 2) / 56)
    p_red, p_blue = 0.8 / (0.8 + 0.6), 0.2 / (0.2 + 0.4)
    losses = 7 * np.log(p_red) + 3 * np.log(1 - p_red) + 4 * np.log(1 - p_blue) + np.log(p_blue)
    # But for pseudo counts and a learned temperature; by the frequencies it is more than twice that.
    assert balanced["log_loss"] == pytest.approx(-losses / 15, abs=0.03)
    assert frequent["log_loss"] > 1.2
    assert (balanced["mae"], balanced["rmse"]) == (None, None)


@pytest.mark.parametrize("batch_rows", [1, 64, 256])
def test_the_share_of_dead_letters_is_that_of_the_rows_in_their_order(tmp_path: Path, batch_rows: int) -> None:
    """Two of five rows are bad, anywhere in a micro-batch; half of the last 1,000 may be."""
    bad_N = np.random.default_rng(1).random(1_500) < 0.4
    file = tmp_path / "rows.csv"
    file.write_text("x,label\n" + "".join(f"{i % 4},{'' if bad else 'ab'[i % 2]}\n" for i, bad in enumerate(bad_N)))
    report, _ = backtest(tmp_path, file, "--set", "model.kind=linear", "--set", f"training.batch_rows={batch_rows}")
    assert report["dead_letters"] == bad_N.sum()
    assert report["examples"] == 1_500 - bad_N.sum()


def test_the_gate_tells_what_it_would_have_done(tmp_path: Path) -> None:
    """Rows that are right, 300 with the other label, and rows that are right again."""
    random = np.random.default_rng(0)
    point_ND = random.uniform(-1.0, 1.0, size=(2_000, 2))
    label_N = np.linalg.norm(point_ND, axis=1) < 0.7
    label_N[1_000:1_300] = ~label_N[1_000:1_300]
    file = tmp_path / "burst.csv"
    rows = zip(point_ND.tolist(), label_N.tolist(), strict=True)
    file.write_text("x,y,label\n" + "".join(f"{x},{y},{label}\n" for (x, y), label in rows), encoding="utf-8")
    report, _ = backtest(tmp_path, file, "--gate-every", "50")
    alone, _ = backtest(tmp_path, file)
    assert alone["gate"] is None
    assert report["state_sha256"] == alone["state_sha256"]
    decisions = report["gate"]
    assert isinstance(decisions, list)
    assert decisions[0] == {"row": 64, "publish": True, "reason": "first", "detail": "nothing is served yet"}
    held = [decision["row"] for decision in decisions if not decision["publish"] and decision["row"] >= 1_000]
    published = [decision["row"] for decision in decisions if decision["publish"]]
    assert {decision["reason"] for decision in decisions if decision["row"] in held} >= {"alarm"}
    assert not [row for row in published if 1_064 < row <= 1_300]
    assert [row for row in published if row > 1_300]


def test_signs_that_flip_behind_an_offset_are_an_alarm_that_holds_the_gate(tmp_path: Path) -> None:
    """The first answer is off by a million, those before the flip by 0.1, those after it by 4."""
    random = np.random.default_rng(1)
    x_N2 = random.normal(size=(3_000, 2))
    sign_N = np.where(np.arange(3_000) < 2_500, 1, -1)
    target_N = 1e6 + sign_N * (2 * x_N2[:, 0] + x_N2[:, 1]) + 0.1 * random.normal(size=3_000)
    file = tmp_path / "offset.csv"
    rows = zip(x_N2.tolist(), target_N.tolist(), strict=True)
    file.write_text("a,b,label\n" + "".join(f"{a},{b},{y}\n" for (a, b), y in rows), encoding="utf-8")
    flags = ("--set", "model.kind=linear", "--set", "model.inputs=features", "--gate-every", "50")
    report, _ = backtest(tmp_path, file, "--task", "regression", *flags)
    alarms, decisions = report["drift_alarms"], report["gate"]
    assert isinstance(alarms, list)
    assert isinstance(decisions, list)
    assert [alarm for alarm in alarms if 2_500 <= alarm["example"] < 2_550]
    assert {decision["reason"] for decision in decisions if 2_600 <= decision["row"] < 2_900} == {"alarm"}


@pytest.mark.skipif(not SHARED.exists(), reason="the measured streams lie beside the project, not in it")
@pytest.mark.parametrize(("flags", "floor"), [((), 1 - 6647 / 45312), (("--set", "features.label_history=false"), 0.80)])
def test_elec2_beats_its_floors(tmp_path: Path, flags: tuple[str, ...], floor: float) -> None:
    report, _ = backtest(tmp_path, SHARED / "elec2.csv.gz", "--label", "up", *flags)
    assert isinstance(report["accuracy"], float)
    assert report["accuracy"] > floor


def refused(*flags: str) -> str:
    """What the command says as it refuses to run."""
    done = learnd("backtest", *flags)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_cannot_be_read_or_written_is_refused_before_the_run(tmp_path: Path) -> None:
    file, nothing, torn = tmp_path / "a.csv", tmp_path / "nothing.jsonl", tmp_path / "torn.csv.gz"
    file.write_text("x,label\n1,a\n", encoding="utf-8")
    nothing.write_text('{"label": "a"}\n', encoding="utf-8")
    torn.write_bytes(SPAM.read_bytes()[:100])
    assert "--report" in refused(str(file), "--report", str(tmp_path / "gone" / "r.json"))
    assert "--predictions" in refused(str(file), "--predictions", str(tmp_path / "gone" / "p.jsonl"))
    assert "has a text" in refused(str(nothing))
    assert "restore" in refused(str(torn))


def test_a_dead_letter_is_told_and_scores_name_known_labels_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "x", "label": "a"}\n[]\n{"text": "y", "label": "b"}\n', encoding="utf-8")
    report, predictions = backtest(tmp_path, file, "--set", "model.encoder=none")
    assert (report["examples"], report["dead_letters"]) == (2, 1)
    assert [row["scores"] for row in predictions] == [{}, {"a": 1.0}]
    assert [row["prediction"] for row in predictions] == [None, "a"]
    assert [row["row"] for row in predictions] == [0, 2]


def test_a_config_of_production_sends_no_dead_letter_of_a_backtest_anywhere(tmp_path: Path) -> None:
    config, file = tmp_path / "learnd.toml", tmp_path / "rows.jsonl"
    config.write_text(
        '[source]\nkind = "kafka"\ntopic = "examples"\nbootstrap_servers = "no-such-host.invalid:9092"\n'
        '[dead_letters]\nkind = "topic"\ntopic = "dead"\n[model]\nencoder = "none"\n',
        encoding="utf-8",
    )
    file.write_text("poison\n" + '{"text": "a", "label": "b"}\n' * 5, encoding="utf-8")
    report, predictions = backtest(tmp_path, file, "--config", str(config))
    assert (report["examples"], report["dead_letters"], len(predictions)) == (5, 1, 5)
