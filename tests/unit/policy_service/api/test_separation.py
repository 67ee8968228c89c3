"""Who administers appoints auditors, and not themselves."""

from typing import Any

import pytest

from llm_core.errors import PermissionDenied
from llm_core.policy.roles import Actor, Grant, Role
from policy_service.api.admins import current_actor, require_other
from tests.fakes.running_service import Api

pytestmark = pytest.mark.asyncio(loop_scope="module")
ADA = Actor("user:ada", "oidc", (Grant(Role.ORG_ADMIN, "organisation:acme"),))
BOTH = Actor("user:ada", "oidc", (*ADA.grants, Grant(Role.AUDITOR, "organisation:acme")))


async def put(api: Api, actor: Actor, path: str, body: Any) -> Any:
    app = api.client._transport.app  # type: ignore[attr-defined]
    app.dependency_overrides[current_actor] = lambda: actor
    try:
        return await api.client.put(f"/admin/v1/{path}", json=body)
    finally:
        app.dependency_overrides.clear()


async def test_an_administrator_does_not_become_an_auditor_by_their_own_hand(api: Api) -> None:
    role = {"role": "auditor", "node": "team:search", "subject": "user:ada"}
    refused = await put(api, ADA, "roles", role)
    assert refused.status_code == 403
    assert "yourself" in refused.json()["error"]["message"]
    other = await put(api, ADA, "roles", {**role, "subject": "user:bob"})
    assert "yourself" not in other.text


@pytest.mark.parametrize(
    "part",
    [
        {"roles": [{"role": "auditor", "user": "ada"}]},
        {"users": [{"id": "ada", "roles": [{"role": "auditor", "on": "team:search"}]}]},
        {"departments": [{"id": "d", "roles": [{"role": "auditor", "user": "ada"}]}]},
    ],
)
async def test_nor_by_a_company_file(api: Api, part: dict[str, Any]) -> None:
    company = {"id": "acme", "departments": [], **part}
    refused = await put(api, ADA, "organisation/company?dry_run=true", company)
    assert (refused.status_code, "yourself" in refused.text) == (403, True)


async def test_who_is_an_auditor_already_may_write_that_down() -> None:
    require_other(BOTH, [(Role.AUDITOR, "user:ada")])
    require_other(ADA, [(Role.AUDITOR, "user:bob"), (Role.ORG_ADMIN, "user:ada")])
    with pytest.raises(PermissionDenied):
        require_other(ADA, [(Role.AUDITOR, "user:ada")])
