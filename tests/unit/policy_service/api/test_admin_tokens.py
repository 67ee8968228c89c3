from typing import Any

import httpx
import pytest

from llm_core.policy.roles import PLATFORM, Grant, Role
from policy_service.services.administrators import ROOT
from tests.fakes.running_service import ADMIN, Api

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/admin/v1/admin-tokens"
ACME = "organisation:acme"


async def make(api: Api, headers: dict[str, str] = ADMIN, **body: Any) -> httpx.Response:
    return await api.post(PATH, body, headers)


async def made(api: Api, name: str, role: str = "auditor", node: str = PLATFORM) -> dict[str, Any]:
    answer = await make(api, name=name, grants=[{"role": role, "node": node}])
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def bearer(told: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {told['token']}"}


async def test_a_token_is_made_used_listed_and_revoked(api: Api) -> None:
    told = await made(api, "life")
    assert told["token"].startswith("ga-")
    assert (await api.client.get("/admin/v1/whoami", headers=bearer(told))).json() == {
        "name": "admin_token:life",
        "proof": "admin_token",
        "time_zone": "UTC",
        "grants": [
            {
                "role": "auditor",
                "node": PLATFORM,
                "permissions": [
                    "admin_tokens.read",
                    "audit.read",
                    "content.read",
                    "keys.read",
                    "organisation.read",
                    "policy.read",
                    "reports.read",
                    "usage.read",
                ],
            }
        ],
    }
    listed = await api.get(PATH)
    assert told["record"]["id"] in listed.text
    assert told["token"] not in listed.text
    where = f"{PATH}/{told['record']['id']}"
    assert (await api.client.delete(where, headers=ADMIN)).status_code == 204
    assert (await api.client.get("/admin/v1/whoami", headers=bearer(told))).status_code == 401
    assert (await api.client.delete(where, headers=ADMIN)).status_code == 404


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"grants": []}, "grant"),
        ({"grants": [{"role": "emperor", "node": PLATFORM}]}, "emperor"),
        ({"grants": [{"role": "auditor", "node": "team:none"}]}, "team:none"),
        ({"grants": [{"role": "auditor", "node": "nonsense"}]}, "nonsense"),
        ({"grants": [{"role": "platform_admin", "node": ACME}]}, "platform_admin"),
        ({"expires_at": "2026-11-20T12:00:00Z"}, "later than now"),
        ({"expires_at": "2027-11-20T12:00:00"}, "zone"),
        ({"name": ""}, "name"),
    ],
)
async def test_what_makes_no_sense_is_400(api: Api, body: dict[str, Any], told: str) -> None:
    whole = {"name": "odd", "grants": [{"role": "auditor", "node": PLATFORM}], **body}
    answer = await make(api, **whole)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_request")
    assert told in answer.json()["error"]["message"]


async def test_a_token_makes_no_tokens_and_so_leaves_none_behind(api: Api) -> None:
    told = await made(api, "admin", "platform_admin", PLATFORM)
    grants = [{"role": "member", "node": PLATFORM}]
    answer = await make(api, bearer(told), name="child", grants=grants)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")


@pytest.mark.parametrize("role", list(Role))
async def test_only_those_who_may_make_tokens_revoke_them_and_auditors_see_them(
    api: Api, role: Role
) -> None:
    may = role in (Role.PLATFORM_ADMIN, Role.ORG_ADMIN)
    sees = may or role is Role.AUDITOR
    above = await made(api, f"above-{role}", "member", PLATFORM)
    below = await made(api, f"below-{role}", "member", "team:search")
    issued = await api.opened.admin_tokens.issue(ROOT, f"of-{role}", (Grant(role, ACME),), None)
    headers = {"authorization": f"Bearer {issued.text}"}
    listed = await api.client.get(PATH, headers=headers)
    assert listed.status_code == (200 if sees else 403)
    ids = {one["id"] for one in listed.json().get("rows", ())}
    assert (below["record"]["id"] in ids) is sees
    assert above["record"]["id"] not in ids
    for told, status in ((above, 403), (below, 204 if may else 403)):
        where = f"{PATH}/{told['record']['id']}"
        assert (await api.client.delete(where, headers=headers)).status_code == status
    unknown = await api.client.delete(f"{PATH}/adt_none", headers=headers)
    assert unknown.status_code == (404 if may else 403)


async def test_without_settings_nobody_can_sign_in(api: Api) -> None:
    answer = await api.client.get("/v1/sign-in")
    assert answer.status_code == 404
    assert "POLICY_SIGN_IN_ISSUER" in answer.json()["error"]["message"]


async def test_an_auditor_reads_which_tokens_there_are_and_makes_and_ends_none(api: Api) -> None:
    theirs = await made(api, "audited", "member", "team:search")
    platforms = await made(api, "platforms", "member")
    auditor = bearer(await made(api, "reads-tokens", "auditor", "organisation:acme"))
    listed = await api.client.get(PATH, headers=auditor)
    assert listed.status_code == 200
    ids = {one["id"] for one in listed.json()["rows"]}
    assert theirs["record"]["id"] in ids
    assert platforms["record"]["id"] not in ids
    assert theirs["token"] not in listed.text
    body = {"name": "more", "grants": [{"role": "member", "node": "team:search"}]}
    assert (await api.client.post(PATH, headers=auditor, json=body)).status_code == 403
    ended = await api.client.delete(f"{PATH}/{theirs['record']['id']}", headers=auditor)
    assert ended.status_code == 403
