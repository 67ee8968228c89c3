"""Clients that leave before they have their answer: charged right, and no reservation left."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.fixtures.both_gateways import Start
from tests.fixtures.gateway import Gateway, deployment, eventually

COMPANY = {
    "id": "acme",
    "allowed_models": ["*"],
    "departments": [
        {
            "id": "engineering",
            "teams": [
                {"id": "search", "limits": {"usd_per_month": 100}, "keys": [{"name": "team"}]}
            ],
        }
    ],
}
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: %b\r\nauthorization: Bearer %b\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n"
)


def models(sandbox_url: str) -> dict[str, Any]:
    """One with a deployment of its own, that answers after seconds; one with two, after half a
    minute: long enough to be left in the middle of it, however busy the machine is."""
    return {
        "models": [
            {
                "alias": "direct",
                "deployments": [deployment("openai", sandbox_url, "gpt-4o-mini--pace-10")],
            },
            {
                "alias": "relay",
                "deployments": [
                    deployment("openai", sandbox_url, "gpt-4o-mini--pace-1"),
                    deployment("azure_openai", sandbox_url, "gpt-4o-mini"),
                ],
            },
        ]
    }


@pytest.fixture(scope="module")
def left(start: Start) -> Gateway:
    return start("leaving", company=COMPANY, models=models)


@pytest.fixture
def gateway(left: Gateway) -> Gateway:
    left.take_the_kong()
    left.forget_calls()
    return left


def question(model: str) -> bytes:
    messages = [{"role": "user", "content": "one two three four five"}]
    return json.dumps({"model": model, "messages": messages}).encode()


@contextmanager
def begun(gateway: Gateway, length: int, more: bytes = b"") -> Iterator[socket.socket]:
    """A call whose head is sent; the client leaves at the end."""
    parts = urlsplit(gateway.gateway_url)
    place = (str(parts.hostname), parts.port or 80)
    with socket.create_connection(place, timeout=30) as client:
        head = HEAD % (parts.netloc.encode(), gateway.keys["team"].encode(), length)
        client.sendall(head + more + b"\r\n")
        yield client


def used(gateway: Gateway) -> Decimal:
    """What the team's budget is taken by: what was charged, and what is reserved."""
    answer = httpx.get(
        f"{gateway.gateway_url}/v1/me",
        headers={"authorization": f"Bearer {gateway.keys['team']}"},
        timeout=30,
    )
    [budget] = answer.json()["limits"]
    return Decimal(budget["used"])


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("way", "source", "ended"),
    [
        # Kong reads to its end what it collects; the relay hangs up, and the prompt is charged.
        ("direct", "provider", "complete"),
        ("relay", "estimated", "client_gone"),
    ],
)
def test_who_leaves_a_whole_answer_is_charged_for_it_and_nothing_stays_reserved(
    gateway: Gateway, way: str, source: str, ended: str
) -> None:
    before, known = used(gateway), {row["decision_id"] for row in gateway.rows()}
    body = question(way)
    with begun(gateway, len(body)) as client:
        client.sendall(body)
        eventually(gateway.calls)
        assert used(gateway) > before, "the worst case is reserved while it is awaited"
    [row] = eventually(lambda: [r for r in gateway.rows() if r["decision_id"] not in known])
    assert (row["transport"], row["source"]) == (way, source)
    assert Decimal(row["usd"]) > 0
    eventually(lambda: used(gateway) == before + Decimal(row["usd"]))
    [call] = eventually(lambda: [one for one in gateway.calls() if one["ended"] == ended])
    assert gateway.calls() == [call], "who has left is served by nobody else"


@pytest.mark.e2e
def test_who_leaves_in_mid_upload_costs_nothing_and_reserves_nothing(gateway: Gateway) -> None:
    before, rows = used(gateway), len(gateway.rows())
    body = question("direct")
    with begun(gateway, len(body), b"expect: 100-continue\r\n") as client:
        assert client.recv(65536).startswith(b"HTTP/1.1 100")
        client.sendall(body[: len(body) // 2])
    answer = gateway.post(body)
    assert answer.status_code == 200
    row = gateway.row(answer.headers["x-gatehouse-decision-id"])
    eventually(lambda: used(gateway) == before + Decimal(row["usd"]))
    assert len(gateway.rows()) == rows + 1
    assert len(gateway.calls()) == 1
