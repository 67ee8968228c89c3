from typing import Any

import pytest

from llm_core.policy.roles import PLATFORM, Grant, Role
from policy_service.services.administrators import ROOT
from tests.fakes.running_service import ADMIN, Api
from tests.integration.sql.usage_rows import usage_row

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/admin/v1/privacy/erasures"
WHY = "request 2026-17 by post"


async def headers_of(api: Api, name: str, *grants: Grant) -> dict[str, str]:
    issued = await api.opened.admin_tokens.issue(ROOT, name, grants, None)
    return {"authorization": f"Bearer {issued.text}"}


async def erase(api: Api, user: str, headers: Any = ADMIN, **more: Any) -> Any:
    body = {"user": user, "reason": WHY, **more}
    return await api.client.post(PATH, json=body, headers=headers)


async def test_a_person_is_counted_and_erased(api: Api) -> None:
    await api.opened.ledger.record([usage_row("dec_gone", user="gone")])
    counted = (await erase(api, "gone", dry_run=True)).json()
    assert (counted["pseudonym"], counted["found"]["usage"]) == (None, 1)
    done = await erase(api, "gone")
    assert done.status_code == 200, done.text
    assert done.json()["pseudonym"].startswith("erased:")
    assert "gone" not in done.text
    [entry, *_] = await api.opened.audit.entries(action="privacy.erased")
    assert entry.subject == f"erasure:{done.json()['id']}"
    [row] = [one for one in await api.opened.reports.recent(100) if one.decision_id == "dec_gone"]
    assert row.user == done.json()["pseudonym"]


async def test_who_has_an_account_is_erased_by_who_administers_their_company(api: Api) -> None:
    await api.opened.administration.put("user:pia", {"organisation": "acme"}, ROOT)
    theirs = await headers_of(api, "dpo", Grant(Role.ORG_ADMIN, "organisation:acme"))
    assert (await erase(api, "pia", theirs)).status_code == 200
    # Who has no account is nobody's, and the platform's to erase.
    assert (await erase(api, "gone", theirs)).status_code == 403
    other = await headers_of(api, "other", Grant(Role.ORG_ADMIN, "organisation:other"))
    assert (await erase(api, "pia", other)).status_code == 403


@pytest.mark.parametrize(
    "role", [one for one in Role if one not in (Role.PLATFORM_ADMIN, Role.ORG_ADMIN)]
)
async def test_no_other_role_erases(api: Api, role: Role) -> None:
    headers = await headers_of(api, f"no-{role}", Grant(role, PLATFORM))
    assert (await erase(api, "gone", headers)).status_code == 403


async def test_a_reason_that_names_the_person_is_refused(api: Api) -> None:
    answer = await erase(api, "gone", reason="because Gone asked for it")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "reason"
