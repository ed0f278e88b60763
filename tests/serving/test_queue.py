from __future__ import annotations

import gc
import socket
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.errors import ModelError
from daemon.serving.answerer import Answer, Input, answer_all
from daemon.serving.errors import OverloadedError
from daemon.serving.queue import Batcher
from daemon.serving.service import Limits
from daemon.serving.store import Served
from tests.serving.toy import ToyClassifier, running, wait_until


class Bench:
    """A batcher with a model that waits when told to."""

    def __init__(self, *, queue_rows: int = 8, batch_rows: int = 4) -> None:
        self.gate = threading.Event()
        self.batches: list[int] = []
        self.now_s = 0.0
        self.batcher = Batcher(queue_rows=queue_rows, batch_rows=batch_rows, stuck_s=10.0, clock=lambda: self.now_s)
        self.batcher.start()

    def served(self, version: int) -> Served:
        model = ToyClassifier(np.array([float(version)]), gate=self.gate, batches=self.batches)
        return Served(version, f"digest-{version}", model, 0.0, ())

    def hold(self, served: Served) -> Future[Any]:
        """Keep the thread busy until the gate opens."""
        num_batches = len(self.batches)
        future = self.batcher.submit(served, [Input("hold")])
        wait_until(lambda: len(self.batches) > num_batches)
        return future


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.gate.set()
    bench.batcher.close(wait_s=10)


def spam(future: Future[Any]) -> list[float]:
    return [round(answer["scores"]["spam"], 6) for answer in future.result(10)]


def test_what_gathers_while_a_batch_runs_is_answered_together_and_in_order(bench: Bench) -> None:
    served = bench.served(-3)
    held = bench.hold(served)
    futures = [bench.batcher.submit(served, [Input("a" * n)]) for n in range(1, 7)]
    bench.gate.set()
    held.result(10)
    assert [spam(future) for future in futures] == [[0.119203], [0.268941], [0.5], [0.731059], [0.880797], [0.952574]]
    assert bench.batches == [1, 4, 2]


def test_a_request_larger_than_a_batch_is_answered_alone(bench: Bench) -> None:
    served = bench.served(1)
    held = bench.hold(served)
    futures = [bench.batcher.submit(served, [Input("a")] * rows) for rows in (1, 6, 1)]
    bench.gate.set()
    assert [len(future.result(10)) for future in (held, *futures)] == [1, 1, 6, 1]
    assert bench.batches == [1, 1, 6, 1]


def test_a_batch_never_mixes_snapshots(bench: Bench) -> None:
    old, new = bench.served(-1), bench.served(0)
    held = bench.hold(old)
    futures = [bench.batcher.submit(served, [Input("a")]) for served in (old, new, new, old)]
    bench.gate.set()
    held.result(10)
    assert [spam(future) for future in futures] == [[0.5], [0.731059], [0.731059], [0.5]]
    assert bench.batches == [1, 1, 2, 1]


def test_a_full_queue_refuses_and_takes_again_once_there_is_room(bench: Bench) -> None:
    served = bench.served(1)
    held = bench.hold(served)
    waiting = [bench.batcher.submit(served, [Input("a")] * 4) for _ in range(2)]
    with pytest.raises(OverloadedError, match="8 of 8 rows wait already, 1 more do not fit"):
        bench.batcher.submit(served, [Input("a")])
    assert bench.batcher.waiting_rows == 8
    bench.gate.set()
    for future in (held, *waiting):
        future.result(10)
    assert len(bench.batcher.submit(served, [Input("a")] * 8).result(10)) == 8


def test_a_cancelled_request_costs_the_model_nothing(bench: Bench) -> None:
    served = bench.served(1)
    held = bench.hold(served)
    given_up = bench.batcher.submit(served, [Input("a")] * 3)
    kept = bench.batcher.submit(served, [Input("b")])
    assert given_up.cancel()
    bench.gate.set()
    held.result(10)
    kept.result(10)
    assert bench.batches == [1, 1]
    assert bench.batcher.waiting_rows == 0


def test_one_bad_request_does_not_fail_those_beside_it(bench: Bench) -> None:
    served = bench.served(1)
    held = bench.hold(served)
    futures = [bench.batcher.submit(served, [Input(text)]) for text in ("a", "fail", "b")]
    bench.gate.set()
    held.result(10)
    with pytest.raises(RuntimeError, match="secret path"):
        futures[1].result(10)
    assert [len(futures[0].result(10)), len(futures[2].result(10))] == [1, 1]


def test_closing_answers_what_waits_and_takes_nothing_more(bench: Bench) -> None:
    served = bench.served(1)
    held = bench.hold(served)
    waiting = bench.batcher.submit(served, [Input("a")])
    bench.batcher.close(wait_s=0)
    with pytest.raises(OverloadedError, match="stopping"):
        bench.batcher.submit(served, [Input("b")])
    bench.gate.set()
    assert len(held.result(10)) == len(waiting.result(10)) == 1
    bench.batcher.close(wait_s=10)
    assert not bench.batcher.is_live()


def test_a_thread_that_is_stuck_in_the_model_is_not_live(bench: Bench) -> None:
    assert bench.batcher.is_live()
    held = bench.hold(bench.served(1))
    bench.now_s = 9.9
    assert bench.batcher.is_live()
    bench.now_s = 10.0
    assert not bench.batcher.is_live()
    bench.gate.set()
    held.result(10)
    wait_until(bench.batcher.is_live)


def test_an_idle_thread_keeps_no_snapshot_alive(bench: Bench) -> None:
    served = bench.served(1)
    model = weakref.ref(served.answerer)
    bench.batcher.submit(served, [Input("a")]).result(10)
    with pytest.raises(RuntimeError):
        bench.batcher.submit(served, [Input("fail")]).result(10)
    del served
    wait_until(lambda: (gc.collect(), model() is None)[1])


class Wrong(ToyClassifier):
    def answer(self, inputs: list[Input]) -> list[Answer]:  # type: ignore[override]
        return [{"value": float(row.text)} for row in inputs if row.text]


def test_an_answer_that_is_missing_or_not_finite_is_an_error() -> None:
    model = Wrong(np.zeros(1), gate=threading.Event(), batches=[])
    assert answer_all(model, [Input("1"), Input("2")]) == [{"value": 1.0}, {"value": 2.0}]
    with pytest.raises(ModelError, match="1 answers to 2 inputs"):
        answer_all(model, [Input("1"), Input("")])
    with pytest.raises(ModelError, match="row 1 of 2 is not finite"):
        answer_all(model, [Input("1"), Input("nan")])


def test_overflow_is_503_with_retry_after_and_is_counted(tmp_path: Path) -> None:
    limits = Limits(instances=2)
    with running(tmp_path, limits=limits, queue_rows=2) as toy, toy.client() as client, ThreadPoolExecutor(3) as pool:
        num_batches = len(toy.batches)
        held = pool.submit(client.post, "/predict", json={"text": "hold"})
        wait_until(lambda: len(toy.batches) > num_batches)
        waiting = pool.submit(client.post, "/predict", json=[{"text": "a"}] * 2)
        wait_until(lambda: toy.server is not None and toy.server._batcher.waiting_rows == 2)
        refused = client.post("/predict", json={"text": "b"})
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.json() == {"error": "2 of 2 rows wait already, 1 more do not fit"}
        assert client.get("/readyz").status_code == 200
        toy.gate.set()
        assert held.result().status_code == waiting.result().status_code == 200
        assert toy.sample("learnd_requests_shed_total") == 1
        assert toy.sample("learnd_requests_total", route="/predict", status="503") == 1


def test_a_deadline_is_504_and_the_next_request_is_answered(tmp_path: Path) -> None:
    with running(tmp_path, limits=Limits(deadline_s=0.2)) as toy, toy.client() as client:
        response = client.post("/predict", json={"text": "hold"})
        assert response.status_code == 504
        assert response.json() == {"error": "no answer within 0.2 s; ask again with less, or later"}
        toy.gate.set()
        wait_until(lambda: client.post("/predict", json={"text": "a"}).status_code == 200)


def test_a_body_that_never_ends_meets_the_deadline(tmp_path: Path) -> None:
    with running(tmp_path, limits=Limits(deadline_s=0.2)) as toy:
        assert toy.server is not None
        with socket.create_connection(("127.0.0.1", toy.server.port), timeout=10) as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            assert connection.recv(1000).startswith(b"HTTP/1.1 504 ")
