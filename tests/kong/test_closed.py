"""Kong fails open when a plugin server dies or hangs; we stay closed all the same."""

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from llm_core.digest import canonical, sha256_hex
from policy_service.digests import Digests
from tests.fixtures.company import COMPANY, models
from tests.fixtures.gateway import SECRETS, Gateway, eventually, start_gateway

PLUGINS = ["llm-auth", "llm-token-meter", "llm-provider-transform"]
REQUESTS = 20


def _without_each_plugin(kong: dict[str, Any]) -> None:
    """Beside the good routes: one service for each plugin that somebody forgot."""
    [good] = kong["services"]
    chat = next(route for route in good["routes"] if route["name"] == "llm-chat-completions")
    every = [*good["plugins"], *chat["plugins"]]
    for forgotten in PLUGINS:
        kong["services"].append(
            {
                **good,
                "name": f"without-{forgotten}",
                "plugins": [plugin for plugin in every if plugin["name"] != forgotten],
                "routes": [
                    {
                        "name": f"without-{forgotten}",
                        "paths": [f"/without-{forgotten}"],
                        "strip_path": True,
                    }
                ],
            }
        )
    kong["services"].append(
        {
            **good,
            "name": "without-all",
            "plugins": [],
            "routes": [{"name": "without-all", "paths": ["/without-all"], "strip_path": True}],
        }
    )


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One of our own: what is done to it is nothing for other tests to meet."""
    with start_gateway(
        tmp_path_factory.mktemp("closed"),
        company=COMPANY,
        models=models,
        settings={"POLICY_LEASE_S": "3", "POLICY_SWEEP_INTERVAL_S": "0.2"},
        adjust_kong=_without_each_plugin,
    ) as running:
        yield running


def request(marker: str, number: int) -> dict[str, Any]:
    """Whole and streamed, OpenAI and Anthropic, by turns."""
    return {
        "model": ["gpt-4o-mini", "claude-sonnet-4-5", "slow-openai", "slow-anthropic"][number % 4],
        "messages": [{"role": "user", "content": f"{marker} {number}"}],
        "stream": number % 8 > 3,
        "max_tokens": 30,
    }


def said(call: dict[str, Any]) -> str:
    """What the user says in a provider's call; Anthropic's content is a list of blocks."""
    content = call["messages"][-1]["content"]
    return content if isinstance(content, str) else content[0]["text"]


def send(gateway: Gateway, body: dict[str, Any]) -> int | None:
    """The status; `None` when the connection broke."""
    try:
        return gateway.post(json.dumps(body).encode()).status_code
    except httpx.HTTPError:
        return None


def listens(gateway: Gateway, name: str) -> bool:
    """Whether a plugin server takes calls."""
    prefix = gateway.prefix if gateway.kong is None else gateway.kong.prefix
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(prefix / f"{name}.sock")) == 0


@pytest.mark.e2e
@pytest.mark.parametrize("name", PLUGINS)
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_nothing_undecided_reaches_a_provider_while_a_plugin_server_is_gone(
    gateway: Gateway, name: str, blow: signal.Signals
) -> None:
    eventually(lambda: send(gateway, request("warm-up", 0)) == 200)
    gateway.forget_calls()
    marker = f"{name} {blow.name}"
    bodies = [request(marker, number) for number in range(REQUESTS)]
    struck = threading.Event()
    before = eventually(lambda: gateway.plugin_server_pid(name))
    assert before is not None

    def one(number: int) -> int | None:
        if number >= REQUESTS // 2:
            struck.wait()
        return send(gateway, bodies[number])

    with ThreadPoolExecutor(REQUESTS) as pool:
        statuses = pool.map(one, range(REQUESTS))
        eventually(lambda: len(gateway.calls()) >= 2)  # some are under way
        os.kill(before, blow)
        struck.set()
        answered = list(statuses)

    if blow is signal.SIGSTOP:
        os.kill(before, signal.SIGKILL)  # Kong does not see that a process hangs; an admin does
    eventually(lambda: gateway.plugin_server_pid(name) not in (before, None))
    eventually(lambda: listens(gateway, name))  # a call without this plugin would be served before
    eventually(lambda: send(gateway, request("afterwards", 0)) == 200)

    reached = {said(call) for call in gateway.calls()}
    digests = Digests.from_secret(SECRETS["POLICY_TICKET_SECRET"])
    sent = {
        body["messages"][0]["content"]: digests.of("acme", sha256_hex(canonical(body)).encode())
        for body in bodies
    }
    mine = reached & sent.keys()
    assert mine, "the blow came too early to prove anything"
    if blow is signal.SIGSTOP and name != "llm-provider-transform":
        # A killed server is back at once, and the relay stands in for the transform plugin.
        assert any(status == 503 for status in answered), "the blow was not felt"
    assert set(answered) <= {200, 500, 502, 503, None}

    def undecided() -> set[str]:
        booked = {row["request_digest"] for row in gateway.rows()}
        return {content for content in mine if sent[content] not in booked}

    # Every call that reached a provider was decided, and is in the ledger: measured, or as an
    # estimate when its lease ends.
    eventually(lambda: not undecided())


@pytest.mark.e2e
@pytest.mark.parametrize("forgotten", ["llm-auth", "llm-token-meter", "all"])
def test_a_route_without_a_plugin_serves_nobody(gateway: Gateway, forgotten: str) -> None:
    gateway.forget_calls()
    answer = httpx.post(
        f"{gateway.gateway_url}/without-{forgotten}/v1/chat/completions",
        json=request(forgotten, 0),
        headers={
            "authorization": f"Bearer {gateway.keys['team']}",
            "x-gatehouse-ticket": "gt1.dec_0.99999999999999.00",
        },
    )
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "undecided"
    assert gateway.calls() == []


@pytest.mark.e2e
@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("alias", ["gpt-4o-mini", "claude-sonnet-4-5"])
def test_without_the_transform_plugin_the_relay_serves_the_call_whole(
    gateway: Gateway, alias: str, is_streaming: bool
) -> None:
    body = {**request("no transform", 0), "model": alias, "stream": is_streaming}
    answer = httpx.post(
        f"{gateway.gateway_url}/without-llm-provider-transform/v1/chat/completions",
        json=body,
        headers={"authorization": f"Bearer {gateway.keys['team']}"},
    )
    assert answer.status_code == 200
    if not is_streaming:
        assert answer.json()["object"] == "chat.completion"
    row = gateway.row(answer.headers["x-gatehouse-decision-id"])
    assert row["source"] == "provider"
    assert row["transport"] == "relay"


@pytest.mark.e2e
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/anything", "/"])
def test_the_relay_serves_nobody_without_a_ticket(gateway: Gateway, path: str) -> None:
    answer = httpx.post(f"{gateway.policy_url}/relay{path}", json=request("no ticket", 0))
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "undecided"


@pytest.mark.e2e
def test_a_client_cannot_bring_a_ticket_of_its_own(gateway: Gateway) -> None:
    """The meter overwrites it; and nothing of ours is told to the provider."""
    gateway.forget_calls()
    answer = gateway.post(
        json.dumps(request("own ticket", 0)).encode(), **{"x-gatehouse-ticket": "gt1.x.1.y"}
    )
    assert answer.status_code == 200
    assert "gt1" not in repr(gateway.calls())
