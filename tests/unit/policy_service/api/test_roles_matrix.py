"""Every role at every operation of the admin API, on its own team, a sibling department's and
another company's.

What is expected is worked out from `api.permissions.OPERATIONS` and `ROLES`; what the handlers do
is seen by asking them. A request is made so that whoever is let past the gate changes nothing: it
is at fault in a way that is looked at behind the gate. What is told is in `test_what_roles_see`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import pytest_asyncio

from llm_core.policy.roles import PLATFORM, Actor, Grant, Role, granted_on, may
from policy_service.api.permissions import OPERATIONS, Asked, Where
from policy_service.services.administrators import Administrators
from policy_service.services.report_sender import ReportSender
from tests.fakes.running_service import Api
from tests.fixtures.admin_routes import operations
from tests.fixtures.owners import BOTH, CLOSED, OURS, OWNERS, SIBLING, THEIRS, Owner, fill

pytestmark = pytest.mark.asyncio(loop_scope="module")

STALE = {"if-match": '"0123456789abcdef0123456789abcdef"'}
"""Nothing is in that state: who is let past the gate gets 412."""


TARGETED = {Where.NODE, Where.HIDDEN, Where.ABOVE, Where.ORGANISATION, Where.WITHIN}
"""Where something of one company is asked about; elsewhere one request tells all."""
Request = Callable[[Owner], dict[str, Any]]

LIMIT = {"measure": "usd_per_day"}
MONTH = {"params": {"month": "2026-11"}}


def month_of(company: Owner) -> dict[str, str]:
    return {"organisation": company.organisation, "period": CLOSED}


REQUESTS: Mapping[tuple[str, str], Request] = {
    ("POST", "/admin/v1/admin-tokens"): lambda c: {
        "json": {"name": "", "grants": [{"role": "member", "node": c.node}]}
    },
    ("DELETE", "/admin/v1/admin-tokens/{token_id}"): lambda _: {},
    ("POST", "/admin/v1/approvals"): lambda c: {
        "json": {"model": "mini", "reason": "", "for": c.node}
    },
    ("GET", "/admin/v1/approvals/{approval_id}"): lambda _: {},
    ("POST", "/admin/v1/approvals/{approval_id}/grant"): lambda _: {
        "json": {"until": "2020-01-01T00:00:00Z"}
    },
    ("POST", "/admin/v1/approvals/{approval_id}/refuse"): lambda _: {"json": {}},
    ("POST", "/admin/v1/approvals/{approval_id}/revoke"): lambda _: {"json": {"reason": "x"}},
    ("POST", "/admin/v1/approvals/{approval_id}/withdraw"): lambda _: {},
    ("GET", "/admin/v1/budgets"): lambda _: MONTH,
    ("POST", "/admin/v1/chargebacks"): lambda c: {
        "json": {"organisation": c.organisation, "period": CLOSED}
    },
    ("GET", "/admin/v1/chargebacks/preview"): lambda c: {"params": month_of(c)},
    ("GET", "/admin/v1/chargebacks/preview/export"): lambda c: {"params": month_of(c)},
    ("POST", "/admin/v1/chargebacks/reconcile"): lambda c: {
        "json": {**month_of(c), "provider": "openai", "invoice_csv": ""}
    },
    ("GET", "/admin/v1/chargebacks/rules"): lambda c: {"params": {"organisation": c.organisation}},
    ("PUT", "/admin/v1/chargebacks/rules"): lambda c: {
        "params": {"organisation": c.organisation},
        "json": {"organisation": c.organisation, "shared": [{"name": ""}]},
    },
    ("GET", "/admin/v1/costs"): lambda _: {"params": {"from": "2026-11-01"}},
    ("GET", "/admin/v1/content/{decision_id}"): lambda _: {"params": {"reason": "x" * 30}},
    ("POST", "/admin/v1/keys"): lambda c: {"json": {"name": "", "team": c.team}},
    ("GET", "/admin/v1/keys/{key_id}"): lambda _: {},
    ("DELETE", "/admin/v1/keys/{key_id}"): lambda _: {},
    ("POST", "/admin/v1/keys/{key_id}/rotate"): lambda _: {"json": {"overlap_s": -1}},
    ("PUT", "/admin/v1/limits"): lambda c: {"json": {"node": c.node, "amount": "-1", **LIMIT}},
    ("DELETE", "/admin/v1/limits"): lambda c: {"params": {"node": c.node, **LIMIT}},
    ("POST", "/admin/v1/limits/raises"): lambda c: {
        "json": {
            "node": c.node,
            "amount": "1",
            "until": "2020-01-01T00:00:00Z",
            "reason": "x",
            **LIMIT,
        }
    },
    ("DELETE", "/admin/v1/limits/raises/{raise_id}"): lambda _: {},
    ("GET", "/admin/v1/organisation/company"): lambda c: {
        "params": {"organisation": c.organisation}
    },
    ("PUT", "/admin/v1/organisation/company"): lambda c: {
        "json": {"id": c.organisation, "departments": 5}
    },
    ("GET", "/admin/v1/organisation/parts/{subject:path}"): lambda _: {},
    ("PUT", "/admin/v1/organisation/parts/{subject:path}"): lambda c: {
        "json": {"department": c.department},
        "headers": STALE,
    },
    ("DELETE", "/admin/v1/organisation/parts/{subject:path}"): lambda _: {"headers": STALE},
    ("POST", "/admin/v1/policies"): lambda _: {"content": b"no tarball"},
    ("POST", "/admin/v1/policies/activate"): lambda _: {"json": {"reason": "x", "bundle": "none"}},
    ("POST", "/admin/v1/policies/rollback"): lambda _: {"json": {"reason": ""}},
    ("PUT", "/admin/v1/policies/shadow"): lambda _: {"json": {"bundle": "none"}},
    ("GET", "/admin/v1/policies/{bundle}"): lambda _: {},
    ("POST", "/admin/v1/privacy/erasures"): lambda c: {
        "json": {"user": c.values["user"], "reason": "request 1", "dry_run": True}
    },
    ("GET", "/admin/v1/reports/preview"): lambda c: {"params": {"node": c.node}},
    ("PUT", "/admin/v1/reports/schedules/{schedule_id}"): lambda c: {
        "json": {"node": c.node, "kind": "summary", "cadence": "weekly", "to": []}
    },
    ("DELETE", "/admin/v1/reports/schedules/{schedule_id}"): lambda _: {"headers": STALE},
    ("PUT", "/admin/v1/roles"): lambda c: {
        "json": {"role": "member", "node": c.node, "subject": "nobody"}
    },
    ("GET", "/admin/v1/roles"): lambda _: {"params": {"subject": BOTH}},
    ("DELETE", "/admin/v1/roles"): lambda c: {
        "params": {"role": "member", "node": c.node, "subject": "user:nobody"}
    },
    ("GET", "/admin/v1/usage/spend"): lambda _: MONTH,
}
"""What is sent, where the path alone does not say it. A new operation needs a line here when it
has a body, a parameter that must be there, or a part of its path to fill in."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(api: Api) -> Api:
    """All of them with a thing of every kind."""
    await fill(api.opened)
    await api.opened.auditing.chain.append([])
    return api


ACTORS = [
    *((role, node) for role in Role for node in (OURS.path[0], OURS.path[2])),
    (Role.DEPT_MANAGER, OURS.path[1]),
    (Role.TEAM_OWNER, OURS.path[1]),
    *((role, PLATFORM) for role in Role),
]


@pytest.mark.parametrize(("role", "node"), ACTORS)
async def test_every_role_gets_what_the_table_says(
    site: Api, role: Role, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor("user:somebody", "oidc", (Grant(role, node),))

    async def signed_in(_: Administrators, _token: str) -> Actor:
        return actor

    async def not_sent(*_: object) -> tuple[()]:
        return ()

    monkeypatch.setattr(Administrators, "actor_of", signed_in)
    monkeypatch.setattr(ReportSender, "send_now", not_sent)
    faults = []
    for operation, asked in OPERATIONS.items():
        for company in (OURS, SIBLING, THEIRS) if asked.where in TARGETED else (OURS,):
            faults += await _faults(site, actor, operation, asked, company)
    assert not faults, "\n".join(faults)


async def _faults(
    site: Api, actor: Actor, operation: tuple[str, str], asked: Asked, company: Owner
) -> list[str]:
    method, path = operation
    for name, value in company.ids.items():
        path = path.replace(name, value)
    made = REQUESTS.get(operation, lambda _: {})(company)
    headers = {"authorization": "Bearer tested-otherwise", **made.get("headers", {})}
    answer = await site.client.request(method, path, **{**made, "headers": headers})
    expected = is_permitted(actor, asked, company)
    refused = {403, 404} if asked.where is Where.HIDDEN else {403}
    told = f"{actor.grants} {method} {path}: {answer.status_code} {answer.text[:160]}"
    if answer.status_code >= 500 or answer.status_code in {401, 405, 422}:
        return [f"no answer to a role: {told}"]
    if (answer.status_code not in refused) is not expected and not (
        # What somebody does not see need not be told apart from what is not there.
        not expected and answer.status_code == 404
    ):
        return [f"{'let past' if not expected else 'refused'}, against the table: {told}"]
    return []


def is_permitted(actor: Actor, asked: Asked, company: Owner) -> bool:  # noqa: C901, PLR0911 - a table
    """Whether the table and the roles let somebody do something to a company's thing."""
    grants, permission = actor.grants, asked.permission
    if permission is None:
        return asked.where is not Where.HIDDEN
    match asked.where:
        case Where.NOWHERE:
            return True
        case Where.ANYWHERE | Where.ROWS:
            return bool(granted_on(grants, permission))
        case Where.NODE | Where.HIDDEN:
            return may(grants, permission, company.path)
        case Where.ABOVE:
            return may(grants, permission, company.path[1:])
        case Where.ORGANISATION:
            return may(grants, permission, company.path[2:])
        case Where.WITHIN:
            theirs = [one for one in OWNERS if one.organisation == company.organisation]
            parts = {PLATFORM, *(node for one in theirs for node in one.path)}
            return any(node in parts for node in granted_on(grants, permission))
        case Where.ORGANISATIONS:
            tops = (OURS.path[2:], THEIRS.path[2:])
            return any(may(grants, permission, top) for top in tops)
        case Where.EVERY_ORGANISATION:
            return all(may(grants, permission, one.path[2:]) for one in (OURS, THEIRS))
        case Where.PLATFORM:
            return may(grants, permission, ())


async def test_every_operation_has_its_line_in_the_table(site: Api) -> None:
    there = set(operations(site.app))
    missing = sorted(there - set(OPERATIONS))
    assert not missing, (
        f"{missing}: say in policy_service/api/permissions.py what these ask for, and on which node"
    )
    assert not sorted(set(OPERATIONS) - there), "the table names operations that are not there"


async def test_every_request_of_this_test_is_of_an_operation(site: Api) -> None:
    assert set(REQUESTS) <= set(OPERATIONS)
    filled = {name for _, path in OPERATIONS for name in _parts(path)}
    assert filled <= set(OURS.ids), (
        f"{filled - set(OURS.ids)}: make a thing of that kind in `tests/fixtures/owners.py`, and "
        "give its id there"
    )


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part.startswith("{")]


async def test_nobody_gets_anywhere_without_a_proof(site: Api) -> None:
    for method, path in OPERATIONS:
        for name, value in OURS.ids.items():
            path = path.replace(name, value)  # noqa: PLW2901 - filled in step by step
        made = REQUESTS.get((method, path), lambda _: {})(OURS)
        for headers in ({}, {"authorization": "Bearer ga-nonsense"}):
            answer = await site.client.request(method, path, **{**made, "headers": headers})
            assert answer.status_code in {400, 401}, (method, path)
            assert answer.status_code == 401 or "query" not in answer.text
