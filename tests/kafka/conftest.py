"""Fixtures of the tests against a real Kafka."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kafka_broker import collect_leaked_sockets


@pytest.fixture(autouse=True)
def _no_sockets_left() -> Iterator[None]:
    yield
    collect_leaked_sockets()
