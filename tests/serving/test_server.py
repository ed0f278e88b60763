from __future__ import annotations

import gc
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from daemon.errors import ServingError
from daemon.serving.server import Server
from daemon.serving.service import Limits
from daemon.serving.sockets import bind, free_port
from daemon.serving.telemetry import Telemetry
from tests.serving.toy import Toy, ToySnapshots, running, wait_until

REPOSITORY = Path(__file__).parents[2]


class Asked:
    """Clients that ask without a pause, each on a connection of its own, until told to stop."""

    def __init__(self, toy: Toy, *, num_clients: int) -> None:
        self.toy = toy
        self.answers: Counter[tuple[int, str, float]] = Counter()
        self.answered: Counter[int] = Counter()
        self.failures: list[str] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(num_clients)]

    def __enter__(self) -> Asked:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self, number: int) -> None:
        with self.toy.client() as client:
            while not self._stopped.is_set():
                # Batches of one and of several, so that an answer assembled from two snapshots would show.
                response = client.post("/predict", json=[{"features": {"a": 0.0}}] * (1 + number % 3))
                with self._lock:
                    if response.status_code != 200:
                        self.failures.append(response.text)
                        continue
                    body = response.json()
                    self.answered[body["snapshot"]["version"]] += 1
                    for prediction in body["predictions"]:
                        score = round(prediction["scores"]["spam"], 9)
                        self.answers[body["snapshot"]["version"], body["snapshot"]["digest"], score] += 1


def test_swaps_under_load_drop_no_request_and_mix_no_versions(tmp_path: Path) -> None:
    weights = {version: [version / 10 - 2] for version in range(1, 41)}
    with running(tmp_path, versions=(), queue_rows=4096) as toy:
        toy.snapshots.add(1, weights=weights[1])
        toy.wait_for_version(1)
        with Asked(toy, num_clients=12) as asked, toy.client() as prober:
            wait_until(lambda: asked.answered[1] >= 10 or asked.failures)
            for version in range(2, 41):
                toy.snapshots.add(version, weights=weights[version])
                toy.wait_for_version(version)
                assert prober.get("/readyz").status_code == 200
                wait_until(lambda version=version: asked.answered[version] >= 10 or asked.failures)
        assert asked.failures == []
        assert len({version for version, _, _ in asked.answers}) == 40
        for version, digest, score in asked.answers:
            assert digest == toy.snapshots.open(version).digest
            assert score == pytest.approx(1 / (1 + 2.718281828459045 ** -weights[version][0]), abs=1e-8)
        assert toy.sample("learnd_requests_shed_total") == 0
        wait_until(lambda: toy.sample("learnd_requests_in_flight") == 0)


def test_a_request_keeps_the_snapshot_that_it_was_admitted_with(tmp_path: Path) -> None:
    with running(tmp_path) as toy, toy.client() as client, ThreadPoolExecutor(2) as pool:
        num_batches = len(toy.batches)
        held = pool.submit(client.post, "/predict", json={"text": "hold"})
        wait_until(lambda: len(toy.batches) > num_batches)
        # The new snapshot warms up beside the old one, which is busy; that is what the swap must not wait for.
        toy.snapshots.add(2)
        toy.wait_for_version(2)
        toy.gate.set()
        assert held.result().json()["snapshot"]["version"] == 1
        assert client.post("/predict", json={"text": "a"}).json()["snapshot"]["version"] == 2


def test_memory_does_not_grow_with_each_reload(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # pytest keeps what is logged, and with the tracebacks of failed requests the models in their frames.
    caplog.set_level(logging.CRITICAL, logger="daemon.serving.middleware")
    with running(tmp_path) as toy, toy.client() as client:
        for version in range(2, 31):
            toy.snapshots.add(version)
            toy.wait_for_version(version)
            for text in ("a", "fail"):
                client.post("/predict", json={"text": text})
        assert len(toy.models) == 30

        def alive() -> list[bool]:
            gc.collect()
            return [model() is not None for model in toy.models]

        wait_until(lambda: alive() == [False] * 29 + [True])


def test_a_rollback_is_followed(tmp_path: Path) -> None:
    with running(tmp_path, versions=(1, 2, 3)) as toy, toy.client() as client:
        toy.snapshots.hold(1)
        toy.wait_for_version(1)
        assert client.post("/predict", json={"text": "a"}).json()["snapshot"]["version"] == 1
        assert client.get("/readyz").status_code == 200


def test_three_hundred_at_once_are_all_answered(tmp_path: Path) -> None:
    with running(tmp_path) as toy, toy.client() as client, ThreadPoolExecutor(100) as pool:
        num_batches = len(toy.batches)
        asked = [pool.submit(client.post, "/predict", json={"text": "a" * (n % 5)}) for n in range(300)]
        assert {future.result().status_code for future in asked} == {200}
        rows = toy.batches[num_batches:]
        assert sum(rows) == 300
        assert max(rows) <= 64


HEALTH = ("/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/v2/models/toy/ready", "/v2/models/toy/versions/1/ready")


def test_health_tells_live_from_ready(tmp_path: Path) -> None:
    with running(tmp_path, versions=()) as toy, toy.client() as client:

        def health() -> list[int]:
            return [client.get(path).status_code for path in HEALTH]

        assert health() == [200, 503, 200, 503, 503, 503]
        tensor = {"name": "a", "shape": [1], "datatype": "FP64", "data": [1]}
        for path, body in (("/predict", {"text": "a"}), ("/v2/models/toy/infer", {"inputs": [tensor]})):
            response = client.post(path, json=body)
            assert response.status_code == 503
            assert response.headers["Retry-After"] == "1"
            assert "no snapshot is loaded yet" in response.json()["error"]
        toy.snapshots.add(1)
        toy.wait_for_version(1)
        assert health() == [200] * 6
        toy.snapshots.add(2, torn=True)
        wait_until(lambda: toy.sample("learnd_snapshot_load_failures_total"))
        assert health() == [200] * 6


def test_a_model_that_hangs_is_not_live_but_ready(tmp_path: Path) -> None:
    with running(tmp_path, stuck_s=0.05) as toy, toy.client() as client, ThreadPoolExecutor(1) as pool:
        held = pool.submit(client.post, "/predict", json={"text": "hold"})
        wait_until(lambda: client.get("/livez").status_code == 503)
        assert client.get("/readyz").status_code == 200
        toy.gate.set()
        held.result()
        wait_until(lambda: client.get("/livez").status_code == 200)


@contextmanager
def process(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The toy server as a process, ready, and its address."""
    ToySnapshots(folder).add(1)
    command = [sys.executable, "-m", "tests.serving.serve_toy", str(folder), "0", *options]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            url = f"http://127.0.0.1:{int(child.stdout.readline())}"
            wait_until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
            yield child, url
        finally:
            child.kill()


def ask_and_hold(pool: ThreadPoolExecutor, folder: Path, url: str):  # type: ignore[no-untyped-def]
    held = pool.submit(httpx.post, f"{url}/predict", json={"text": "hold"}, timeout=30)
    wait_until((folder / "held").exists)
    return held


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_what_was_admitted_and_leaves_with_status_0(tmp_path: Path, number: signal.Signals) -> None:
    with process(tmp_path, "drain_s=2") as (child, url), ThreadPoolExecutor(1) as pool:
        held = ask_and_hold(pool, tmp_path, url)
        child.send_signal(number)
        # Unready at once, while new requests are still taken: a load balancer has to see it first.
        wait_until(lambda: httpx.get(f"{url}/readyz").status_code == 503)
        assert httpx.get(f"{url}/livez").status_code == 200
        (tmp_path / "release").touch()
        assert held.result().status_code == 200
        assert held.result().json()["snapshot"]["version"] == 1
        assert child.wait(20) == 0
        assert child.stderr is not None
        assert child.stderr.read() == ""


def test_a_second_signal_leaves_at_once(tmp_path: Path) -> None:
    with process(tmp_path) as (child, url), ThreadPoolExecutor(1) as pool:
        held = ask_and_hold(pool, tmp_path, url)
        child.send_signal(signal.SIGTERM)
        wait_until(lambda: _refuses(url))
        assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 3
        assert held.result().status_code == 503


def test_requests_that_outlast_the_grace_period_are_given_up(tmp_path: Path) -> None:
    with process(tmp_path, "grace_s=0.2") as (child, url), ThreadPoolExecutor(1) as pool:
        held = ask_and_hold(pool, tmp_path, url)
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
        assert held.result().status_code == 503
        assert held.result().json() == {"error": "the server stopped before it had an answer; ask another one"}


def _refuses(url: str) -> bool:
    try:
        httpx.get(f"{url}/livez")
    except httpx.TransportError:
        return True
    return False


def test_a_stop_before_the_start_is_heeded(tmp_path: Path) -> None:
    server = make_server(tmp_path)
    server.stop()
    assert server.run()


def make_server(folder: Path, *, host: str = "127.0.0.1", port: int = 0, token: str = "", queue_rows: int = 2048) -> Server:
    return Server(
        host=host,
        port=port,
        token=token,
        model_name="toy",
        snapshots=ToySnapshots(folder),
        load=lambda _: pytest.fail("nothing to load"),
        telemetry=Telemetry(registry=CollectorRegistry()),
        limits=Limits(),
        queue_rows=queue_rows,
        batch_rows=64,
    )


def test_an_address_that_others_reach_is_refused_without_a_token(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match=r"0\.0\.0\.0: other machines can reach this address, so it needs a token"):
        make_server(tmp_path, host="0.0.0.0")


def test_a_queue_that_the_largest_request_never_fits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match=r"max_queue is 1023, but one request may have 1024 rows"):
        make_server(tmp_path, queue_rows=1023)


def test_a_taken_port_is_named_and_another_can_be_found(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServingError, match=rf"127\.0\.0\.1:{port} is taken by another process.*serving\.port"):
            make_server(tmp_path, port=port)
        other = free_port("127.0.0.1", preferred=port)
        assert other != port
    assert free_port("127.0.0.1", preferred=other) == other


def test_a_port_is_free_again_right_after_its_server_left(tmp_path: Path) -> None:
    with running(tmp_path) as toy, toy.client() as client:
        assert toy.server is not None
        port = toy.server.port
        assert client.get("/livez").status_code == 200
    assert free_port("127.0.0.1", preferred=port) == port


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_ours_is_named(host: str) -> None:
    with pytest.raises(ServingError, match=host):
        bind(host, 0)


def test_ipv6_loopback_needs_no_token(tmp_path: Path) -> None:
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists() or not Path("/proc/net/if_inet6").read_text():
        pytest.skip("this machine has no IPv6 address")
    server = make_server(tmp_path, host="::1")
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.url == f"http://[::1]:{server.port}"
        assert httpx.get(f"{server.url}/livez").status_code == 200
    finally:
        server.stop()
        thread.join(20)
