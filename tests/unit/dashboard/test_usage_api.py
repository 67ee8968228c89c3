from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import msgspec
import pytest

from dashboard.settings import Settings
from dashboard.usage_api import (
    BudgetRow,
    HttpUsageApi,
    NotPermitted,
    SignInNeeded,
    SpendRow,
    UsageUnavailable,
)
from policy_service.ports.ledger import UsageRow

SETTINGS = Settings("http://policy:8080", "secret-token", timeout_s=3)
Handler = Callable[[httpx.Request], httpx.Response]


def _api(handler: Handler) -> HttpUsageApi:
    return HttpUsageApi(SETTINGS, transport=httpx.MockTransport(handler))


def _answering(document: object) -> Handler:
    return lambda _: httpx.Response(200, content=msgspec.json.encode(document))


def test_spend_is_asked_for_by_month_with_the_token():
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        row = {
            "department": "Risk",
            "team": "fraud",
            "model": "gpt-4o",
            "requests": 3,
            "input_tokens": 4,
            "output_tokens": 5,
            "usd": "0.000000000001",
        }
        return httpx.Response(200, json={"month": "2026-11", "rows": [row]})

    with _api(handler) as api:
        rows = api.spend("2026-11")
    assert rows == [SpendRow("Risk", "fraud", "gpt-4o", 3, 4, 5, Decimal("0.000000000001"))]
    assert str(seen[0].url) == "http://policy:8080/admin/v1/usage/spend?month=2026-11"
    assert seen[0].headers["authorization"] == "Bearer secret-token"


def test_a_team_without_a_budget_has_none():
    row = {"department": "Risk", "team": "fraud", "budget_usd": None, "used_usd": "1.5"}
    with _api(_answering({"month": "2026-11", "rows": [row]})) as api:
        assert api.budgets("2026-11") == [BudgetRow("Risk", "fraud", None, Decimal("1.5"))]


def test_the_service_s_own_rows_are_understood():
    """Would catch the service renaming a field that the dashboard reads."""
    row = UsageRow(
        decision_id="d1",
        at=datetime(2026, 11, 20, 12, tzinfo=UTC),
        organisation="acme",
        department="Risk",
        team="fraud",
        project=None,
        user=None,
        application=None,
        key_id=None,
        operation="chat.completions",
        asked_model="smart",
        routed_model="gpt-4o",
        served_model="gpt-4o-2024-11-20",
        deployment_id="openai",
        provider="openai",
        region="eu",
        transport="direct",
        is_streaming=False,
        http_status=200,
        error_class="none",
        source="provider",
        input_tokens=10,
        cached_input_tokens=None,
        cache_write_tokens=None,
        output_tokens=20,
        reasoning_tokens=None,
        usd=Decimal("0.000123"),
        price_version="v1",
        policy_revision="r1",
        total_ms=812.5,
    )
    with _api(_answering({"rows": [row]})) as api:
        (call,) = api.recent(50)
    assert (call.at, call.usd, call.total_ms) == (row.at, row.usd, 812.5)
    assert (call.asked_model, call.served_model) == ("smart", "gpt-4o-2024-11-20")


def _refusing(error: type[httpx.TransportError]) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error("secret detail", request=request)

    return handler


@pytest.mark.parametrize(
    ("handler", "what", "hint"),
    [
        (_refusing(httpx.ConnectError), "cannot be reached", "healthz"),
        (_refusing(httpx.ReadTimeout), "within 3 s", "readyz"),
        (lambda _: httpx.Response(401), "token", "POLICY_ADMIN_TOKEN"),
        (lambda _: httpx.Response(503), "503", "readyz"),
        (lambda _: httpx.Response(200, text="<html>"), "understands", "same version"),
        (lambda _: httpx.Response(200, json={"rows": [{}]}), "understands", "same version"),
    ],
)
def test_a_failure_says_what_is_wrong_and_what_to_do(handler: Handler, what: str, hint: str):
    with _api(handler) as api, pytest.raises(UsageUnavailable) as failure:
        api.spend("2026-11")
    assert what in failure.value.what
    assert hint in failure.value.hint
    assert "secret" not in failure.value.what + failure.value.hint


def test_a_person_is_spoken_for_with_their_own_token_only():
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={"month": "2026-11", "rows": []})

    with _api(handler) as api:
        alice, bob = api.speaking_for("alice-token"), api.speaking_for("bob-token")
        for one in (alice, bob, api, alice):
            one.spend("2026-11")
    assert seen == [f"Bearer {one}" for one in ("alice-token", "bob-token", "secret-token")] + [
        "Bearer alice-token"
    ]


@pytest.mark.parametrize(
    ("status", "body", "kind", "hint"),
    [
        (
            401,
            {"error": {"message": "Your sign-in has expired: sign in again."}},
            SignInNeeded,
            "exp",
        ),
        (401, {}, SignInNeeded, "sign in again"),
        (403, {"error": {"message": "None of your roles permits it."}}, NotPermitted, "None of"),
        (403, {}, NotPermitted, "role"),
    ],
)
def test_what_a_person_may_not_see_is_told_in_the_services_words(
    status: int, body: object, kind: type[UsageUnavailable], hint: str
):
    with (
        _api(lambda _: httpx.Response(status, json=body)) as api,
        pytest.raises(kind) as failure,
    ):
        api.speaking_for("alice-token").spend("2026-11")
    assert hint in failure.value.hint
