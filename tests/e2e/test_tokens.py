"""Tokens of an identity provider through the whole gateway, and groups that Kong has recognised."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import openai
import pytest
import yaml

from tests.fixtures.company import COMPANY, models
from tests.fixtures.gateway import Gateway, start_gateway
from tests.fixtures.keycloak import Keycloak
from tests.fixtures.oidc_issuer import key, part

pytestmark = pytest.mark.e2e

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


def company() -> dict[str, Any]:
    """The usual one, with an application and a group of Kong's in the team `narrow`."""
    told = copy.deepcopy(COMPANY)
    teams = {team["id"]: team for team in told["departments"][0]["teams"]}
    teams["narrow"]["applications"] = [{"id": "gatehouse-api"}]
    teams["narrow"]["groups"] = [{"source": "kong", "name": "staff"}]
    return told


def add_route_with_groups(kong: dict[str, Any]) -> None:
    """Calls with the header `x-door: staff` come by a plugin that has recognised a group."""
    service = kong["services"][0]
    route = copy.deepcopy(next(r for r in service["routes"] if r["name"] == "llm-chat-completions"))
    auth = copy.deepcopy(next(p for p in service["plugins"] if p["name"] == "llm-auth"))
    auth["config"]["use_kong_groups"] = True
    for door, groups in (("staff", ["others", "staff"]), ("others", ["others"])):
        known = {"name": "devkong-groups", "config": {"groups": groups}}
        service["routes"].append(
            {
                **copy.deepcopy(route),
                "name": f"by-groups-{door}",
                "headers": {"x-door": [door]},
                "plugins": [*copy.deepcopy(route["plugins"]), copy.deepcopy(auth), known],
            }
        )


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, keycloak: Keycloak) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("tokens")
    entry = {
        "issuer": keycloak.issuer,
        "audience": [keycloak.audience],
        "algorithms": ["RS256"],
        "allow_http": True,
        "claims": {"user": "preferred_username", "application": "client_id"},
    }
    (folder / "oidc.yaml").write_text(yaml.safe_dump({"issuers": [entry]}))
    with start_gateway(
        folder,
        company=company(),
        models=models,
        settings={"POLICY_OIDC_FILE": str(folder / "oidc.yaml")},
        adjust_kong=add_route_with_groups,
    ) as running:
        yield running


def ask(gateway: Gateway, credential: str, model: str = "gpt-4o-mini", **more: Any) -> Any:
    with openai.OpenAI(
        base_url=f"{gateway.gateway_url}/v1", api_key=credential, max_retries=0, timeout=30
    ) as client:
        return client.chat.completions.with_raw_response.create(model=model, messages=HELLO, **more)


def row_of(gateway: Gateway, answer: Any) -> dict[str, Any]:
    return gateway.row(answer.headers["x-gatehouse-decision-id"])


def raw(gateway: Gateway, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{gateway.gateway_url}/v1/chat/completions",
        json={"model": "gpt-4o-mini", "messages": HELLO},
        headers=headers,
        timeout=30,
    )


def test_alices_token_is_enough_and_her_team_pays(gateway: Gateway, keycloak: Keycloak) -> None:
    row = row_of(gateway, ask(gateway, keycloak.token("alice")))
    assert (row["team"], row["user"]) == ("search", "alice")


def test_a_service_accounts_token_is_its_application(gateway: Gateway, keycloak: Keycloak) -> None:
    token = keycloak.service_token()
    row = row_of(gateway, ask(gateway, token))
    assert (row["team"], row["application"], row["user"]) == ("narrow", "gatehouse-api", None)
    with pytest.raises(openai.PermissionDeniedError) as refused:
        ask(gateway, token, "claude-sonnet-4-5")
    assert refused.value.code == "policy_denied"


def test_bob_is_known_and_told_whom_to_ask(gateway: Gateway, keycloak: Keycloak) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        ask(gateway, keycloak.token("bob"))
    assert "Ask the platform team" in refused.value.message


def test_a_forged_token_is_401_and_reaches_nobody(gateway: Gateway, keycloak: Keycloak) -> None:
    head, body, signature = keycloak.token("alice").split(".")
    mine = f"{head}.{body}".encode()
    forged = (
        f"{part({'alg': 'none'})}.{body}.x",
        f"{head}.{part({'iss': keycloak.issuer, 'sub': 'a', 'team': 'search'})}.{signature}",
        f"{head}.{body}.{part(key().signature(mine))}",
    )
    gateway.forget_calls()
    for token in forged:
        with pytest.raises(openai.AuthenticationError) as refused:
            ask(gateway, token)
        assert refused.value.code == "invalid_api_key"
    assert gateway.calls() == []


def test_a_claim_with_a_line_break_gets_into_no_header_row_or_log(
    gateway: Gateway, keycloak: Keycloak
) -> None:
    found = keycloak.admin("GET", "/users", params={"username": "dave"})[0]
    poisoned = "search\r\nx-gatehouse-team: poisoned"
    keycloak.admin("PUT", f"/users/{found['id']}", json={**found, "attributes": {"team": poisoned}})
    try:
        token = keycloak.token("dave")
        assert jwt.decode(token, options={"verify_signature": False})["team"] == poisoned
        with pytest.raises(openai.PermissionDeniedError) as refused:
            ask(gateway, token)
        told = refused.value.response
        assert "poisoned" not in json.dumps([told.text, *told.headers.items()])
    finally:
        keycloak.admin("PUT", f"/users/{found['id']}", json={**found, "attributes": {}})
    logs = "".join(path.read_text(errors="replace") for path in gateway.logs.iterdir())
    assert "poisoned" not in logs


def test_no_token_reaches_a_provider_or_a_log(gateway: Gateway, keycloak: Keycloak) -> None:
    token = keycloak.token("alice")
    gateway.forget_calls()
    ask(gateway, token)
    signature = token.rpartition(".")[2]
    assert signature not in json.dumps(gateway.calls())
    logs = "".join(path.read_text(errors="replace") for path in gateway.logs.iterdir())
    assert signature not in logs


def test_known_tokens_go_on_while_keycloak_is_away(gateway: Gateway, keycloak: Keycloak) -> None:
    known, fresh = keycloak.token("alice"), keycloak.token("alice", client="gatehouse-cli")
    ask(gateway, known)
    with keycloak.stopped():
        ask(gateway, known)
        ask(gateway, fresh)


def test_a_group_that_kong_has_recognised_is_placed(gateway: Gateway) -> None:
    answer = raw(gateway, **{"x-door": "staff"})
    assert answer.status_code == 200, answer.text
    row = gateway.row(answer.headers["x-gatehouse-decision-id"])
    assert row["team"] == "narrow"


def test_a_group_that_nobody_has_bound_is_403(gateway: Gateway) -> None:
    answer = raw(gateway, **{"x-door": "others"})
    assert answer.status_code == 403
    assert "platform team" in answer.json()["error"]["message"]


def test_a_route_that_does_not_heed_groups_asks_for_a_key(gateway: Gateway) -> None:
    assert raw(gateway).status_code == 401
