"""`gatehouse kong check`: the relay asked past Kong, and plugin servers that stand still."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from policy_service.cli.doctor.findings import Finding, State
from policy_service.cli.kong import pausing
from policy_service.cli.kong.configured import GuardedRoute
from policy_service.cli.kong.installing import PLUGINS
from policy_service.cli.kong.pausing import paused_findings
from policy_service.cli.kong.proxied import Proxy
from policy_service.cli.kong.relayed import relay_findings

Answer = Callable[[httpx.Request], httpx.Response]
SERVICE = {"id": "s", "protocol": "http", "host": "relay", "port": 8100, "path": "/relay"}
LISTENS = """
import socket, sys
held = []
for place in sys.argv[1:]:
    held.append(socket.socket(socket.AF_UNIX))
    held[-1].bind(place)
    held[-1].listen()
print("up", flush=True)
sys.stdin.read()
"""


def relay(answer: Answer, service: dict[str, object] = SERVICE) -> list[Finding]:
    routes = [GuardedRoute({"id": name}, service, {}, ()) for name in ("a", "b")]
    return list(relay_findings(routes, transport=httpx.MockTransport(answer)))


def test_a_relay_is_asked_once_without_a_ticket_and_once_with_a_forged_one() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(503, json={"error": {"code": "undecided"}})

    found = relay(answer, {**SERVICE, "host": "fd00::1"})
    assert [one.state for one in found] == [State.GOOD, State.GOOD]
    assert [str(one.url) for one in asked] == [
        "http://[fd00::1]:8100/relay/v1/chat/completions"
    ] * 2
    assert ["x-gatehouse-ticket" in one.headers for one in asked] == [False, True]


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (httpx.Response(200, json={}), State.BROKEN),
        (httpx.Response(503, text="no server is available"), State.WARNING),
        (httpx.Response(404), State.WARNING),
        (httpx.Response(302, headers={"location": "/login"}), State.WARNING),
    ],
)
def test_what_is_no_refusal_of_the_relay_is_told(answer: httpx.Response, state: State) -> None:
    found = relay(lambda _: answer)
    assert {one.state for one in found} == {state}
    assert all(one.remedy for one in found)


def test_a_relay_that_only_kong_reaches_is_not_looked_at() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no such host", request=request)

    assert {one.state for one in relay(answer)} == {State.UNSEEN}


class Servers:
    """One process that listens where the three plugin servers would."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        places = [str(prefix / f"{name}.sock") for name in PLUGINS]
        self.process = subprocess.Popen(
            [sys.executable, "-c", LISTENS, *places],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"up\n"

    @property
    def stand_still(self) -> bool:
        told = Path(f"/proc/{self.process.pid}/stat").read_text()
        return told.rpartition(")")[2].split()[0] == "T"

    def check(self, paused: Answer, key: str | None = "gk-key") -> list[Finding]:
        """What is found where calls are answered by `paused` while the servers stand still."""

        def answer(request: httpx.Request) -> httpx.Response:
            return paused(request) if self.stand_still else httpx.Response(404)

        transport = httpx.MockTransport(answer)
        with httpx.Client(transport=transport, base_url="http://kong") as client:
            return list(paused_findings(Proxy(client, None, key, "a-model"), self.prefix))


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    started = Servers(tmp_path)
    yield started
    started.process.communicate()


def test_refusals_while_each_stands_still_are_good(servers: Servers) -> None:
    found = servers.check(lambda _: httpx.Response(503))
    assert [one.part for one in found] == [f"closed when {name} hangs" for name in PLUGINS]
    assert {one.state for one in found} == {State.GOOD}
    assert not servers.stand_still


def test_who_is_served_meanwhile_is_broken(servers: Servers) -> None:
    found = servers.check(lambda _: httpx.Response(200, json={}))
    assert {one.state for one in found} == {State.BROKEN}


def test_the_relay_may_serve_what_was_decided_and_the_others_may_not(servers: Servers) -> None:
    decided = httpx.Response(200, headers={"x-gatehouse-decision-id": "dec_1"}, json={})
    states = [one.state for one in servers.check(lambda _: decided)]
    assert states == [State.BROKEN, State.BROKEN, State.GOOD]


def test_a_pause_that_is_not_felt_proves_nothing(servers: Servers) -> None:
    found = servers.check(lambda _: httpx.Response(404))
    assert [one.state for one in found][:2] == [State.WARNING, State.WARNING]
    assert "--kong-prefix" in found[0].remedy


def test_a_kong_that_hangs_up_leaves_no_server_standing_still(servers: Servers) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset", request=request)

    assert {one.state for one in servers.check(answer)} == {State.WARNING}
    assert not servers.stand_still


def test_calls_that_still_fail_afterwards_are_told_with_the_process(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pausing, "_SETTLE_S", 0.0)
    found = servers.check(lambda _: httpx.Response(503))
    assert {one.state for one in found} == {State.BROKEN}
    assert f"kill -CONT {servers.process.pid}" in found[0].remedy


def test_without_a_key_only_the_first_is_paused(servers: Servers) -> None:
    found = servers.check(lambda _: httpx.Response(503), key=None)
    assert [one.state for one in found] == [State.GOOD, State.UNSEEN, State.UNSEEN]


def test_without_servers_nothing_is_looked_at(tmp_path: Path) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(404))
    with httpx.Client(transport=transport, base_url="http://kong") as client:
        found = list(paused_findings(Proxy(client, None, "gk-key", "a-model"), tmp_path))
    assert {one.state for one in found} == {State.UNSEEN}
    assert "no such file or directory" in found[0].what
