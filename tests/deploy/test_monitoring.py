"""Rules and dashboard ask only for series that exist, and each alert is tried out by promtool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from daemon.monitoring.health import Health
from daemon.monitoring.telemetry import MODEL_STATS, Telemetry
from daemon.serving.telemetry import Telemetry as ServingTelemetry
from tests.monitoring.test_telemetry import evaluation

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = PROMETHEUS / "learnd-rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "learnd.json"

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Name of every series of trainer and server -> its labels."""
    registry = CollectorRegistry()
    telemetry = Telemetry(registry=registry, health=Health(caught_up_records=1, stuck_after_s=1.0), build={})
    telemetry.keeping.watch_disk(tmp_path_factory.mktemp("disk"))
    ServingTelemetry(registry=registry)
    # Those of a model that gives every figure, over rows enough for each.
    telemetry.step(learned=600, stats=lambda: dict.fromkeys(MODEL_STATS, 1.0), evaluation=evaluation())
    suffixes = {
        "counter": [("_total", set())],
        "gauge": [("", set())],
        "histogram": [("_bucket", {"le"}), ("_sum", set()), ("_count", set())],
        "info": [("_info", set())],
    }
    labels = {name: set(c._labelnames) for c, names in registry._collector_to_names.items() for name in names}
    return {
        family.name + suffix: labels[family.name] | added
        for family in registry.collect()
        for suffix, added in suffixes[family.type]
    }


def dashboard() -> dict[str, Any]:
    return dict(json.loads(DASHBOARD.read_text(encoding="utf-8")))


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def dashboard_expressions() -> list[str]:
    targets = [target["expr"] for panel in panels() for target in panel["targets"]]
    return targets + [annotation["expr"] for annotation in dashboard()["annotations"]["list"]]


def used(text: str) -> Iterator[tuple[str, set[str]]]:
    """Each selector in some PromQL: the series, and the labels that it asks about."""
    for name, matchers in re.findall(r"\b(learnd_[a-z0-9_]+)(?:\{([^}]*)\})?", text):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) - {"job", "instance"}


def alerts() -> list[str]:
    return re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))


@pytest.mark.parametrize("source", ["rules", "rule tests", "dashboard"])
def test_every_series_that_is_asked_for_is_exposed_with_its_labels(source: str, exposed: dict[str, set[str]]) -> None:
    text = {
        "rules": RULES.read_text(encoding="utf-8"),
        "rule tests": (PROMETHEUS / "learnd-rules.test.yml").read_text(encoding="utf-8"),
        "dashboard": "\n".join(dashboard_expressions()),
    }[source]
    selectors = list(used(text))
    assert len(selectors) > 20
    assert [(name, labels) for name, labels in selectors if not labels <= exposed.get(name, set())] == []


def test_dashboard_can_be_provisioned_anywhere() -> None:
    board = dashboard()
    assert board["uid"] == "learnd"
    assert board["templating"]["list"][0]["name"] == "datasource"
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    rates = [e for e in dashboard_expressions() if "rate(" in e]
    assert rates
    assert [e for e in rates if "[$__rate_interval]" not in e] == []


def test_dashboard_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_alert_leads_to_its_paragraph() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "operations.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    links = re.findall(r"runbook_url: docs/operations\.md#(\w+)", RULES.read_text(encoding="utf-8"))
    assert links == [alert.lower() for alert in alerts()]
    assert headings == alerts()


def test_every_alert_is_tried_out_both_ways() -> None:
    tests = (PROMETHEUS / "learnd-rules.test.yml").read_text(encoding="utf-8")
    for alert in alerts():
        assert f"{{alertname: {alert}, " in tests, f"{alert} is never seen quiet"
        assert f"- alertname: {alert}\n" in tests, f"{alert} is never seen firing"


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "learnd-rules.yml"),
        ("test", "rules", "learnd-rules.test.yml"),
        ("check", "config", "--syntax-only", "prometheus.yml"),
    ],
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
