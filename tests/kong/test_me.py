"""Callers ask about themselves, with nothing but their key."""

from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from tests.fixtures.both_gateways import Start
from tests.fixtures.gateway import Gateway, eventually

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
COMPANY = {
    "id": "acme",
    "time_zone": "Europe/Berlin",
    "allowed_models": ["*"],
    "departments": [
        {
            "id": "engineering",
            "teams": [
                {
                    "id": "search",
                    "allowed_models": ["gpt-4o-mini", "mistral"],
                    "limits": {"usd_per_month": 100, "requests_per_minute": 1000},
                    "keys": [
                        {"name": "mine", "user": "sam", "limits": {"usd_per_day": 5}},
                        {"name": "colleague", "user": "kim"},
                        {"name": "embedder", "operations": ["embeddings"]},
                    ],
                }
            ],
        }
    ],
}


@pytest.fixture(scope="module")
def mine(start: Start) -> Gateway:
    return start("me", company=COMPANY)


@pytest.fixture
def gateway(mine: Gateway) -> Gateway:
    mine.take_the_kong()
    return mine


def get(gateway: Gateway, path: str, key: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {gateway.keys.get(key, key)}"}
    return httpx.get(f"{gateway.gateway_url}{path}", headers=headers, timeout=30)


def told(gateway: Gateway, path: str, key: str) -> dict[str, Any]:
    answer = get(gateway, path, key)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def requests_of(gateway: Gateway, key: str) -> Callable[[], int]:
    return lambda: int(told(gateway, "/v1/me/usage", key)["total"]["requests"])


@pytest.mark.e2e
@pytest.mark.parametrize("path", ["/v1/me", "/me"])
def test_a_key_is_told_who_it_is_and_what_is_left(gateway: Gateway, path: str) -> None:
    answer = get(gateway, path, "mine")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-gatehouse-decision-id"]
    me = answer.json()
    assert (me["organisation"], me["department"], me["team"]) == ("acme", "engineering", "search")
    assert (me["user"], me["key"]["name"]) == ("sam", "mine")
    assert me["models"] == ["gpt-4o-mini", "mistral"]
    assert me["time_zone"] == "Europe/Berlin"
    assert {(one["node"].split(":")[0], one["measure"]) for one in me["limits"]} == {
        ("team", "usd_per_month"),
        ("team", "requests_per_minute"),
        ("key", "usd_per_day"),
    }
    # Nothing in it lets anybody call.
    assert gateway.keys["mine"] not in answer.text


@pytest.mark.e2e
def test_a_caller_sees_what_it_used_and_not_what_colleagues_did(gateway: Gateway) -> None:
    before = told(gateway, "/v1/me/usage", "colleague")["total"]
    for _ in range(2):
        gateway.client("mine").chat.completions.create(
            model="gpt-4o-mini", messages=HELLO, max_tokens=5
        )
    with pytest.raises(openai.PermissionDeniedError):
        gateway.client("mine").chat.completions.create(model="gemini", messages=HELLO)
    eventually(lambda: requests_of(gateway, "mine")() == 2)
    usage = told(gateway, "/v1/me/usage", "mine")
    assert [one["model"] for one in usage["by_model"]] == ["gpt-4o-mini"]
    assert usage["by_model"][0]["used"] == usage["total"]
    assert usage["total"]["output_tokens"] > 0
    assert len(usage["by_day"]) == 30
    assert sum(one["used"]["requests"] for one in usage["by_day"]) == 2
    assert told(gateway, "/v1/me/usage", "colleague")["total"] == before
    # The team's budget, which binds both, is the one thing that both see.
    [budget] = [
        one
        for one in told(gateway, "/v1/me", "colleague")["limits"]
        if one["measure"] == "usd_per_month"
    ]
    assert budget["used"] == usage["total"]["usd"]


@pytest.mark.e2e
def test_asking_about_oneself_costs_nothing_and_leaves_no_row(gateway: Gateway) -> None:
    rows = len(gateway.rows())
    before = told(gateway, "/v1/me", "colleague")["limits"]
    for path in ("/v1/me", "/v1/me/usage", "/v1/models"):
        told(gateway, path, "colleague")
    after = told(gateway, "/v1/me", "colleague")["limits"]
    assert [one["used"] for one in after] == [one["used"] for one in before]
    assert len(gateway.rows()) == rows


@pytest.mark.e2e
def test_a_key_for_some_operations_may_ask_about_itself_and_do_nothing_else(
    gateway: Gateway,
) -> None:
    me = told(gateway, "/v1/me", "embedder")
    assert me["operations"] == ["embeddings"]
    with pytest.raises(openai.PermissionDeniedError) as refused:
        gateway.client("embedder").chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    body = refused.value.body
    assert isinstance(body, dict)
    assert body["reasons"][0]["code"] == "key_scope"
    with pytest.raises(openai.PermissionDeniedError):
        gateway.client("embedder").models.list()


@pytest.mark.e2e
@pytest.mark.parametrize("path", ["/v1/me", "/v1/me/usage"])
def test_nobody_is_told_without_a_key(gateway: Gateway, path: str) -> None:
    assert httpx.get(f"{gateway.gateway_url}{path}").status_code == 401
    assert get(gateway, path, "gk-nobody-has-this-key").status_code == 401
