from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from daemon.errors import ServingError
from daemon.serving.app import build_app
from daemon.serving.middleware import OPEN_PATHS
from daemon.serving.queue import Batcher
from daemon.serving.security import Anyone, Bearer, choose_access, read_token
from daemon.serving.service import Limits, Service
from daemon.serving.store import Store
from daemon.serving.telemetry import Telemetry
from tests.serving.toy import Toy, ToySnapshots, running

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    with running(tmp_path_factory.mktemp("snapshots"), token=TOKEN) as toy:
        yield toy


def every_path(tmp_path: Path) -> list[tuple[str, str]]:
    """(method, path) of every route of the application, whatever is added to it."""
    telemetry = Telemetry(registry=CollectorRegistry())
    store = Store(
        snapshots=ToySnapshots(tmp_path), load=lambda _: pytest.fail("nothing to load"), telemetry=telemetry, num_older=1
    )
    batcher = Batcher(queue_rows=1, batch_rows=1, stuck_s=1.0)
    service = Service(model_name="toy", store=store, batcher=batcher, telemetry=telemetry, limits=Limits())
    found = []
    for route in build_app(service=service, access=Anyone()).routes:
        assert isinstance(route, Route), f"{route} is no plain route; this test must learn to look inside it"
        path = re.sub(r"\{(\w+)(:\w+)?\}", lambda match: {"name": "toy", "version": "1"}[match[1]], route.path)
        found += [(method, path) for method in sorted(route.methods or ())]
    return found


def test_every_route_but_the_probes_refuses_a_request_without_the_token(toy: Toy, tmp_path: Path) -> None:
    paths = every_path(tmp_path)
    assert len(paths) >= 20
    with httpx.Client(base_url=toy.url) as client:
        for method, path in paths:
            for authorization in ("", "Bearer", "Bearer wrong-token-of-length", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x"):
                headers = {"Authorization": authorization} if authorization else {}
                response = client.request(method, path, headers=headers)
                if path in OPEN_PATHS:
                    assert response.status_code == 200, (method, path)
                else:
                    assert response.status_code == 401, (method, path, authorization)
                    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_every_route_lets_the_token_in(toy: Toy, tmp_path: Path) -> None:
    with toy.client() as client:
        for method, path in every_path(tmp_path):
            assert client.request(method, path).status_code in (200, 400), (method, path)


@pytest.mark.parametrize(
    "path", ["/nothing", "/livez/", "//livez", "/livez/../metrics", "/livez%2f..%2fmetrics", "/LIVEZ", "/livez;x"]
)
def test_what_is_no_route_is_refused_before_it_is_looked_for(toy: Toy, path: str) -> None:
    with httpx.Client() as client:
        assert client.get(httpx.URL(toy.url + path)).status_code == 401


def test_the_scheme_is_case_insensitive_and_bytes_outside_ascii_are_refused() -> None:
    access = Bearer(TOKEN)
    assert access.permits(f"bearer {TOKEN}")
    assert not access.permits("Bearer żółw")


def test_a_loopback_address_needs_no_token_and_any_other_does() -> None:
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        assert isinstance(choose_access(host=host, token=""), Anyone)
    for host in ("0.0.0.0", "::", "192.0.2.1", ""):
        with pytest.raises(ServingError, match=r"needs a token.*token_file.*LEARND_SERVING__TOKEN.*127\.0\.0\.1"):
            choose_access(host=host, token="")
        assert isinstance(choose_access(host=host, token=TOKEN), Bearer)


def test_a_name_that_stands_for_no_address_is_told_as_such() -> None:
    with pytest.raises(ServingError, match=r"nowhere\.invalid: no such address .*127\.0\.0\.1"):
        choose_access(host="nowhere.invalid", token="")


def test_a_token_on_a_loopback_address_is_asked_for() -> None:
    assert isinstance(choose_access(host="127.0.0.1", token=TOKEN), Bearer)


def test_the_token_comes_from_the_file_else_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert read_token(file=file, given="another-token-of-length") == TOKEN
    assert read_token(file="", given=f" {TOKEN} ") == TOKEN
    assert read_token(file="", given="") == ""


@pytest.mark.parametrize(
    "content", ["", "short", "fifteen-letters", "two words in one token", "żółw-żółw-żółw-żółw", "a\tb" * 9]
)
def test_a_token_that_protects_nothing_or_fits_no_header_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(ServingError, match="openssl rand -hex 32") as raised:
        read_token(file=file, given="")
    assert not content or content not in str(raised.value)
    if content:
        with pytest.raises(ServingError, match=r"LEARND_SERVING__TOKEN.*openssl rand -hex 32") as raised:
            read_token(file="", given=content)
        assert content not in str(raised.value)


def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="absent: the token cannot be read"):
        read_token(file=tmp_path / "absent", given="")


def test_the_token_is_never_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), running(tmp_path, token=TOKEN) as toy, toy.client() as client:
        client.post("/predict", json={"text": "fail"})
        httpx.get(toy.url + "/metrics", headers={"Authorization": f"Bearer {TOKEN}x"})
    assert "error id" in caplog.text
    assert TOKEN not in caplog.text
