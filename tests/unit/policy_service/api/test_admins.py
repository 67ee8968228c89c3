"""Who gets how far in the admin API, with admin tokens for every role."""

from typing import Any

import pytest

from llm_core.errors import PermissionDenied
from llm_core.policy.roles import PLATFORM, SEPARATED, Actor, Grant, Permission, Role
from policy_service.api.admins import nodes_for, require, require_grantable
from policy_service.services.administrators import ROOT
from tests.fakes.running_service import ADMIN, Api

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEAM = ("team:search", "department:engineering", "organisation:acme")
READS = ["/admin/v1/usage/spend", "/admin/v1/usage/recent", "/admin/v1/budgets"]


async def token_of(api: Api, name: str, *grants: Grant) -> dict[str, str]:
    """The headers of a new admin token."""
    issued = await api.opened.admin_tokens.issue(ROOT, name, grants, None)
    return {"authorization": f"Bearer {issued.text}"}


async def seen(api: Api, path: str, headers: dict[str, str]) -> Any:
    return await api.client.get(path, headers=headers, params={"month": "2026-11"})


async def test_whoami_tells_name_proof_and_what_is_permitted(api: Api) -> None:
    told = (await api.get("/admin/v1/whoami")).json()
    assert (told["name"], told["proof"]) == ("root_token", "root_token")
    [grant] = told["grants"]
    assert (grant["role"], grant["node"]) == ("platform_admin", PLATFORM)
    assert grant["permissions"] == sorted(set(Permission) - SEPARATED)


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_reads_the_usage_of_its_node(api: Api, role: Role) -> None:
    headers = await token_of(api, f"own-{role}", Grant(role, "team:search"))
    for path in READS:
        assert (await seen(api, path, headers)).status_code == 200
    [budget] = (await seen(api, "/admin/v1/budgets", headers)).json()["rows"]
    assert budget["team"] == "search"


@pytest.mark.parametrize("role", list(Role))
async def test_no_role_reads_the_usage_of_another_node(api: Api, role: Role) -> None:
    headers = await token_of(api, f"beside-{role}", Grant(role, "team:other"))
    assert (await seen(api, "/admin/v1/budgets", headers)).json()["rows"] == []


async def test_who_holds_nothing_is_told_who_they_are_all_the_same(api: Api) -> None:
    headers = await token_of(api, "nowhere", Grant(Role.MEMBER, "team:gone"))
    assert (await seen(api, "/admin/v1/whoami", headers)).json()["name"] == "admin_token:nowhere"


async def test_how_providers_fare_is_for_the_platform(api: Api) -> None:
    for number, (node, status) in enumerate(((PLATFORM, 200), ("organisation:acme", 403))):
        headers = await token_of(api, f"providers-{number}", Grant(Role.AUDITOR, node))
        answer = await api.client.get("/v1/providers/health", headers=headers)
        assert answer.status_code == status
    assert answer.json()["error"]["code"] == "permission_denied"
    assert "`usage.read` on `platform:*`" in answer.json()["error"]["message"]


async def test_a_revoked_token_is_refused_at_once(api: Api) -> None:
    made = await api.opened.admin_tokens.issue(
        ROOT, "short", (Grant(Role.AUDITOR, PLATFORM),), None
    )
    headers = {"authorization": f"Bearer {made.text}"}
    assert (await seen(api, READS[1], headers)).status_code == 200
    await api.opened.admin_tokens.revoke(ROOT, made.record.id)
    refused = await seen(api, READS[1], headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    assert made.text not in refused.text


# --- require


@pytest.mark.parametrize("permission", list(Permission))
@pytest.mark.parametrize("role", list(Role))
async def test_require_heeds_the_table(role: Role, permission: Permission) -> None:
    actor = Actor("user:alice", "oidc", (Grant(role, "team:search"),))
    permitted = (
        role in (Role.PLATFORM_ADMIN, Role.ORG_ADMIN) and permission not in SEPARATED
    ) or permission in {
        Role.DEPT_MANAGER: "usage.read organisation.read organisation.write limits.write "
        "limits.raise keys.read keys.write approvals.ask reports.read reports.write",
        Role.TEAM_OWNER: "usage.read organisation.read limits.raise keys.read keys.write "
        "approvals.ask",
        Role.APPROVER: "usage.read organisation.read keys.read approvals.ask approvals.decide",
        Role.AUDITOR: "usage.read organisation.read keys.read audit.read content.read policy.read "
        "admin_tokens.read reports.read",
        Role.FINANCE: "usage.read organisation.read chargeback.close reports.read reports.write",
        Role.MEMBER: "usage.read",
    }.get(role, "").split()
    if permitted:
        require(actor, permission, TEAM)
    else:
        with pytest.raises(PermissionDenied, match=f"`{permission}` on `team:search`"):
            require(actor, permission, TEAM)
    for path in (TEAM[1:], TEAM[2:], (), ("team:ads", *TEAM[1:])):
        with pytest.raises(PermissionDenied):
            require(actor, permission, path)


async def test_nobody_gives_more_than_they_hold_there() -> None:
    admin = Actor("user:ada", "oidc", (Grant(Role.ORG_ADMIN, "organisation:acme"),))
    for role in Role:
        require_grantable(admin, Permission.ROLES_GRANT, Grant(role, TEAM[0]), TEAM)
        with pytest.raises(PermissionDenied):
            require_grantable(admin, Permission.ROLES_GRANT, Grant(role, PLATFORM), ())
        other = ("organisation:other",)
        with pytest.raises(PermissionDenied):
            require_grantable(admin, Permission.ROLES_GRANT, Grant(role, other[0]), other)


@pytest.mark.parametrize(
    "role", [one for one in Role if one not in ("platform_admin", "org_admin")]
)
async def test_who_may_not_grant_cannot_raise_themselves(role: Role) -> None:
    actor = Actor("user:alice", "oidc", (Grant(role, TEAM[0]),))
    for wanted in Role:
        for permission in (Permission.ROLES_GRANT, Permission.ADMIN_TOKENS_WRITE):
            with pytest.raises(PermissionDenied):
                require_grantable(actor, permission, Grant(wanted, TEAM[0]), TEAM)


async def test_a_role_that_goes_beyond_is_refused_by_name() -> None:
    mixed = Actor(
        "user:mia",
        "oidc",
        (Grant(Role.ORG_ADMIN, TEAM[0]), Grant(Role.DEPT_MANAGER, TEAM[1])),
    )
    require_grantable(mixed, Permission.ROLES_GRANT, Grant(Role.AUDITOR, TEAM[0]), TEAM)
    with pytest.raises(PermissionDenied):
        require_grantable(mixed, Permission.ROLES_GRANT, Grant(Role.AUDITOR, TEAM[1]), TEAM[1:])


async def test_nodes_for_names_them_all_or_everywhere_or_refuses() -> None:
    held = (Grant(Role.MEMBER, "team:a"), Grant(Role.AUDITOR, "team:b"))
    actor = Actor("user:x", "oidc", held)
    assert nodes_for(actor, Permission.USAGE_READ) == {"team:a", "team:b"}
    assert nodes_for(actor, Permission.AUDIT_READ) == {"team:b"}
    assert nodes_for(ROOT, Permission.AUDIT_READ) is None
    with pytest.raises(PermissionDenied, match="anywhere"):
        nodes_for(actor, Permission.KEYS_WRITE)


async def test_the_root_token_still_opens_everything(api: Api) -> None:
    for path in [*READS, "/v1/providers/health", "/admin/v1/admin-tokens"]:
        assert (await seen(api, path, ADMIN)).status_code == 200
