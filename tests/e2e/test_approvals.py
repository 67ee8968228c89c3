"""A model that needs an approval, from the denial to the revocation, with the official SDK."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest

from tests.fixtures.company import models
from tests.fixtures.gateway import SECRETS, Gateway, eventually, start_gateway
from tests.fixtures.opa_server import start_opa
from tests.fixtures.policy_folder import requiring_approval
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.redis_server import start_redis

pytestmark = pytest.mark.e2e

MODEL = "claude-sonnet-4-5"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
GIVE_UP_S = 10.0
"""A second is what it takes where nothing else runs: see `test_approval_caps`."""
COMPANY = {
    "id": "acme",
    "allowed_models": ["*"],
    "users": [{"id": "sam", "team": "search"}, {"id": "ann", "team": "search"}],
    "departments": [
        {
            "id": "engineering",
            "teams": [
                {
                    "id": "search",
                    "keys": [{"name": "sam", "user": "sam"}, {"name": "kim", "user": "kim"}],
                },
                {"id": "other", "keys": [{"name": "other"}]},
            ],
        }
    ],
}


@pytest.fixture(scope="module", params=["embedded", "full"])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """SQLite and the embedded engine; and PostgreSQL, Redis and OPA."""
    folder = tmp_path_factory.mktemp("approvals")
    rego = requiring_approval(folder, [MODEL])
    settings = {"POLICY_REGO_DIR": str(rego)}
    with ExitStack() as stack:
        if request.param == "full":
            postgres = stack.enter_context(start_postgres())
            settings |= {
                "POLICY_DATABASE_URL": postgres.create_database(),
                "POLICY_REDIS_URL": stack.enter_context(start_redis()).url,
                "POLICY_OPA_URL": stack.enter_context(start_opa(rego)).url,
            }
        yield stack.enter_context(
            start_gateway(folder / "run", company=COMPANY, models=models, settings=settings)
        )


def ask(gateway: Gateway, key: str = "sam", max_tokens: int = 5) -> Any:
    return gateway.client(key).chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=max_tokens
    )


def denied(gateway: Gateway, key: str = "sam") -> dict[str, Any]:
    """The reason of a denial."""
    with pytest.raises(openai.PermissionDeniedError) as refused:
        ask(gateway, key)
    body = refused.value.body
    assert isinstance(body, dict)
    [reason] = body["reasons"]
    assert reason["code"] == "approval_required"
    found: dict[str, Any] = reason
    return found


def soon(works: Callable[[], object]) -> None:
    """Until it does, and no longer."""
    until_s = time.monotonic() + GIVE_UP_S
    while True:
        try:
            works()
        except openai.APIStatusError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.02)
        else:
            return


def denied_soon(gateway: Gateway, key: str = "sam") -> None:
    until_s = time.monotonic() + GIVE_UP_S
    while True:
        try:
            ask(gateway, key)
        except openai.PermissionDeniedError:
            return
        except openai.RateLimitError:
            pass
        assert time.monotonic() < until_s, "still served after the revocation"


def at_gateway(gateway: Gateway, method: str, key: str, body: object = None) -> httpx.Response:
    return httpx.request(
        method,
        f"{gateway.gateway_url}/v1/approvals",
        headers={"authorization": f"Bearer {gateway.keys.get(key, key)}"},
        json=body,
        timeout=30,
    )


def admin(gateway: Gateway, path: str, body: object) -> httpx.Response:
    return httpx.post(
        f"{gateway.policy_url}/admin/v1/approvals{path}",
        headers={"authorization": f"Bearer {SECRETS['POLICY_ADMIN_TOKEN']}"},
        json=body,
        timeout=30,
    )


def gatehouse(
    gateway: Gateway, *words: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    settings = {
        **gateway.specs["policy"].environment,
        "GATEHOUSE_API_KEY": gateway.keys["sam"],
        "GATEHOUSE_GATEWAY": f"{gateway.gateway_url}/v1",
        **environment,
    }
    return subprocess.run(
        [sys.executable, "-m", "policy_service", "approvals", *words],
        env={**os.environ, **settings},  # noqa: TID251 - another process's environment
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def actions(gateway: Gateway, approval_id: str) -> list[str]:
    rows = gateway.admin("/audit", subject=f"approval:{approval_id}")["rows"]
    return [row["action"] for row in reversed(rows)]


def test_from_the_denial_to_the_revocation(gateway: Gateway) -> None:
    how = denied(gateway)
    assert MODEL in how["message"]
    assert f"gatehouse approvals request --model {MODEL}" in how["solution"]

    wanted = {"model": MODEL, "reason": "the launch", "amount_usd": "50"}
    asked = at_gateway(gateway, "POST", "sam", wanted)
    assert asked.status_code == 200, asked.text
    request = asked.json()
    assert (request["state"], request["for"], request["is_new"]) == ("requested", "user:sam", True)
    again = at_gateway(gateway, "POST", "sam", wanted).json()
    assert (again["id"], again["is_new"]) == (request["id"], False)
    eventually(lambda: request["id"] in denied(gateway)["solution"])

    own = gatehouse(gateway, "grant", request["id"], LOGNAME="sam")
    assert (own.returncode, "Whoever asked" in own.stderr) == (1, True)
    denied(gateway)
    granted = admin(gateway, f"/{request['id']}/grant", {"amount_usd": "0.01", "reason": "try it"})
    assert granted.status_code == 200, granted.text
    assert granted.json()["granted_usd"] == "0.01"
    soon(lambda: ask(gateway))
    with gateway.client("sam").chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=5, stream=True
    ) as stream:
        assert list(stream)
    denied(gateway, "kim")
    denied(gateway, "other")

    with pytest.raises(openai.PermissionDeniedError) as too_small:
        ask(gateway, max_tokens=4000)  # alone more than the amount
    [too_much] = too_small.value.body["reasons"]
    assert too_much["code"] == "approval_too_small"
    assert f"than the $0.01 that your approval {request['id']} covers" in too_much["message"]
    with pytest.raises(openai.RateLimitError) as used_up:
        ask(gateway, max_tokens=655)  # less than the amount, and more than is left of it
    assert used_up.value.code == "insufficient_quota"
    assert request["id"] in str(used_up.value)
    assert "gatehouse approvals request" in str(used_up.value)

    def relied() -> list[dict[str, Any]]:
        return [row for row in gateway.rows() if row["approval_id"] == request["id"]]

    eventually(lambda: {row["is_streaming"] for row in relied()} == {False, True})
    rows = relied()
    assert sum(Decimal(row["usd"]) for row in rows) <= Decimal("0.01")

    assert admin(gateway, f"/{request['id']}/grant", {}).status_code == 409
    revoked = admin(gateway, f"/{request['id']}/revoke", {"reason": "enough"})
    assert revoked.json()["state"] == "revoked"
    denied_soon(gateway)
    assert actions(gateway, request["id"]) == [
        "approval.request",
        "approval.grant",
        "approval.cut",
        "approval.revoke",
    ]
    [mine] = [
        one
        for one in at_gateway(gateway, "GET", "sam").json()["data"]
        if one["id"] == request["id"]
    ]
    assert (mine["state"], mine["decision_reason"]) == ("revoked", "try it")
    assert at_gateway(gateway, "GET", "other").json()["data"] == []


def test_the_command_line_asks_with_a_key_and_decides_at_the_database(gateway: Gateway) -> None:
    asked = gatehouse(
        gateway, "request", "--model", MODEL, "--reason", "a try", "--until", "2d", "--for",
        "team:search",
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    approval_id = asked.stdout.split(":")[0]
    assert approval_id in gatehouse(gateway, "mine").stdout
    assert approval_id in gatehouse(gateway, "list", "--state", "requested").stdout
    granted = gatehouse(gateway, "grant", approval_id)
    assert granted.returncode == 0, granted.stderr
    soon(lambda: ask(gateway, "kim"))
    twice = gatehouse(gateway, "refuse", approval_id, "--reason", "no")
    assert (twice.returncode, "granted already" in twice.stderr) == (1, True)
    assert "a try" in gatehouse(gateway, "show", approval_id).stdout
    assert gatehouse(gateway, "revoke", approval_id, "--reason", "over").returncode == 0
    denied_soon(gateway, "kim")


def test_an_administrator_does_not_grant_what_they_asked_for(gateway: Gateway) -> None:
    wanted = {"model": MODEL, "reason": "for all of us", "for": "team:other"}
    asked = admin(gateway, "", wanted)
    assert asked.status_code == 201, asked.text
    refused = admin(gateway, f"/{asked.json()['id']}/grant", {})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
    withdrawn = admin(gateway, f"/{asked.json()['id']}/withdraw", {})
    assert withdrawn.json()["state"] == "withdrawn"
    assert actions(gateway, asked.json()["id"]) == ["approval.request", "approval.withdraw"]


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"model": MODEL}, "malformed_request", None),
        ({"model": MODEL, "reason": " "}, "malformed_request", "reason"),
        ({"model": MODEL, "reason": "x", "amount": 5}, "malformed_request", None),
        ({"model": MODEL, "reason": "x", "amount_usd": "-1"}, "malformed_request", "amount_usd"),
        (
            {"model": MODEL, "reason": "x", "amount_usd": 5, "until": "2126-01-01T00:00:00Z"},
            "malformed_request",
            "until",
        ),
        ({"model": MODEL, "reason": "x", "for": "user:kim"}, "malformed_request", "for"),
        ({"model": "nothing", "reason": "x"}, "model_not_found", "model"),
        ({"model": MODEL, "reason": "x" * 17_000}, "request_too_large", None),
    ],
)
def test_a_request_that_makes_no_sense_is_told_why(
    gateway: Gateway, body: object, code: str, param: str | None
) -> None:
    error = at_gateway(gateway, "POST", "sam", body).json()["error"]
    assert (error["code"], error["param"]) == (code, param), error["message"]


def test_nobody_asks_without_a_key(gateway: Gateway) -> None:
    assert at_gateway(gateway, "POST", "gk-nobody", {}).status_code == 401
