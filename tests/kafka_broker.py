"""A real Apache Kafka for tests: one broker in KRaft mode, started from its jars in a temporary folder."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import shutil
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

_TESTS = Path(__file__).parent
_JARS = _TESTS.parent / ".cache" / "kafka" / "lib"
_CLUSTER_ID = "bGVhcm5kLXRlc3RzLWFyZQ"
_START_LIMIT_S = 60.0
_STOP_LIMIT_S = 30.0


# kafka-python leaves a socket open where a connection was refused or broke.
LEAKS_SOCKETS = pytest.mark.filterwarnings("ignore:unclosed <(ssl|socket):ResourceWarning")


class Cluster:
    """A Kafka that answers at `bootstrap_servers`, and the few things that tests ask of it."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._num_topics = 0

    @contextlib.contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        client = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers, reconnect_backoff_max_ms=500)
        try:
            yield client
        finally:
            client.close()

    def create_topic(self, name: str, partitions: int = 1) -> str:
        with self.admin() as admin:
            admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1}})
            admin.wait_for_topics([name])
        return name

    def new_topic(self, partitions: int = 1, *, hint: str = "topic") -> str:
        """A topic of a name that no test used before, even on a broker that outlives the session."""
        self._num_topics += 1
        return self.create_topic(f"{hint}-{os.getpid()}-{time.time_ns()}-{self._num_topics}", partitions)


class Broker(Cluster):
    """A broker of one's own, to be killed and started again.

    `settings` are added to its server.properties, with {port}, {other_port} and {controller_port} in a value filled in;
    `other_port` is there for one more listener.
    """

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None, format_options: Sequence[str] = ()) -> None:
        port, controller, self.other_port = _free_ports(3)
        super().__init__(f"127.0.0.1:{port}")
        self.folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        properties = _properties(folder) | dict(settings or {})
        ports = {"{port}": port, "{other_port}": self.other_port, "{controller_port}": controller}
        for name, number in ports.items():
            properties = {key: value.replace(name, str(number)) for key, value in properties.items()}
        (folder / "server.properties").write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        (folder / "log4j2.properties").write_text(_LOG4J)
        format_ = ("kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", "server.properties", *format_options)
        subprocess.run(self._java("64m", *format_), cwd=folder, check=True, capture_output=True, timeout=_START_LIMIT_S)

    def start(self) -> None:
        """Start, unless it runs."""
        if self._process is not None:
            return
        with (self.folder / "broker.log").open("ab") as log:
            command = self._java("256m", "kafka.Kafka", "server.properties")
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_LIMIT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = (self.folder / "broker.log").read_text()[-3000:]
                self.kill()
                raise RuntimeError(f"the broker in {self.folder} did not come up; its log ends:\n{tail}")
        collect_leaked_sockets()

    def kill(self) -> None:
        """SIGKILL: no farewell, nothing flushed."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(_STOP_LIMIT_S)
            self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def _answers(self) -> bool:
        """Whether a client gets the list of brokers; a socket that takes connections is not enough."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1):
                pass
        except OSError:
            time.sleep(0.1)  # the process has no event to wait for; the limit is in `start`
            return False
        with contextlib.suppress(KafkaError):
            client = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=5000)
            try:
                return bool(client.describe_cluster()["brokers"])
            finally:
                client.close()
        return False

    def _java(self, memory: str, *arguments: str) -> list[str]:
        options = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.configurationFile=log4j2.properties"]
        return [java(), f"-Xmx{memory}", *options, "-cp", f"{jars()}/*", *arguments]


def collect_leaked_sockets() -> None:
    """Let the sockets go that kafka-python left open, so that they are no warning in another test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _lack(what: str) -> NoReturn:
    """No broker can be started here. Where one is named, that stops only the tests that kill or secure one of their own."""
    if os.environ.get("LEARND_TEST_KAFKA"):
        pytest.skip(f"it kills or secures a broker, so it needs one of its own beside LEARND_TEST_KAFKA, and for that {what}")
    pytest.fail(
        f"tests against Kafka start a broker, which needs {what}; install it, or name a broker in LEARND_TEST_KAFKA=host:port, "
        "which is enough for all but those that kill or secure one"
    )


def java() -> str:
    found = shutil.which("java")
    if found is None:
        _lack("Java 17 or newer (Debian: apt-get install default-jre-headless)")
    return found


def jars() -> Path:
    """The folder with Kafka's jars, fetched through Maven the first time, by one of the processes that test."""
    _JARS.parent.mkdir(parents=True, exist_ok=True)
    with (_JARS.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not any(_JARS.glob("kafka_2.13-*.jar")):
            _fetch_jars()
    return _JARS


def _fetch_jars() -> None:
    maven = shutil.which("mvn")
    if maven is None:
        _lack("Maven, which fetches Kafka's jars (Debian: apt-get install maven)")
    fetched = _JARS.with_name("lib.fetched")
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"]
    fetch = subprocess.run(
        [maven, "-q", "-B", "-f", str(_TESTS / "kafka_pom.xml"), *goal], capture_output=True, text=True, timeout=280
    )
    if fetch.returncode:
        pytest.fail(f"Maven could not fetch Kafka's jars: {(fetch.stdout + fetch.stderr)[-2000:]}")
    # Renamed when complete, so that a fetch that was cut off is not taken for a whole one.
    shutil.rmtree(_JARS, ignore_errors=True)
    fetched.rename(_JARS)


def _properties(folder: Path) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": "1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "log.dirs": str(folder / "data"),
        "auto.create.topics.enable": "true",  # as it is by default, so that tests see whether a client makes topics
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        "log.cleaner.dedupe.buffer.size": "2097152",
        # A killed broker is refused as a duplicate until its session has run out.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
    }


_LOG4J = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c: %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


def _free_ports(num: int) -> list[int]:
    sockets = [socket.socket() for _ in range(num)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
