"""What is said where no broker can be started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import kafka_broker


@pytest.fixture(autouse=True)
def _bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(kafka_broker, "_JARS", tmp_path / "lib")


@pytest.mark.parametrize(("ask", "what"), [(kafka_broker.java, "Java 17"), (kafka_broker.jars, "Maven")])
def test_without_java_or_maven_only_what_a_named_broker_cannot_do_is_skipped(
    ask: object, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(ask)
    monkeypatch.setenv("LEARND_TEST_KAFKA", "127.0.0.1:1")
    with pytest.raises(pytest.skip.Exception, match=f"beside LEARND_TEST_KAFKA, and for that {what}"):
        ask()
    monkeypatch.delenv("LEARND_TEST_KAFKA")
    with pytest.raises(pytest.fail.Exception, match=f"which needs {what}.*or name a broker in LEARND_TEST_KAFKA"):
        ask()
