"""Fixtures that several areas share."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

import pytest

with warnings.catch_warnings():
    # kafka-python reads its message definitions by a function that importlib.resources deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    from tests.kafka_broker import Broker, Cluster


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A healthy Kafka for the whole session: the one named in LEARND_TEST_KAFKA, else a broker started here."""
    if named := os.environ.get("LEARND_TEST_KAFKA"):
        yield Cluster(named)
        return
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that the test may kill."""
    broker = Broker(tmp_path_factory.mktemp("own-kafka"))
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
