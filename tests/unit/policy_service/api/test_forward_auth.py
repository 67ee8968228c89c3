"""The contract of a gateway that asks before it proxies: ticket in a header, or the refusal."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from policy_service.api.forward_auth import SECRET_HEADER
from tests.fakes.running_service import INTERNAL, Api
from tests.fakes.samples import chat_body

pytestmark = pytest.mark.asyncio(loop_scope="module")

FROM_GATEWAY = {
    SECRET_HEADER: INTERNAL["authorization"].removeprefix("Bearer "),
    "x-forwarded-proto": "https",
    "x-forwarded-method": "POST",
    "x-forwarded-host": "llm.example",
    "x-forwarded-uri": "/v1/chat/completions?x=1",
    "x-forwarded-for": "192.0.2.7",
}


async def ask(api: Api, body: bytes | None = None, **changed: str | None) -> httpx.Response:
    known = {**FROM_GATEWAY, "authorization": f"Bearer {api.key}"}
    headers = {**known, **{name.replace("_", "-"): v for name, v in changed.items()}}
    sent = {name: value.encode() for name, value in headers.items() if value is not None}
    content = chat_body() if body is None else body
    return await api.client.post("/v1/forward-auth", headers=sent, content=content)


async def test_an_allowed_call_gets_a_ticket_and_no_body(api: Api) -> None:
    answer = await ask(api)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-gatehouse-ticket"].startswith("gt1.")
    assert answer.content == b""


async def test_the_ticket_is_for_that_body_alone(api: Api) -> None:
    ticket = (await ask(api)).headers["x-gatehouse-ticket"]
    other = chat_body(messages=[{"role": "user", "content": "something else"}])
    path, headers = "/relay/v1/chat/completions", {"x-gatehouse-ticket": ticket}
    refused = await api.client.post(path, headers=headers, content=other)
    assert not refused.is_success
    assert "error" in refused.json()


async def test_only_a_gateway_may_ask(api: Api) -> None:
    for secret in (None, "", "wrong-0123456789abcdef"):
        refused = await ask(api, **{SECRET_HEADER: secret})
        assert refused.status_code == 401
        assert "x-gatehouse-ticket" not in refused.headers


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"authorization": None}, 401, "invalid_api_key"),
        ({"authorization": "Bearer gk-nobody"}, 401, "invalid_api_key"),
        ({"authorization": "Bearer gk-ä"}, 401, "invalid_api_key"),
        ({"x_forwarded_uri": "/v1/models", "x_forwarded_method": "GET"}, 400, None),
        ({"x_forwarded_uri": "/elsewhere"}, 400, None),
        ({"x_forwarded_method": None}, 400, None),
        ({"x_gatehouse_priority": "whenever"}, 400, None),
    ],
)
async def test_what_cannot_be_allowed_is_refused_in_openais_shape(
    api: Api, changed: dict[str, Any], status: int, code: str | None
) -> None:
    refused = await ask(api, **changed)
    assert refused.status_code == status
    error = refused.json()["error"]
    assert error["message"]
    assert code is None or error["code"] == code
    assert "x-gatehouse-ticket" not in refused.headers


async def test_policys_refusal_is_handed_on(api: Api) -> None:
    refused = await ask(api, chat_body(model="a-model-that-nobody-has"))
    assert refused.status_code in (403, 404)
    assert refused.json()["error"]["code"]


async def test_a_body_that_is_no_request_is_refused(api: Api) -> None:
    for body in (b"", b"{", b"[]", json.dumps({"model": 1}).encode()):
        assert (await ask(api, body)).status_code == 400


async def test_a_body_that_is_too_long_is_refused(api: Api) -> None:
    longest = api.opened.settings.max_body_bytes
    assert (await ask(api, b"x" * (longest + 1))).status_code == 413


async def test_a_key_for_some_networks_is_for_the_gateways_client(api: Api) -> None:
    """The address is what the gateway says; one that the client adds makes it none."""
    caller = await api.caller()
    kept = api.opened.callers

    class Bound:
        async def by_key(self, key: str) -> Any:
            found: Any = await kept.by_key(key)
            bound = replace(found.caller, networks=("192.0.2.0/24",))
            return replace(found, caller=bound)

    object.__setattr__(api.opened, "callers", Bound())
    try:
        assert (await ask(api)).status_code == 200
        assert (await ask(api, x_forwarded_for="198.51.100.1")).status_code == 403
        assert (await ask(api, x_forwarded_for="198.51.100.1, 192.0.2.7")).status_code == 403
        assert (await ask(api, x_forwarded_for=None)).status_code == 403
    finally:
        object.__setattr__(api.opened, "callers", kept)
    assert caller["networks"] == []


async def test_an_address_that_tries_too_many_keys_is_told_to_wait(api: Api) -> None:
    address = {"x-forwarded-for": "192.0.2.99"}
    seen = [
        await ask(api, authorization=f"Bearer guessed-{number}", **address) for number in range(40)
    ]
    assert [answer.status_code for answer in seen] == [401] * 30 + [429] * 10
    assert seen[-1].headers["retry-after"] == "60"
    assert (await ask(api)).status_code == 200
