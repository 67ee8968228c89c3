"""Keys in the admin API: who may, what is told, and that the text is told once."""

from itertools import count
from typing import Any

import httpx
import pytest

from llm_core.policy.roles import Actor, Grant, Role
from policy_service.keys import is_mistyped
from tests.fakes.running_service import ADMIN, Api

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Actor("test", "test", (Grant(Role.PLATFORM_ADMIN, "platform:*"),))
KEYS = "/admin/v1/keys"


async def token(api: Api, name: str, role: Role, node: str) -> dict[str, str]:
    made = await api.opened.admin_tokens.issue(ROOT, name, (Grant(role, node),), None)
    return {"authorization": f"Bearer {made.text}"}


NAMES = (f"laptop-{number}" for number in count())


async def issue(api: Api, headers: Any = ADMIN, **fields: Any) -> httpx.Response:
    return await api.post(KEYS, {"name": next(NAMES), "team": "search", **fields}, headers)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def unknown_of(api: Api, key: str) -> str | None:
    answer = await api.post("/v1/callers/identify", {"api_key": key})
    found: str | None = answer.json()["unknown"]
    return found


async def test_a_team_has_one_live_key_of_a_name(api: Api) -> None:
    first = (await issue(api, name="batch")).json()["id"]
    again = await issue(api, name="batch")
    assert again.status_code == 400
    assert first in again.json()["error"]["message"]
    await api.client.delete(f"{KEYS}/{first}", headers=ADMIN)
    assert (await issue(api, name="batch")).status_code == 201


async def test_a_key_is_issued_shown_rotated_and_revoked(api: Api) -> None:
    made = await issue(
        api, operations=["models"], networks=["10.0.0.0/8"], priority="batch", user="alice"
    )
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    old = made.json()
    assert not is_mistyped(old["key"])
    assert await unknown_of(api, old["key"]) is None
    shown = (await api.get(f"{KEYS}/{old['id']}")).json()
    assert "key" not in shown
    assert (shown["operations"], shown["networks"]) == (["models"], ["10.0.0.0/8"])
    assert (shown["state"], shown["created_by"]) == ("live", "root_token")
    turned = await api.post(f"{KEYS}/{old['id']}/rotate", {"overlap_s": 0}, ADMIN)
    new = turned.json()
    assert (turned.status_code, new["id"], new["ended_prefix"]) == (201, old["id"], None)
    assert new["former_prefix"] == old["prefix"]
    assert await unknown_of(api, old["key"]) == "expired"
    assert await unknown_of(api, new["key"]) is None
    gone = await api.client.delete(f"{KEYS}/{new['id']}", headers=ADMIN)
    assert (gone.status_code, gone.json()["state"]) == (200, "revoked")
    assert await unknown_of(api, new["key"]) == "revoked"
    again = await api.client.delete(f"{KEYS}/{new['id']}", headers=ADMIN)
    assert code_of(again) == (404, "not_found")


@pytest.mark.parametrize(
    "fields",
    [
        {"team": "nobody"},
        {"project": "nobody"},
        {"name": ""},
        {"networks": ["10.0.0.1/8"]},
        {"operations": ["fly"]},
        {"expires_at": "2027-01-01T00:00:00"},
        {"limits": {"usd_per_month": "-1"}},
    ],
)
async def test_a_key_that_makes_no_sense_is_400(api: Api, fields: dict[str, Any]) -> None:
    assert code_of(await issue(api, **fields)) == (400, "malformed_request")


async def test_a_key_that_is_not_there_is_404(api: Api) -> None:
    assert code_of(await api.get(f"{KEYS}/key_nobody")) == (404, "not_found")
    answer = await api.post(f"{KEYS}/key_nobody/rotate", b"", ADMIN)
    assert code_of(answer) == (404, "not_found")


async def test_an_overlap_that_is_too_long_is_400(api: Api) -> None:
    key_id = (await issue(api)).json()["id"]
    for overlap_s in (91 * 86_400, -1, 1e300):
        answer = await api.post(f"{KEYS}/{key_id}/rotate", {"overlap_s": overlap_s}, ADMIN)
        assert code_of(answer) == (400, "malformed_request")


async def test_a_team_owner_has_their_teams_keys_and_no_others(api: Api) -> None:
    mine = await token(api, "mine", Role.TEAM_OWNER, "team:search")
    theirs = await token(api, "theirs", Role.TEAM_OWNER, "team:ads")
    key_id = (await issue(api, mine)).json()["id"]
    assert [
        (await api.client.get(f"{KEYS}/{key_id}", headers=who)).status_code
        for who in (mine, theirs)
    ] == [200, 403]
    rows = (await api.client.get(KEYS, headers=theirs)).json()["rows"]
    assert rows == []
    assert code_of(await issue(api, theirs)) == (403, "permission_denied")
    for verb, path in (("DELETE", key_id), ("POST", f"{key_id}/rotate")):
        answer = await api.client.request(verb, f"{KEYS}/{path}", headers=theirs)
        assert code_of(answer) == (403, "permission_denied")


@pytest.mark.parametrize("fields", [{"clearance": "secret"}, {"roles": ["x"]}, {"groups": ["x"]}])
async def test_what_policy_lets_calls_through_by_is_not_a_team_owners_to_give(
    api: Api, fields: dict[str, Any]
) -> None:
    owner = await token(api, f"owner-{next(iter(fields))}", Role.TEAM_OWNER, "team:search")
    assert code_of(await issue(api, owner, **fields)) == (403, "permission_denied")
    assert (await issue(api, **fields)).status_code == 201


async def test_an_auditor_reads_and_changes_nothing(api: Api) -> None:
    auditor = await token(api, "auditor", Role.AUDITOR, "organisation:acme")
    key_id = (await issue(api)).json()["id"]
    rows = (await api.client.get(KEYS, headers=auditor, params={"limit": 1000})).json()["rows"]
    assert key_id in [row["id"] for row in rows]
    answer = await api.client.delete(f"{KEYS}/{key_id}", headers=auditor)
    assert code_of(answer) == (403, "permission_denied")


async def people(api: Api) -> None:
    for subject, record in (
        ("user:clara", {"organisation": "acme", "team": "search", "clearance": "secret"}),
        ("user:sid", {"organisation": "acme", "team": "search"}),
        ("user:rita", {"organisation": "acme"}),
        ("organisation:rival", {}),
        ("user:fred", {"organisation": "rival"}),
    ):
        path = f"/admin/v1/organisation/parts/{subject}"
        answer = await api.client.put(path, headers=ADMIN, json=record)
        assert answer.status_code == 200, answer.text


async def test_a_key_in_somebodys_name_is_for_whoever_may_issue_keys_where_they_are(
    api: Api,
) -> None:
    """It spends what they may spend, and has the clearance that they have."""
    await people(api)
    owner = await token(api, "owner-of-people", Role.TEAM_OWNER, "team:search")
    assert (await issue(api, owner, user="sid")).status_code == 201
    assert (await issue(api, owner, user="nobody-of-ours")).status_code == 201
    for user in ("clara", "rita"):
        assert code_of(await issue(api, owner, user=user)) == (403, "permission_denied")
        assert (await issue(api, user=user)).status_code == 201
    assert code_of(await issue(api, user="fred")) == (400, "malformed_request")


async def test_to_rotate_a_key_takes_what_it_takes_to_issue_it(api: Api) -> None:
    """Its new text is told to whoever rotates it."""
    await people(api)
    owner = await token(api, "owner-of-a-key", Role.TEAM_OWNER, "team:search")
    for fields in ({"clearance": "secret"}, {"groups": ["x"]}, {"user": "clara"}):
        key_id = (await issue(api, **fields)).json()["id"]
        answer = await api.post(f"{KEYS}/{key_id}/rotate", b"", owner)
        assert code_of(answer) == (403, "permission_denied")
        assert (await api.client.delete(f"{KEYS}/{key_id}", headers=owner)).status_code == 200
    plain = (await issue(api)).json()["id"]
    assert (await api.post(f"{KEYS}/{plain}/rotate", b"", owner)).status_code == 201


async def test_models_that_nobody_above_has_allowed_are_not_a_team_owners_to_allow(
    api: Api,
) -> None:
    await people(api)
    parts = "/admin/v1/organisation/parts"
    for subject, record in (
        ("department:d", {"organisation": "rival"}),
        ("team:t", {"department": "d"}),
    ):
        await api.client.put(f"{parts}/{subject}", headers=ADMIN, json=record)
    owner = await token(api, "owner-of-t", Role.TEAM_OWNER, "team:t")
    asked = {"team": "t", "allowed_models": ["*"]}
    assert code_of(await issue(api, owner, **asked)) == (403, "permission_denied")
    record = {"organisation": "rival", "allowed_models": ["mini"]}
    await api.client.put(f"{parts}/department:d", headers=ADMIN, json=record)
    assert (await issue(api, owner, **asked)).status_code == 201
