"""ETags and `If-Match`: nobody overwrites what they have not seen."""

import asyncio
from itertools import count
from typing import Any

import httpx
import pytest

from policy_service.api.etags import etag_of
from tests.fakes.running_service import ADMIN, Api

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTS = "/admin/v1/organisation/parts"
LIMITS = "/admin/v1/limits"
KEYS = "/admin/v1/keys"
NUMBERS = count()
STALE = '"0123456789abcdef0123456789abcdef"'


async def ask(
    api: Api, method: str, path: str, body: Any = None, match: str | None = None, **params: str
) -> httpx.Response:
    headers = {**ADMIN, **({} if match is None else {"if-match": match})}
    return await api.client.request(method, path, json=body, headers=headers, params=params)


async def team(api: Api) -> tuple[str, dict[str, Any], str]:
    """A new team: its path, its record and its ETag."""
    path = f"{PARTS}/team:t{next(NUMBERS)}"
    await ask(api, "PUT", path, {"department": "engineering"})
    found = await ask(api, "GET", path)
    return path, found.json()["record"], found.headers["etag"]


async def test_what_is_the_same_has_the_same_tag_whatever_its_order() -> None:
    assert etag_of({"a": 1, "b": [2]}) == etag_of({"b": [2], "a": 1})
    assert etag_of({"a": 1}) != etag_of({"a": 2})


async def test_a_part_is_changed_by_who_has_seen_it(api: Api) -> None:
    path, record, tag = await team(api)
    first = await ask(api, "PUT", path, {**record, "name": "First"}, tag)
    assert first.status_code == 200
    late = await ask(api, "PUT", path, {**record, "name": "Late"}, tag)
    assert (late.status_code, late.json()["error"]["code"]) == (412, "precondition_failed")
    now = await ask(api, "GET", path)
    assert now.json()["record"]["name"] == "First"
    assert now.headers["etag"] in late.json()["detail"]
    assert (await ask(api, "PUT", path, {**record, "name": "Late"})).status_code == 200


async def test_of_two_who_have_seen_the_same_one_is_first(api: Api) -> None:
    path, record, tag = await team(api)
    answers = await asyncio.gather(
        *(ask(api, "PUT", path, {**record, "name": name}, tag) for name in ("A", "B"))
    )
    assert sorted(one.status_code for one in answers) == [200, 412]


async def test_a_part_is_removed_by_who_has_seen_it(api: Api) -> None:
    path, _, tag = await team(api)
    assert (await ask(api, "DELETE", path, match=STALE)).status_code == 412
    assert (await ask(api, "DELETE", path, match=f"{STALE}, {tag}")).status_code == 200
    assert (await ask(api, "GET", path)).status_code == 404


async def test_a_star_stands_for_whatever_is_there(api: Api) -> None:
    path, record, _ = await team(api)
    assert (await ask(api, "PUT", path, record, "*")).status_code == 200
    missing = f"{PARTS}/team:missing"
    made = await ask(api, "PUT", missing, {"department": "engineering"}, "*")
    assert made.status_code == 412
    assert (await ask(api, "GET", missing)).status_code == 404


async def test_a_limit_is_changed_by_who_has_seen_it(api: Api) -> None:
    limit = {"node": "team:search", "measure": "tokens_per_day", "amount": "10"}
    set_ = await ask(api, "PUT", LIMITS, limit)
    rows = (await ask(api, "GET", LIMITS, node="team:search")).json()["rows"]
    [row] = [one for one in rows if one["measure"] == "tokens_per_day"]
    assert row["etag"] == set_.headers["etag"]
    more = await ask(api, "PUT", LIMITS, {**limit, "amount": "20.0"}, row["etag"])
    assert more.status_code == 200
    assert (await ask(api, "PUT", LIMITS, {**limit, "amount": "5"}, row["etag"])).status_code == 412
    named = {"node": "team:search", "measure": "tokens_per_day"}
    assert (await ask(api, "DELETE", LIMITS, match=row["etag"], **named)).status_code == 412
    gone = await ask(api, "DELETE", LIMITS, match=more.headers["etag"], **named)
    assert gone.status_code == 204


async def test_a_key_is_rotated_and_revoked_by_who_has_seen_it(api: Api) -> None:
    made = await ask(api, "POST", KEYS, {"name": "tagged", "team": "search"})
    path = f"{KEYS}/{made.json()['id']}"
    tag = (await ask(api, "GET", path)).headers["etag"]
    assert tag == made.headers["etag"]
    turned = await ask(api, "POST", f"{path}/rotate", {}, tag)
    assert turned.status_code == 201
    assert (await ask(api, "POST", f"{path}/rotate", {}, tag)).status_code == 412
    assert (await ask(api, "DELETE", path, match=tag)).status_code == 412
    assert (await ask(api, "DELETE", path, match=turned.headers["etag"])).status_code == 200


async def test_to_be_used_does_not_change_a_key(api: Api) -> None:
    made = await ask(api, "POST", KEYS, {"name": "used", "team": "search"})
    path = f"{KEYS}/{made.json()['id']}"
    await api.opened.keys.note_used([made.json()["id"]], api.clock())
    found = await ask(api, "GET", path)
    assert found.json()["last_used_at"] is not None
    assert found.headers["etag"] == made.headers["etag"]


async def test_shared_costs_are_changed_by_who_has_seen_them(api: Api) -> None:
    path, acme = "/admin/v1/chargebacks/rules", {"organisation": "acme"}
    tag = (await ask(api, "GET", path, **acme)).headers["etag"]
    euros = {"currency": {"code": "EUR", "usd_rate": "0.90"}}
    first = await ask(api, "PUT", path, euros, tag, **acme)
    assert first.status_code == 200
    late = await ask(api, "PUT", path, {"shared": []}, tag, **acme)
    assert late.status_code == 412
    found = await ask(api, "GET", path, **acme)
    assert found.headers["etag"] == first.headers["etag"]
    assert found.headers["etag"] in late.json()["detail"]
    # What is the same is not written anew, and keeps its tag.
    euros["currency"]["usd_rate"] = "0.9"
    same = await ask(api, "PUT", path, euros, first.headers["etag"], **acme)
    assert (same.json(), same.headers["etag"]) == (found.json(), first.headers["etag"])


async def test_of_two_who_set_shared_costs_one_is_first(api: Api) -> None:
    path, acme = "/admin/v1/chargebacks/rules", {"organisation": "acme"}
    tag = (await ask(api, "GET", path, **acme)).headers["etag"]
    bodies = [{"currency": {"code": code, "usd_rate": "1.5"}} for code in ("CHF", "SEK")]
    answers = await asyncio.gather(*(ask(api, "PUT", path, one, tag, **acme) for one in bodies))
    assert sorted(one.status_code for one in answers) == [200, 412]


async def test_roles_are_given_and_taken_by_who_has_seen_them(api: Api) -> None:
    path, sam = "/admin/v1/roles", {"subject": "user:sam"}
    await ask(api, "PUT", f"{PARTS}/user:sam", {"organisation": "acme"})
    empty = await ask(api, "GET", path, **sam)
    assert empty.json() == {**sam, "rows": []}
    owns = {"role": "team_owner", "node": "team:search"}
    given = await ask(api, "PUT", path, {**sam, **owns}, empty.headers["etag"])
    assert given.json() == {"is_new": True}
    approves = {"role": "approver", "node": "team:search"}
    late = await ask(api, "PUT", path, {**sam, **approves}, empty.headers["etag"])
    assert late.status_code == 412
    found = await ask(api, "GET", path, **sam)
    assert found.json()["rows"] == [owns]
    assert (await ask(api, "DELETE", path, match=STALE, **sam, **owns)).status_code == 412
    taken = await ask(api, "DELETE", path, match=found.headers["etag"], **sam, **owns)
    assert taken.status_code == 204


async def test_the_tag_of_roles_is_of_those_that_one_may_see(api: Api) -> None:
    path, pat = "/admin/v1/roles", {"subject": "user:pat"}
    await ask(api, "PUT", f"{PARTS}/user:pat", {"organisation": "acme"})
    for name in ("shown", "hidden"):
        await ask(api, "PUT", f"{PARTS}/department:{name}", {"organisation": "acme"})
    hidden = {"role": "member", "node": "department:hidden"}
    await ask(api, "PUT", path, {**pat, **hidden})
    assert (await ask(api, "GET", path, **pat)).json()["rows"] == [hidden]
    grants = [{"role": "dept_manager", "node": "department:shown"}]
    token = await ask(api, "POST", "/admin/v1/admin-tokens", {"name": "sees", "grants": grants})
    theirs = {"authorization": f"Bearer {token.json()['token']}"}
    seen = await api.client.get(path, params=pat, headers=theirs)
    assert seen.json()["rows"] == []
    nobody = await api.client.get(path, params={"subject": "user:nobody"}, headers=theirs)
    assert seen.headers["etag"] == nobody.headers["etag"], "it tells nothing of what is hidden"


@pytest.mark.parametrize("match", ["", "abc", 'W/"abc"', '"abc", def'])
async def test_what_is_no_etag_is_refused(api: Api, match: str) -> None:
    answer = await ask(api, "PUT", f"{PARTS}/team:search", {"department": "engineering"}, match)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "If-Match")
