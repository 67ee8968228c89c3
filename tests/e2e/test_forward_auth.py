"""A gateway that asks `/v1/forward-auth` and then proxies to the relay, as Apache APISIX does."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from policy_service.api.forward_auth import SECRET_HEADER
from tests.fixtures.gateway import SECRETS, Gateway

PATH = "/v1/chat/completions"


@contextmanager
def through(gateway: Gateway, key: str, body: bytes, path: str = PATH) -> Iterator[httpx.Response]:
    """What the gateway does with a call: its two requests, with the headers that it is told of."""
    asked = {
        SECRET_HEADER: SECRETS["POLICY_INTERNAL_SECRET"],
        "authorization": f"Bearer {gateway.keys.get(key, key)}",
        "x-forwarded-proto": "http",
        "x-forwarded-method": "POST",
        "x-forwarded-host": "llm.example",
        "x-forwarded-uri": path,
        "x-forwarded-for": "127.0.0.1",
    }
    with httpx.Client(base_url=gateway.policy_url, timeout=30) as client:
        decided = client.post("/v1/forward-auth", headers=asked, content=body)
        if not decided.is_success:
            yield decided
            return
        ticket = {"x-gatehouse-ticket": decided.headers["x-gatehouse-ticket"]}
        with client.stream("POST", f"/relay{path}", headers=ticket, content=body) as answer:
            yield answer


def chat(model: str, **more: Any) -> bytes:
    messages = [{"role": "user", "content": "hello"}]
    return json.dumps({"model": model, "messages": messages, **more}).encode()


def test_a_whole_answer_and_its_row_in_the_ledger(embedded: Gateway) -> None:
    with through(embedded, "team", chat("gpt-4o-mini")) as answer:
        answer.read()
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"]
    row = embedded.row(answer.headers["x-gatehouse-decision-id"])
    assert row["team"] == "search"
    assert float(row["usd"]) > 0


@pytest.mark.parametrize(
    ("path", "body", "answered"),
    [
        ("/v1/completions", {"model": "gpt-4o-mini", "prompt": "hello"}, "choices"),
        ("/v1/responses", {"model": "gpt-4o-mini", "input": "hello"}, "output"),
        (
            "/v1/messages",
            {
                "model": "gpt-4o-mini",
                "max_tokens": 20,
                "messages": [{"role": "user", "content": "hello"}],
            },
            "content",
        ),
        ("/v1/embeddings", {"model": "openai-embeddings", "input": "hello"}, "data"),
    ],
)
def test_every_operation_goes_this_way(
    embedded: Gateway, path: str, body: dict[str, Any], answered: str
) -> None:
    with through(embedded, "team", json.dumps(body).encode(), path) as answer:
        answer.read()
    assert answer.status_code == 200, answer.text
    assert answer.json()[answered]
    row = embedded.row(answer.headers["x-gatehouse-decision-id"])
    assert path.rpartition("/")[2] in row["operation"]


def test_a_stream_arrives_whole(embedded: Gateway) -> None:
    with through(embedded, "team", chat("gpt-4o-mini", stream=True)) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    assert answer.status_code == 200
    assert lines[-1] == "data: [DONE]"
    assert len(lines) > 2


def test_a_refusal_is_what_the_client_gets(embedded: Gateway) -> None:
    with through(embedded, "gk-nobody", chat("gpt-4o-mini")) as answer:
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
    with through(embedded, "poor", chat("gpt-4o-mini")) as answer:
        assert answer.status_code == 429
        assert answer.json()["error"]["code"] == "insufficient_quota"
        assert answer.headers["x-should-retry"] == "false"


def test_a_ticket_serves_once(embedded: Gateway) -> None:
    body = chat("gpt-4o-mini")
    with through(embedded, "team", body) as answer:
        answer.read()
        ticket = answer.request.headers["x-gatehouse-ticket"]
    url = f"{embedded.policy_url}/relay{PATH}"
    again = httpx.post(url, headers={"x-gatehouse-ticket": ticket}, content=body)
    assert again.status_code == 503
