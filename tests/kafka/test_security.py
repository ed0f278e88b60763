"""Encryption, passwords and rights against a real broker, and what is said when they are wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from streams.deadletter import DeadLetterTopic
from streams.errors import DecodeError, SourceError
from streams.kafka import KafkaSource
from streams.kafka_client import KafkaCluster, KafkaSecurity
from streams.record import Record
from tests.kafka_broker import LEAKS_SOCKETS, Broker, collect_leaked_sockets, java

pytestmark = [pytest.mark.kafka, LEAKS_SOCKETS]

# The client races for the broker's answer: where it loses, the error says what a lost answer most often means.
HUNG_UP = "brokers that hang up on SASL most often do not know the user, the password or the mechanism"


class Secured(Broker):
    """A broker with a second listener that wants TLS and a password; its plain one is for the super user."""

    def __init__(self, folder: Path) -> None:
        keystore, self.certificate = folder / "broker.p12", folder / "broker.pem"
        store = ["-keystore", str(keystore), "-storepass", "secret", "-alias", "broker"]
        keytool = str(Path(java()).resolve().with_name("keytool"))
        for arguments in (
            ["-genkeypair", *store, "-keyalg", "EC", "-dname", "CN=localhost", "-ext", "SAN=IP:127.0.0.1"],
            ["-exportcert", *store, "-rfc", "-file", str(self.certificate)],
        ):
            subprocess.run([keytool, *arguments], check=True, capture_output=True, timeout=60)
        scram = "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config"
        super().__init__(
            folder,
            settings={
                "listeners": "PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{other_port},"
                "CONTROLLER://127.0.0.1:{controller_port}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
                "sasl.enabled.mechanisms": "SCRAM-SHA-256",
                scram: "org.apache.kafka.common.security.scram.ScramLoginModule required;",
                "ssl.keystore.type": "PKCS12",
                "ssl.keystore.location": str(keystore),
                "ssl.keystore.password": "secret",
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
            },
            format_options=("--add-scram", "SCRAM-SHA-256=[name=learner,password=right]"),
        )

    def topic_with(self, *operations: ACLOperation) -> str:
        """A topic with one record, on which the user has these rights."""
        topic = self.new_topic()
        pattern = ResourcePattern(ResourceType.TOPIC, topic)
        with self.admin() as admin:
            for operation in operations:
                admin.create_acls([ACL("User:learner", "*", operation, ACLPermissionType.ALLOW, pattern)])
        producer = KafkaCluster(bootstrap_servers=self.bootstrap_servers, security=KafkaSecurity()).producer()
        producer.send(topic, b"1", partition=0).get(10)
        producer.close()
        return topic

    def security(self, **options: Any) -> KafkaSecurity:
        defaults = {"protocol": "SASL_SSL", "username": "learner", "password": "right", "ca_file": str(self.certificate)}
        return KafkaSecurity(**(defaults | options))

    @contextmanager
    def source(self, topic: str, **options: Any) -> Iterator[KafkaSource]:
        source = KafkaSource(
            topic=topic,
            bootstrap_servers=f"127.0.0.1:{self.other_port}",
            buffer_records=100,
            security=self.security(**options),
        )
        try:
            source.open({})
            yield source
        finally:
            source.close()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    broker = Secured(tmp_path_factory.mktemp("secured-kafka"))
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
        collect_leaked_sockets()


def test_encrypted_with_a_password_and_the_rights(secured: Secured) -> None:
    topic = secured.topic_with(ACLOperation.READ, ACLOperation.WRITE)
    with secured.source(topic) as source:
        assert [record.value for record in source.take_arrived(1, timeout_s=20)] == [b"1"]
        assert source.ends() == {0: 1}
        letters = DeadLetterTopic(
            topic=topic,
            bootstrap_servers=f"127.0.0.1:{secured.other_port}",
            security=secured.security(),
            max_share=1.0,
        )
        letters.send(Record(topic, 0, 0, b"1"), DecodeError("parse", "no"))
        letters.flush()
        letters.close()
        assert [record.offset for record in source.take_arrived(1, timeout_s=20)] == [1]


def test_topic_that_may_not_be_seen_is_told_from_one_that_is_missing(secured: Secured) -> None:
    topic = secured.topic_with()
    reason = f'topic "{topic}" on .* may not be seen by learner; grant the rights DESCRIBE and READ'
    with pytest.raises(SourceError, match=reason), secured.source(topic):
        pass


def test_topic_that_may_be_seen_but_not_read(secured: Secured) -> None:
    topic = secured.topic_with(ACLOperation.DESCRIBE)
    with secured.source(topic) as source, pytest.raises(SourceError, match="grant this client the right READ on the topic"):
        source.take_arrived(1, timeout_s=20)


@pytest.mark.parametrize(("rights", "told"), [((ACLOperation.DESCRIBE_CONFIGS,), "CreateTime"), ((), "")])
def test_whose_the_timestamps_are_where_that_may_be_asked(
    secured: Secured, rights: tuple[ACLOperation, ...], told: str
) -> None:
    topic = secured.topic_with(ACLOperation.READ, *rights)
    cluster = KafkaCluster(bootstrap_servers=f"127.0.0.1:{secured.other_port}", security=secured.security())
    assert cluster.timestamp_type(topic) == told


# Not each of the client's tries comes as far as SASL, so it gets time for some.
@pytest.mark.parametrize(
    ("options", "timeout_ms", "cause"),
    [
        ({"password": "wrong"}, 8000, f"invalid credentials|SaslAuthenticationFailedError|{HUNG_UP}"),
        ({"mechanism": "SCRAM-SHA-512"}, 8000, f"SCRAM-SHA-512|UnsupportedSaslMechanism|{HUNG_UP}"),
        ({"ca_file": ""}, 2000, "CERTIFICATE_VERIFY_FAILED|certificate verify failed"),
        ({"protocol": "PLAINTEXT"}, 2000, "Error"),
    ],
)
def test_what_is_wrong_stands_in_the_error(
    secured: Secured, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], timeout_ms: int, cause: str
) -> None:
    monkeypatch.setitem(KafkaCluster.topic.__kwdefaults__, "timeout_ms", timeout_ms)
    with pytest.raises(SourceError, match=f"cannot be reached by .*({cause})"), secured.source("t", **options):
        pass
