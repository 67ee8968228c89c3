"""The audit chain in the admin API: read by organisation, exported to be verified."""

import asyncio

import msgspec
import pytest

from llm_core.audit.event import Event
from llm_core.audit.verify import Verifier, verify_lines
from tests.fakes.running_service import ADMIN, Api
from tests.unit.policy_service.api.test_organisation import as_actor, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")
CALL = {"operation": "chat.completions", "asked_model": "mini", "body_digest": "0" * 64}


async def decided(api: Api) -> str:
    """A decision that has come to the chain."""
    caller = await api.caller()
    made = (await api.post("/v1/decisions", {"caller": caller, "call": CALL})).json()
    subject = f"decision:{made['decision_id']}"
    async with asyncio.timeout(20):
        while not (await events(api, subject=subject)):  # noqa: ASYNC110 - the service writes it
            await asyncio.sleep(0.05)
    return subject


async def events(api: Api, headers: dict[str, str] = ADMIN, **params: str | int) -> list[dict]:  # type: ignore[type-arg]
    answer = await ask(api, "GET", "/audit/chain", headers, params=params)
    assert answer.status_code == 200, answer.text
    rows: list[dict] = answer.json()["rows"]  # type: ignore[type-arg]
    return rows


async def test_a_decision_and_a_change_are_in_the_organisations_chain(api: Api) -> None:
    subject = await decided(api)
    [row] = await events(api, subject=subject)
    assert (row["chain"], row["kind"], row["actor"]) == ("org:acme", "decision", "user:sam")
    assert row["payload"]["allow"] is True
    assert {one["kind"] for one in await events(api, kind="key.")} == {"key.issue"}
    assert await events(api, id=row["id"]) == [row]
    assert await events(api, id="evt_none") == []
    page = await events(api, chain="org:acme", limit=2)
    older = await events(api, chain="org:acme", limit=1, before_seq=page[-1]["seq"])
    assert older[0]["seq"] == page[-1]["seq"] - 1


async def test_an_auditor_reads_the_chain_of_their_organisation_and_no_other(api: Api) -> None:
    await decided(api)
    await api.opened.administration.put_organisation("globex")
    auditor = await as_actor(api, ("auditor", "organisation:acme"))
    other = await as_actor(api, ("auditor", "organisation:globex"))
    owner = await as_actor(api, ("team_owner", "team:search"))
    part = await as_actor(api, ("auditor", "team:search"))
    assert {one["chain"] for one in await events(api, auditor)} == {"org:acme"}
    assert {one["chain"] for one in await events(api, other)} <= {"org:globex"}
    [newest] = await events(api, auditor, limit=1)
    assert await events(api, auditor, id=newest["id"]) == [newest]
    assert await events(api, other, id=newest["id"]) == []
    for headers, chain in (
        (auditor, "platform"),
        (other, "org:acme"),
        (owner, "org:acme"),
        (part, "org:acme"),
    ):
        for path in ("chain", "checkpoints", "export"):
            answer = await ask(api, "GET", f"/audit/{path}", headers, params={"chain": chain})
            assert answer.status_code == 403, (path, chain)
    for path in ("chain", "checkpoints", "export"):
        assert (await ask(api, "GET", f"/audit/{path}", {})).status_code == 401


async def test_an_export_verifies_and_is_an_event_itself(api: Api) -> None:
    await decided(api)
    auditor = await as_actor(api, ("auditor", "organisation:acme"))
    answer = await ask(api, "GET", "/audit/export", auditor)
    assert answer.headers["content-type"] == "application/x-ndjson"
    verifier = Verifier(None)
    list(verify_lines(answer.content.splitlines(), verifier))
    assert verifier.finish() == ()
    [chain] = verifier.chains
    assert (chain.name, chain.first) == ("org:acme", 1)
    last = msgspec.json.decode(answer.content.splitlines()[-1], type=Event)
    async with asyncio.timeout(20):
        while not (found := await events(api, kind="audit.export")):  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.05)
    assert found[0]["seq"] > last.seq
    assert found[0]["actor"].startswith("admin_token:")


async def test_a_time_without_a_zone_is_refused(api: Api) -> None:
    for path in ("chain", "export"):
        params = {"since": "2026-11-20T00:00:00"}
        assert (await ask(api, "GET", f"/audit/{path}", params=params)).status_code == 400


async def test_checkpoints_are_listed(api: Api) -> None:
    assert (await ask(api, "GET", "/audit/checkpoints")).json() == {"rows": [], "next": None}


async def test_readyz_says_whether_the_chain_is_sealed_and_what_waits(api: Api) -> None:
    told = (await api.client.get("/readyz")).json()["audit"]
    assert told["checkpoints"] == "off: POLICY_AUDIT_KEY_FILE is not set"
    assert told["lost"] == 0
