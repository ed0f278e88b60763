"""How long after it was produced is a record in the answers? Measured from outside, over a real Kafka and real HTTP.

    python -m benchmarks.freshness                      # three minutes at 10 records a second, the text default
    python -m benchmarks.freshness --minutes 10 --rate 50 --json freshness.json

A broker of its own (or `--bootstrap-servers`), `learnd run` as it ships, one producer at a steady rate and one client that asks
`/predict` again and again. A record's time begins right before it is handed to the producer. It ends when the client has in
its hands the first answer whose snapshot covers the record's offset; which offsets a snapshot covers stands in its
`snapshot.json`. So the broker, the micro-batch, learning, publishing, taking up, the pause between two questions and the answer
itself all count. `learnd_freshness_seconds` on `/metrics` is the server's own figure for the same records (from the broker's
timestamp to the swap), shown beside it.

Leaves with status 1, and says why, where the median is not under 2 s, a record is in no answer, or a request failed.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from kafka import KafkaProducer
from rich.console import Console
from rich.table import Table

from daemon.serving.sockets import free_port
from streams.samples import SPAM
from tests.kafka_broker import Broker, Cluster

# What the client asks, and how long it rests between two questions: a part of what is measured.
QUESTION = {"text": "Re: patch for the build, please review before Friday"}
ASK_EVERY_S = 0.1
# Before the clock starts: processes start, the encoder loads, the first snapshots are taken up.
WARM_UP_RECORDS = 64
START_LIMIT_S, END_LIMIT_S = 180.0, 300.0
# What is promised of the median.
MEDIAN_LIMIT_S = 2.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A record: where it lies, and when it was handed to the producer (seconds, `time.time`)."""

    partition: int
    offset: int
    at_s: float


@dataclass(slots=True)
class Client:
    """Asks `/predict` without end and notes when it first had an answer from each snapshot."""

    url: str
    snapshots: Path
    first_answer_s: dict[int, float] = field(default_factory=dict)
    positions: dict[int, dict[int, int]] = field(default_factory=dict)
    durations_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self.done.wait(ASK_EVERY_S):
                self._ask(client)

    def _ask(self, client: httpx.Client) -> None:
        began = time.perf_counter()
        try:
            response = client.post("/predict", json=QUESTION)
        except httpx.HTTPError as error:
            self.failures.append(repr(error))
            return
        answered_s = time.time()
        self.durations_s.append(time.perf_counter() - began)
        if response.status_code != 200:
            self.failures.append(f"{response.status_code} {response.text}")
            return
        version = response.json()["snapshot"]["version"]
        if version not in self.first_answer_s:
            manifest = json.loads((self.snapshots / str(version) / "snapshot.json").read_text(encoding="utf-8"))
            self.positions[version] = {int(partition): offset for partition, offset in manifest["positions"].items()}
            self.first_answer_s[version] = answered_s

    def answered_at(self, sent: Sent) -> float | None:
        """When the client first had an answer that knows the record."""
        # A copy: the client goes on while it is asked this.
        covering = [at for version, at in list(self.first_answer_s.items()) if _covers(self.positions[version], sent)]
        return min(covering, default=None)


def _covers(positions: dict[int, int], sent: Sent) -> bool:
    return positions.get(sent.partition, 0) > sent.offset


def measure(
    cluster: Cluster, folder: Path, *, seconds: float, rate_per_s: float, partitions: int = 1, settings: Sequence[str] = ()
) -> dict[str, Any]:
    """Run everything once and return the figures; `folder` takes learnd's data and log. Raises `RuntimeError` with the end
    of that log where learnd does not come up, or a record never gets into an answer."""
    topic = cluster.new_topic(partitions, hint="freshness")
    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap_servers, acks="all")
    rows = itertools.cycle(_rows())
    try:
        with _learnd(cluster, folder, topic=topic, settings=settings) as (process, url):
            client = Client(url, folder / "data" / "snapshots")
            warm_up = [_send(producer, topic, next(rows)) for _ in range(WARM_UP_RECORDS)]
            _wait_until_ready(url, process, folder)
            thread = threading.Thread(target=client.run, name="client")
            thread.start()
            try:
                _wait_until_answered(client, warm_up, process, folder, limit_s=START_LIMIT_S)
                before = _own_figures_at_rest(url)
                sent = list(_produce(producer, topic, rows, seconds=seconds, rate_per_s=rate_per_s))
                _wait_until_answered(client, sent, process, folder, limit_s=END_LIMIT_S)
            finally:
                client.done.set()
                thread.join()
            return _figures(client, sent, before, _own_figures_at_rest(url), rate_per_s=rate_per_s)
    finally:
        producer.close()


def _rows() -> list[bytes]:
    with gzip.open(SPAM, "rt", encoding="utf-8") as lines:
        parsed = [json.loads(line) for line in lines]
    # Without the mails' own times: the records' are what counts.
    return [json.dumps({"text": row["text"], "label": row["label"]}).encode() for row in parsed]


def _send(producer: KafkaProducer, topic: str, row: bytes) -> Sent:
    at_s = time.time()
    placed = producer.send(topic, row).get(timeout=END_LIMIT_S)
    return Sent(placed.partition, placed.offset, at_s)


def _produce(
    producer: KafkaProducer, topic: str, rows: Iterator[bytes], *, seconds: float, rate_per_s: float
) -> Iterator[Sent]:
    began = time.monotonic()
    for number in range(round(seconds * rate_per_s)):
        time.sleep(max(0.0, began + number / rate_per_s - time.monotonic()))
        yield _send(producer, topic, next(rows))


@contextmanager
def _learnd(
    cluster: Cluster, folder: Path, *, topic: str, settings: Sequence[str]
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`learnd run` until the block ends, and the address of its server."""
    port = free_port("127.0.0.1", preferred=0)
    chosen = [
        f"source.topic={topic}",
        f"source.bootstrap_servers='{cluster.bootstrap_servers}'",
        "source.kind=kafka",
        f"storage.folder='{folder / 'data'}'",
        f"serving.port={port}",
        "telemetry.port=0",
        *settings,
    ]
    flags = [part for setting in chosen for part in ("--set", setting)]
    with (folder / "learnd.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "daemon", "run", *flags], stdout=log, stderr=log)
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(END_LIMIT_S)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    with httpx.Client() as client:
        while True:
            try:
                if client.get(f"{url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            _check(process, folder, deadline, "learnd did not come up")
            time.sleep(0.1)


def _wait_until_answered(
    client: Client, sent: Sequence[Sent], process: subprocess.Popen[bytes], folder: Path, *, limit_s: float
) -> None:
    deadline = time.monotonic() + limit_s
    while any(client.answered_at(record) is None for record in sent):
        _check(process, folder, deadline, f"not every record is in an answer; failed requests: {client.failures[:3]}")
        time.sleep(0.1)


def _check(process: subprocess.Popen[bytes], folder: Path, deadline: float, what: str) -> None:
    if process.poll() is not None or time.monotonic() > deadline:
        tail = (folder / "learnd.log").read_text(encoding="utf-8")[-3000:]
        raise RuntimeError(f"{what}; learnd's log ends:\n{tail}")


def _own_figures_at_rest(url: str) -> dict[str, float]:
    """The server's own figures once they no longer change: it counts records right after it began to answer from them."""
    before: dict[str, float] = {}
    while before != (now := _own_figures(url)):
        before = now
        time.sleep(0.5)
    return now


def _own_figures(url: str) -> dict[str, float]:
    """Count and sum of `learnd_freshness_seconds` as the server shows them."""
    text = httpx.get(f"{url}/metrics").text
    found = re.findall(r"^learnd_freshness_seconds_(count|sum) (\S+)", text, flags=re.MULTILINE)
    return {name: float(value) for name, value in found}


def _figures(
    client: Client, sent: Sequence[Sent], before: dict[str, float], after: dict[str, float], *, rate_per_s: float
) -> dict[str, Any]:
    answered = [(record, client.answered_at(record)) for record in sent]
    ages_s = sorted(at - record.at_s for record, at in answered if at is not None)
    own_count = after["count"] - before["count"]
    return {
        "records": len(sent),
        "records_per_s": rate_per_s,
        "records_answered": len(ages_s),
        "freshness_s": {**_quantiles(ages_s), "mean": statistics.fmean(ages_s)},
        "learnd_freshness_seconds": {
            "count": round(own_count),
            "mean": (after["sum"] - before["sum"]) / own_count if own_count else None,
        },
        "snapshots_answered_from": len(client.first_answer_s),
        "requests": len(client.durations_s),
        "requests_failed": len(client.failures),
        "request_s": _quantiles(sorted(client.durations_s)),
        "machine": {"cpus": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()},
    }


def _quantiles(ascending: Sequence[float]) -> dict[str, float]:
    """Nearest-rank quantiles.

    >>> _quantiles([1.0, 2.0, 3.0, 4.0])
    {'median': 2.0, 'p90': 4.0, 'p99': 4.0, 'max': 4.0}
    """
    ranks = {"median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: ascending[max(0, -(-int(share * 100 * len(ascending)) // 100) - 1)] for name, share in ranks.items()}


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """What of the promise the figures do not keep, in words."""
    median_s, lost = figures["freshness_s"]["median"], figures["records"] - figures["records_answered"]
    return [
        *([f"the median is {median_s:.3f} s, not under {MEDIAN_LIMIT_S:g} s"] if not median_s < MEDIAN_LIMIT_S else []),
        *([f"{lost} of {figures['records']} records are in no answer"] if lost else []),
        *([f"{figures['requests_failed']} requests failed"] if figures["requests_failed"] else []),
    ]


def _table(figures: dict[str, Any]) -> Table:
    table = Table("seconds", "median", "p90", "p99", "max", "mean")
    fresh, own, asked = figures["freshness_s"], figures["learnd_freshness_seconds"], figures["request_s"]
    names = ("median", "p90", "p99", "max")
    table.add_row("produce to answer", *[f"{fresh[name]:.3f}" for name in names], f"{fresh['mean']:.3f}")
    table.add_row("learnd_freshness_seconds", *[""] * 4, f"{own['mean']:.3f}" if own["mean"] is not None else "")
    table.add_row("one /predict", *[f"{asked[name]:.3f}" for name in names], "")
    return table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.freshness", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=3.0, help="how long records are produced (default: 3)")
    parser.add_argument("--rate", type=float, default=10.0, help="records a second (default: 10)")
    parser.add_argument("--partitions", type=int, default=1, help="partitions of the topic (default: 1)")
    parser.add_argument("--bootstrap-servers", help="a Kafka that runs (default: one is started)")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="SECTION.FIELD=VALUE")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="learnd-freshness-") as temporary, _cluster(arguments, temporary) as cluster:
        try:
            figures = measure(
                cluster,
                Path(temporary),
                seconds=60 * arguments.minutes,
                rate_per_s=arguments.rate,
                partitions=arguments.partitions,
                settings=arguments.settings,
            )
        except RuntimeError as error:
            sys.stderr.write(f"not fresh: {error}\n")
            return 1
    Console(stderr=True).print(_table(figures))
    text = json.dumps(figures, indent=2) + "\n"
    if arguments.json:
        arguments.json.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    for shortfall in (found := shortfalls(figures)):
        sys.stderr.write(f"not fresh: {shortfall}\n")
    return 1 if found else 0


@contextmanager
def _cluster(arguments: argparse.Namespace, temporary: str) -> Iterator[Cluster]:
    if arguments.bootstrap_servers:
        yield Cluster(arguments.bootstrap_servers)
        return
    folder = Path(temporary) / "kafka"
    folder.mkdir()
    broker = Broker(folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


if __name__ == "__main__":
    raise SystemExit(main())
