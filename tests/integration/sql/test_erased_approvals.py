"""A person is taken out of approvals, who decided stays, and the chain can still be verified."""

from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.approvals import Step
from llm_core.policy.roles import Actor
from policy_service.adapters.sql.approvals import SqlApprovals
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.audit_chain import SqlAuditChain
from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.privacy import SqlPersonalData
from policy_service.adapters.sql.tables import Base
from policy_service.services.erasure import Erasures
from tests.fakes.audit_chains import key_pair
from tests.fakes.clock import FakeClock
from tests.fixtures.verified_chains import verified
from tests.integration.sql.test_approvals import ANN, NOW, SAM, WANTED, approver, ask
from tests.integration.sql.test_privacy import DPO, WHY, named

BOB = Actor("user:bob", "api_key")
BOBS = {"node": "user:bob", "requester": BOB, "identities": ("user:bob", "key:key_2")}


@pytest.fixture
async def approvals(engine: AsyncEngine) -> SqlApprovals:
    company = Organisation(engine)
    await company.put_organisation("acme")
    await company.put_department("research", organisation="acme")
    await company.put_team("search", department="research")
    return SqlApprovals(engine, FakeClock(NOW))


@pytest.fixture
def erasures(engine: AsyncEngine) -> Erasures:
    return Erasures(SqlPersonalData(engine), SqlAuditChain(engine, FakeClock(NOW)))


async def test_nobody_is_named_any_more_and_who_decided_stays(
    approvals: SqlApprovals, erasures: Erasures, engine: AsyncEngine
) -> None:
    """Asked by him, cut by Ann, given back by him; and one for the team that still waits."""
    known = ("user:sam", "key:key_1", "subject:https://idp#5", "command_line:sam")
    made = await ask(approvals, reason="for Samuel's launch", identities=known)
    await approvals.grant(made.id, ANN, amount_usd=Decimal(20), reason="for Samuel")
    await approvals.end(made.id, Step.REVOKE, SAM, "Samuel is done")
    await ask(approvals, node="team:search", model="o3")
    seen = await erasures.preview("sam")
    assert (seen.found["approval_requests"], seen.found["audit_log"]) == (2, 5)

    done = await erasures.erase("sam", DPO, WHY)
    assert (done.found["approval_requests"], done.found["audit_log"]) == (2, 5)
    assert done.found["audit_chain"] == 5
    for word in ("user:sam", "Samuel", "'sam'", ":sam", "idp#5"):
        assert await named(engine, word) == {}

    instead = f"user:{done.pseudonym}"
    found = await approvals.find(made.id)
    assert found is not None
    assert (found.node, found.requester, found.decided_by) == (instead, instead, "user:ann")
    assert (found.granted_usd, found.reason) == (Decimal(20), "")
    assert [(one.step, one.actor) for one in found.steps] == [
        (Step.REQUEST, instead),
        (Step.GRANT, "user:ann"),
        (Step.REVOKE, instead),
    ]
    entries = await AuditLog(engine).entries(subject=f"approval:{made.id}")
    assert [(one.action, one.actor) for one in reversed(entries)] == [
        ("approval.request", instead),
        ("approval.grant", "user:ann"),
        ("approval.cut", "user:ann"),
        ("approval.revoke", instead),
    ]
    assert all(one.after is not None and one.after["requester"] == instead for one in entries)
    assert [one.after and one.after["granted_usd"] for one in entries] == ["20", "20", "20", None]


async def test_the_chain_verifies_afterwards(
    approvals: SqlApprovals, erasures: Erasures, engine: AsyncEngine
) -> None:
    made = await ask(approvals)
    other = await ask(approvals, **BOBS)
    signer, keys = key_pair(0)
    chain = SqlAuditChain(engine, FakeClock(NOW))
    await chain.append(())
    await chain.seal(signer, NOW, least=1, age_s=0)
    for one in (made, other):
        await approvals.grant(one.id, ANN)
    await erasures.erase("sam", DPO, WHY)
    await chain.append(())
    await chain.seal(signer, NOW, least=1, age_s=0)
    faults, chains = await verified(engine, keys)
    assert faults == ()
    assert chains["org:acme"].erased == 2
    assert (await erasures.erase("sam", DPO, WHY)).is_empty


async def test_what_others_asked_for_stays_as_it_is(
    approvals: SqlApprovals, erasures: Erasures, engine: AsyncEngine
) -> None:
    """Also what the person decided as an approver, and who has a name that begins alike."""
    bobs = await ask(approvals, **BOBS, reason="the launch")
    await approvals.grant(bobs.id, approver("user:sam"), reason="go ahead")
    samantha = Actor("user:samantha", "api_key")
    hers = await ask(approvals, node="user:samantha", requester=samantha, identities=("key:key_3",))
    before = [await approvals.find(one.id) for one in (bobs, hers)]
    rows = await audit_rows(engine)
    done = await erasures.erase("sam", DPO, WHY)
    assert (done.found["approval_requests"], done.found["audit_log"]) == (0, 0)
    assert [await approvals.find(one.id) for one in (bobs, hers)] == before
    assert (await audit_rows(engine))[: len(rows)] == rows


async def test_what_somebody_else_asked_for_them_names_them_no_more(
    approvals: SqlApprovals, erasures: Erasures
) -> None:
    made = await ask(approvals, requester=BOB, identities=("user:bob",))
    done = await erasures.erase("sam", DPO, WHY)
    found = await approvals.find(made.id)
    assert found is not None
    assert (found.node, found.requester) == (f"user:{done.pseudonym}", "user:bob")
    assert (found.reason, [one.reason for one in found.steps]) == ("", [""])


async def test_requests_are_told_to_who_asks_what_is_held(
    approvals: SqlApprovals, engine: AsyncEngine
) -> None:
    made = await ask(approvals)
    await ask(approvals, **BOBS)
    held = [row async for place, row in SqlPersonalData(engine).held("sam") if place == "approvals"]
    assert [(row["id"], row["reason"]) for row in held] == [(made.id, WANTED.reason)]


async def audit_rows(engine: AsyncEngine) -> list[tuple[object, ...]]:
    table = Base.metadata.tables["audit_log"]
    async with reading(engine) as connection:
        return [tuple(row) for row in await connection.execute(select(table).order_by("seq"))]
