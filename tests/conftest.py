"""Fixtures that several areas share."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

import pytest

with warnings.catch_warnings():
    # kafka-python reads its message definitions by a function that importlib.resources deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    from tests.kafka_broker import Broker, Cluster, collect_leaked_sockets


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
        collect_leaked_sockets()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """What kafka-python left open in a test is collected right behind that test, not in whichever comes later.

    A fixture would be too early: the log records that pytest keeps of the test still hold the client's transports then.
    """
    result = yield
    if item.get_closest_marker("kafka"):
        collect_leaked_sockets()
    return result


@pytest.fixture(scope="module")
def module_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("own-kafka"))
    try:
        yield broker
    finally:
        broker.kill()
        collect_leaked_sockets()


@pytest.fixture
def own_broker(module_broker: Broker) -> Broker:
    """A broker of the module's own that a test may kill; it runs when the test begins."""
    module_broker.start()
    return module_broker


@pytest.fixture(scope="module")
def torch_switches() -> Iterator[None]:
    """Puts back what a daemon that runs in the process of the tests switches for all of it (see `make_deterministic`)."""
    import torch

    workspace, threads = os.environ.get("CUBLAS_WORKSPACE_CONFIG"), torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
    if workspace is None:
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
