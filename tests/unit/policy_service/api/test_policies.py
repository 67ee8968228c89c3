"""Policies in the admin API: who may, and what is told."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from policy_service.adapters.policies.signing import SigningKey, new_key, public_pem
from tests.fakes.running_service import ADMIN, Api, running_service
from tests.fixtures.policies import REGO, signed

pytestmark = pytest.mark.asyncio(loop_scope="module")
PLACE = "/admin/v1/policies"
_NUMBERS = itertools.count()
WRITES = (
    ("POST", "", None),
    ("POST", "/activate", {"bundle": "x", "reason": "y"}),
    ("POST", "/rollback", {"reason": "y"}),
    ("PUT", "/shadow", {"bundle": None}),
)
READS = ("", "/shadow", "/0123456789")


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory, key: SigningKey) -> AsyncIterator[Api]:
    folder: Path = tmp_path_factory.mktemp("service")
    (folder / "key.pem").write_bytes(public_pem(key))
    async with running_service(folder, bundle_keys=folder / "key.pem") as running:
        yield running


async def holding(api: Api, role: str, node: str) -> dict[str, str]:
    """Headers of somebody who holds this role."""
    body = {"name": f"n-{next(_NUMBERS)}", "grants": [{"role": role, "node": node}]}
    made = await api.client.post("/admin/v1/admin-tokens", headers=ADMIN, json=body)
    return {"authorization": f"Bearer {made.json()['token']}"}


async def test_only_who_may_write_for_every_organisation_may_change_the_policy(api: Api) -> None:
    others = [
        await holding(api, "auditor", "platform:*"),
        await holding(api, "dept_manager", "department:engineering"),
    ]
    for method, path, body in WRITES:
        for headers in others:
            answer = await api.client.request(method, PLACE + path, headers=headers, json=body)
            assert answer.status_code == 403, path
        assert (await api.client.request(method, PLACE + path, json=body)).status_code == 401
    owner = await holding(api, "org_admin", "organisation:acme")
    answer = await api.client.post(f"{PLACE}/rollback", headers=owner, json={"reason": "y"})
    assert answer.status_code == 400  # acme is all there is: they may, and there is nothing
    root = "/admin/v1/organisation/company"
    made = await api.client.put(root, headers=ADMIN, json={"id": "zeta"})
    assert made.status_code == 200, made.text
    answer = await api.client.post(f"{PLACE}/rollback", headers=owner, json={"reason": "y"})
    assert answer.status_code == 403
    assert "organisation:zeta" in answer.json()["error"]["message"]


async def test_auditors_read_and_members_do_not(api: Api) -> None:
    auditor = await holding(api, "auditor", "organisation:acme")
    member = await holding(api, "member", "organisation:acme")
    for path in READS:
        assert (await api.client.get(PLACE + path, headers=member)).status_code == 403
        answer = await api.client.get(PLACE + path, headers=auditor)
        assert answer.status_code == (404 if path == READS[-1] else 200)


async def test_what_is_refused_is_told_in_words(api: Api) -> None:
    refused = await api.client.post(PLACE, headers=ADMIN, content=b"no bundle")
    assert refused.status_code == 400
    assert "no bundle's tarball" in refused.json()["error"]["message"]
    long = await api.client.post(PLACE, headers=ADMIN, content=bytes(9 * 1024 * 1024))
    assert long.status_code == 413
    stranger = await api.client.post(PLACE, headers=ADMIN, content=signed(REGO, new_key()))
    assert "not trusted" in stranger.json()["error"]["message"]


async def test_a_bundle_goes_its_way_and_every_step_is_in_the_audit_trail(
    api: Api, key: SigningKey
) -> None:
    async def ask(method: str, path: str, **options: object) -> httpx.Response:
        answer = await api.client.request(method, PLACE + path, headers=ADMIN, **options)
        assert answer.is_success, answer.text
        return answer

    kept = (await ask("POST", "", content=signed(REGO, key))).json()
    assert (await ask("GET", f"/{kept['digest'][:12]}")).json() == kept
    await ask("PUT", "/shadow", json={"bundle": kept["digest"]})
    assert (await ask("GET", "/shadow")).json()["bundle"] == kept
    done = await ask("POST", "/activate", json={"bundle": kept["digest"], "reason": "first"})
    assert done.json()["actor"] == "root_token"
    listed = (await ask("GET", "")).json()
    assert listed["standing"]["live"] == kept["digest"]
    assert listed["standing"]["shadow"] is None, "what is live is no shadow any more"
    await ask("POST", "/rollback", json={"reason": "back"})
    trail = await api.get("/admin/v1/audit", subject="policy:", limit=10)
    assert [one["action"] for one in trail.json()["rows"]] == [
        *("policy.rollback", "policy.activate", "policy.shadow", "policy.shadow"),
        "policy.upload",
    ]


async def test_what_is_live_is_changed_by_who_has_seen_what_is_live(
    api: Api, key: SigningKey
) -> None:
    async def ask(method: str, path: str, match: str = "*", **options: object) -> httpx.Response:
        headers = ADMIN if method == "GET" else {**ADMIN, "if-match": match}
        return await api.client.request(method, PLACE + path, headers=headers, **options)

    async def tag() -> str:
        listed, report = await ask("GET", ""), await ask("GET", "/shadow")
        assert listed.headers["etag"] == report.headers["etag"]
        return listed.headers["etag"]

    seen = await tag()
    kept = (await api.client.post(PLACE, headers=ADMIN, content=signed(REGO, key))).json()
    assert await tag() == seen, "what is only kept is not in force"
    body = {"bundle": kept["digest"], "reason": "first"}
    assert (await ask("POST", "/activate", seen, json=body)).status_code == 200
    late = await ask("PUT", "/shadow", seen, json={"bundle": kept["digest"]})
    assert (late.status_code, late.json()["error"]["code"]) == (412, "precondition_failed")
    assert (await tag()) in late.json()["detail"]
    assert (await ask("POST", "/rollback", seen, json={"reason": "back"})).status_code == 412
    assert (await ask("POST", "/activate", seen, json=body)).status_code == 412
    back = await ask("POST", "/rollback", await tag(), json={"reason": "back"})
    assert back.status_code == 200
    assert await tag() != seen, "the folder is live as it was before, and not since then"
