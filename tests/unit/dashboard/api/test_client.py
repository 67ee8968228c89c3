"""The client over a transport of the test's own: what is sent, and what each failure becomes."""

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

import httpx
import msgspec
import pytest

from dashboard.api import alerts, approvals, chargeback, costs, identity, limits, usage
from dashboard.api.client import Client, Query
from dashboard.api.errors import (
    NotOffered,
    NotPermitted,
    Refused,
    ServiceFailure,
    SignInNeeded,
    Unreachable,
)
from dashboard.memory import Memory
from dashboard.settings import Settings

SETTINGS = Settings("http://policy:8080", "secret-token", timeout_s=3)
Handler = Callable[[httpx.Request], httpx.Response]


def _client(handler: Handler) -> Client:
    return Client(SETTINGS, transport=httpx.MockTransport(handler))


def _answering(document: object) -> Handler:
    return lambda _: httpx.Response(200, content=msgspec.json.encode(document))


def test_money_stays_exact_and_the_token_comes_along():
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        row = {"start": None, "keys": {"team": None}, "requests": 3, "usd": "0.000000000001"}
        return httpx.Response(200, json={"rows": [row], "total": row, "next": None})

    with _client(handler) as client:
        found = costs.costs(client, [("from", "2026-11-01"), ("team", "a&b")], ("team", "model"))
    assert found.rows[0].usd == Decimal("0.000000000001")
    assert found.rows[0].keys == {"team": None}
    assert seen[0].url.params.get_list("team") == ["a&b"]
    assert seen[0].url.params["group_by"] == "team,model"
    assert seen[0].headers["authorization"] == "Bearer secret-token"


def test_all_pages_of_an_answer_are_read():
    def handler(request: httpx.Request) -> httpx.Response:
        cursor = request.url.params.get("cursor")
        rows = [{"keys": {"team": cursor or "first"}, "usd": "1"}]
        more = {None: "b", "b": "c"}.get(cursor)
        return httpx.Response(200, json={"rows": rows, "total": {"usd": "3"}, "next": more})

    with _client(handler) as client:
        found = costs.costs(client, (), ("team",))
    assert [row.keys["team"] for row in found.rows] == ["first", "b", "c"]


def test_a_service_that_never_ends_a_list_is_not_asked_for_ever():
    asked = 0

    def handler(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(200, json={"rows": [], "total": {}, "next": "again"})

    with _client(handler) as client:
        costs.costs(client, ())
    assert asked == 50


def _refusing(error: type[httpx.TransportError]) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error("secret detail", request=request)

    return handler


def _saying(status: int, message: str = "") -> Handler:
    body = {"error": {"message": message}} if message else {}
    return lambda _: httpx.Response(status, json=body)


@pytest.mark.parametrize(
    ("handler", "kind", "what", "hint"),
    [
        (_refusing(httpx.ConnectError), Unreachable, "cannot be reached", "healthz"),
        (_refusing(httpx.ReadTimeout), Unreachable, "within 3 s", "readyz"),
        (_saying(401), Unreachable, "token", "POLICY_ADMIN_TOKEN"),
        (_saying(503), Unreachable, "503", "readyz"),
        (_saying(500, "The gateway failed."), Unreachable, "500", "The gateway failed."),
        (_saying(403, "No role."), NotPermitted, "may not see", "No role."),
        (_saying(403), NotPermitted, "may not see", "administrator"),
        (_saying(404), NotOffered, "does not offer", "Update"),
        (_saying(501), NotOffered, "does not offer", "Update"),
        (_saying(404, "There is none."), NotOffered, "does not offer", "There is none."),
        (_saying(400, "Too much."), Refused, "cannot be done", "Too much."),
        (_saying(409, "Closed already."), Refused, "cannot be done", "Closed already."),
        (_saying(502, "No such host."), Refused, "failed", "No such host."),
        (_answering({"name": 3}), NotOffered, "not one this dashboard", "same version"),
        (lambda _: httpx.Response(200, text="<html>"), NotOffered, "not one this", "version"),
    ],
)
def test_every_failure_says_what_is_wrong_and_what_to_do(
    handler: Handler, kind: type[ServiceFailure], what: str, hint: str
):
    with _client(handler) as client, pytest.raises(kind) as raised:
        identity.whoami(client)
    assert what in raised.value.what
    assert hint in raised.value.hint
    for secret in ("secret-token", "secret detail"):
        assert secret not in raised.value.what + raised.value.hint


def test_problem_details_are_understood_too():
    body = {"type": "about:blank", "title": "Conflict", "status": 409, "detail": "Changed since."}
    with (
        _client(lambda _: httpx.Response(409, json=body)) as client,
        pytest.raises(Refused) as raised,
    ):
        identity.whoami(client)
    assert raised.value.hint == "Changed since."


def test_a_person_is_asked_for_with_their_own_token_and_told_when_it_is_over():
    tokens: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        tokens.append(request.headers["authorization"])
        return httpx.Response(401, json={"error": {"message": "Expired."}})

    with _client(handler) as client:
        with pytest.raises(SignInNeeded) as raised:
            identity.whoami(client.speaking_for("theirs"))
        with pytest.raises(Unreachable):
            identity.whoami(client)
    assert raised.value.hint == "Expired."
    assert tokens == ["Bearer theirs", "Bearer secret-token"]


def test_what_is_remembered_is_kept_apart_by_who_asks():
    asked_by: set[str] = set()
    remembered = Memory()

    def memory(who: str, path: str, query: Query, ask: Callable[[], bytes], old_s: float) -> bytes:
        asked_by.add(who)
        return remembered(who, path, query, ask, old_s)

    transport = httpx.MockTransport(
        lambda request: httpx.Response(
            200, json={"name": request.headers["authorization"][-3:], "proof": "x"}
        )
    )
    with Client(SETTINGS, transport=transport, memory=memory) as client:
        names = [identity.whoami(client.speaking_for(one)).name for one in ("aaa", "bbb", "aaa")]
    assert names == ["aaa", "bbb", "aaa"]
    assert len(asked_by) == 2
    assert not asked_by & {"aaa", "bbb"}


def test_a_file_has_the_name_that_the_service_gives():
    headers = {"content-disposition": 'attachment; filename="a.csv"', "content-type": "text/csv"}
    with _client(lambda _: httpx.Response(200, content=b"x", headers=headers)) as client:
        file = client.download("chargebacks/1/export")
    assert (file.name, file.media_type, file.content) == ("a.csv", "text/csv", b"x")


def test_ids_cannot_lead_elsewhere():
    paths: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return httpx.Response(404, json={})

    with _client(handler) as client:
        for ask in (lambda: approvals.shown(client, "../keys?x=1"), lambda: _withdraw(client)):
            with pytest.raises(NotOffered):
                ask()
    assert paths == [b"/admin/v1/approvals/..%2Fkeys%3Fx%3D1", b"/admin/v1/limits/raises/a%2Fb"]


def _withdraw(client: Client) -> None:
    limits.withdraw(client, "a/b")


def _keys_of_presses(*answers: httpx.Response | Exception) -> list[str]:
    """The idempotency keys of the same button, pressed once for each answer."""
    keys: list[str] = []
    waiting = iter(answers)

    def handler(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        answer = next(waiting)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with _client(handler) as client:
        for _ in answers:
            with suppress(ServiceFailure):
                alerts.test_channel(client.speaking_for("hers"), "ops")
    return keys


DONE = httpx.Response(200, json={"delivered": True})


@pytest.mark.parametrize(
    "lost",
    [
        httpx.ReadTimeout("late"),
        httpx.ReadError("gone"),
        httpx.Response(503, json={}),
        httpx.Response(409, json={}, headers={"retry-after": "1"}),
    ],
)
def test_what_got_no_answer_is_sent_again_with_the_same_key(lost: httpx.Response | Exception):
    first, second, third = _keys_of_presses(lost, DONE, DONE)
    assert first == second != third


@pytest.mark.parametrize("status", [200, 400, 409, 502])
def test_what_was_answered_is_a_new_request_when_it_is_sent_again(status: int):
    told = {"delivered": True, "error": {"message": "Why."}}
    first, second = _keys_of_presses(httpx.Response(status, json=told), DONE)
    assert first != second


def test_what_two_people_send_has_two_keys():
    keys: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        raise httpx.ReadTimeout("late")

    with _client(handler) as client:
        for token in ("hers", "his"):
            with pytest.raises(Unreachable) as lost:
                alerts.test_channel(client.speaking_for(token), "ops")
    assert keys[0] != keys[1]
    assert "it is not done twice" in lost.value.hint


def test_an_invoice_is_compared_without_a_key():
    """With one the service would keep it, and takes no more than 8 MiB."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        sums = dict.fromkeys(("invoiced_usd", "ledger_usd", "difference_usd"), "1")
        return httpx.Response(200, json={"rows": [], **sums})

    with _client(handler) as client:
        chargeback.reconcile(client, "acme", "2026-10", "openai", "x" * 9_000_000)
    assert "idempotency-key" not in seen[0].headers


def test_a_team_without_a_budget_has_none():
    row = {"department": "Risk", "team": "fraud", "budget_usd": None, "used_usd": "1.5"}
    with _client(_answering({"month": "2026-11", "rows": [row]})) as client:
        assert usage.budgets(client, "2026-11") == [
            usage.BudgetRow("Risk", "fraud", None, Decimal("1.5"))
        ]
