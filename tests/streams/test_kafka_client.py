"""Security settings of Kafka's clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.kafka_client import KafkaSecurity, _cause


def test_plaintext_has_no_options_but_itself() -> None:
    assert KafkaSecurity().options() == {"security_protocol": "PLAINTEXT"}


def test_everything_that_sasl_over_tls_needs(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    security = KafkaSecurity(
        protocol="SASL_SSL", mechanism="PLAIN", username="u", password="p", ca_file=str(tmp_path / "ca.pem")
    )
    assert security.options() == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "u",
        "sasl_plain_password": "p",
        "ssl_check_hostname": True,
        "ssl_cafile": str(tmp_path / "ca.pem"),
        "ssl_certfile": None,
        "ssl_keyfile": None,
        "ssl_password": None,
    }
    assert "'p'" not in repr(security)


def test_what_cannot_work_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="SASL_PLAINTEXT needs a user name and a password"):
        KafkaSecurity(protocol="SASL_PLAINTEXT", username="u")
    with pytest.raises(ValueError, match=r"nowhere\.pem: no such file"):
        KafkaSecurity(protocol="SSL", ca_file="nowhere.pem")


@pytest.mark.parametrize(
    "said",
    [
        "<conn>: SaslAuthenticationFailedError: Authentication failed due to invalid credentials with SASL mechanism",
        "Bootstrap connection to bootstrap-0 failed: KafkaConnectionError: socket disconnected (backoff 0.99 secs)",
        "<transport>: Abort (KafkaConnectionError: [Errno 104] Connection reset by peer)",
    ],
)
def test_the_cause_is_what_the_broker_said_or_did_not_the_timeout_that_came_after(said: str) -> None:
    after = "Bootstrap connection to bootstrap-0 failed: [Error 7] RequestTimedOutError: Request timed out after 111 ms"
    assert _cause([said, after]) == said
    assert _cause([after]) == after


def test_what_the_broker_said_tells_more_than_that_it_hung_up() -> None:
    said = "<conn>: UnsupportedSaslMechanismError: SCRAM-SHA-512 is not enabled"
    assert _cause([said, "<conn>: Connection lost: KafkaConnectionError: socket disconnected"]) == said
