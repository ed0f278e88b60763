from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from daemon.errors import ConfigError
from daemon.monitoring.endpoint import TelemetryEndpoint
from daemon.monitoring.health import Health
from tests.monitoring.test_health import Clock


class Served:
    def __init__(self) -> None:
        self.clock, self.registry = Clock(), CollectorRegistry()
        self.health = Health(caught_up_records=10, stuck_after_s=30.0, clock=self.clock)
        self.endpoint = TelemetryEndpoint(host="127.0.0.1", port=0, registry=self.registry, health=self.health)

    def get(self, path: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.endpoint.port, timeout=10)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.endpoint.close()


def test_metrics_are_those_of_the_registry(served: Served) -> None:
    Counter("learnd_things", "Things.", registry=served.registry).inc(3)
    status, body = served.get("/metrics?name=x")
    samples = {s.name: s.value for family in text_string_to_metric_families(body) for s in family.samples}
    assert (status, samples["learnd_things_total"]) == (200, 3.0)


def test_live_and_ready_turn_with_the_loop(served: Served) -> None:
    assert served.get("/livez") == (200, '{"live": true}')
    assert served.get("/readyz") == (503, '{"ready": false}')
    served.health.turned(lag_records=0)
    assert served.get("/readyz") == (200, '{"ready": true}')
    served.clock.now += 31.0
    assert served.get("/livez") == (503, '{"live": false}')
    served.health.stopping()
    assert served.get("/readyz")[0] == 503


def test_health_tells_all_four_apart(served: Served) -> None:
    served.health.turned(lag_records=11)
    status, body = served.get("/health")
    assert (status, json.loads(body)) == (
        200,
        {
            "status": "degraded",
            "live": True,
            "ready": True,
            "caught_up": False,
            "learning": True,
            "source_reachable": True,
            "lag_records": 11,
        },
    )


def test_other_paths_are_not_found(served: Served) -> None:
    assert served.get("/")[0] == 404


def test_taken_port_is_told_with_the_remedy(served: Served) -> None:
    with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{served.endpoint.port}.*port 0 for a free one"):
        TelemetryEndpoint(host="127.0.0.1", port=served.endpoint.port, registry=served.registry, health=served.health)


def test_any_address_of_this_machine_will_do() -> None:
    made = Served()
    made.endpoint.close()
    for host in ("localhost", "0.0.0.0", *(["::1"] if Path("/proc/net/if_inet6").exists() else [])):
        TelemetryEndpoint(host=host, port=0, registry=made.registry, health=made.health).close()
    with pytest.raises(ConfigError, match=r"telemetry cannot listen on no-such-host\.invalid:0"):
        TelemetryEndpoint(host="no-such-host.invalid", port=0, registry=made.registry, health=made.health)


def test_close_frees_the_port() -> None:
    first = Served()
    first.endpoint.close()
    again = TelemetryEndpoint(host="127.0.0.1", port=first.endpoint.port, registry=first.registry, health=first.health)
    again.close()
