"""Requests for approval on both databases: the steps, four eyes, one winner, one notice."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.approvals import (
    ApprovalState,
    BadTerms,
    Step,
    StepFault,
    StepRefused,
)
from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.adapters.sql.admin_tokens import SqlAdminTokens
from policy_service.adapters.sql.approvals import SqlApprovals
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.keys import ApiKeys
from policy_service.adapters.sql.organisation import Organisation
from policy_service.ports.approvals import ApprovalRecord, Asked, NoticeKind
from policy_service.ports.organisation import Holder
from tests.fakes.clock import FakeClock

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SAM = Actor("user:sam", "api_key")
DAY = timedelta(days=1)
WANTED = Asked(
    model="o1-pro",
    node="user:sam",
    organisation="acme",
    department="research",
    team="search",
    project=None,
    reason="the launch",
    amount_usd=Decimal(50),
    until=NOW + 7 * DAY,
    requester=SAM,
    identities=("user:sam", "key:key_1"),
)


def approver(
    name: str = "user:ann", node: str = "team:search", role: Role = Role.APPROVER
) -> Actor:
    return Actor(name, "oidc", (Grant(role, node),))


ANN = approver()
ROOT = approver("root_token", PLATFORM, Role.PLATFORM_ADMIN)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def approvals(engine: AsyncEngine, clock: FakeClock) -> SqlApprovals:
    company = Organisation(engine)
    await company.put_organisation("acme")
    await company.put_department("research", organisation="acme")
    await company.put_team("search", department="research")
    await company.put_team("ads", department="research")
    await company.put_project("ranking", team="search")
    return SqlApprovals(engine, clock)


async def ask(approvals: SqlApprovals, **changes: Any) -> ApprovalRecord:
    record, is_new = await approvals.ask(replace(WANTED, **changes), answer_by=NOW + 14 * DAY)
    assert is_new
    return record


async def refused(work: Any) -> StepFault:
    with pytest.raises(StepRefused) as fault:
        await work
    return fault.value.fault


async def audited(engine: AsyncEngine, approval_id: str) -> list[tuple[str, str]]:
    entries = await AuditLog(engine).entries(subject=f"approval:{approval_id}")
    return [(one.action, one.actor) for one in reversed(entries)]


async def test_a_grant_as_asked_is_kept_with_its_history_and_audited(
    approvals: SqlApprovals, engine: AsyncEngine
) -> None:
    made = await ask(approvals)
    assert (made.state, made.requester, made.answer_by) == (
        ApprovalState.REQUESTED,
        "user:sam",
        NOW + 14 * DAY,
    )
    granted = await approvals.grant(made.id, ANN, reason="go ahead")
    assert granted is not None
    assert (granted.state, granted.granted_usd, granted.granted_until) == (
        ApprovalState.GRANTED,
        Decimal(50),
        NOW + 7 * DAY,
    )
    found = await approvals.find(made.id)
    assert found is not None
    assert replace(found, steps=()) == granted
    assert [(one.step, one.actor, one.reason) for one in found.steps] == [
        (Step.REQUEST, "user:sam", "the launch"),
        (Step.GRANT, "user:ann", "go ahead"),
    ]
    assert await audited(engine, made.id) == [
        ("approval.request", "user:sam"),
        ("approval.grant", "user:ann"),
    ]


async def test_a_cut_and_an_extension_are_audited_beside_the_grant(
    approvals: SqlApprovals, engine: AsyncEngine
) -> None:
    made = await ask(approvals)
    await approvals.grant(made.id, ANN, amount_usd=Decimal(10), until=NOW + 8 * DAY)
    assert [action for action, _ in await audited(engine, made.id)] == [
        "approval.request",
        "approval.grant",
        "approval.cut",
        "approval.extend",
    ]
    entries = await AuditLog(engine).entries(action="approval.grant")
    assert entries[0].organisation == "acme"
    assert entries[0].before is not None
    assert entries[0].before["state"] == "requested"
    assert entries[0].after is not None
    assert entries[0].after["granted_usd"] == "10"


async def test_the_same_open_request_is_told_and_not_doubled(approvals: SqlApprovals) -> None:
    made = await asyncio.gather(
        *(approvals.ask(WANTED, answer_by=NOW + 14 * DAY) for _ in range(8))
    )
    assert len({record.id for record, _ in made}) == 1
    assert sorted(is_new for _, is_new in made) == [False] * 7 + [True]
    await ask(approvals, model="gpt-5-pro")
    await ask(approvals, node="team:search")
    await ask(approvals, requester=Actor("user:kim", "api_key"), identities=("user:kim",))


async def test_after_a_decision_one_may_ask_again(approvals: SqlApprovals) -> None:
    made = await ask(approvals)
    await approvals.end(made.id, Step.REFUSE, ANN, "too dear")
    assert (await ask(approvals)).id != made.id


async def test_a_request_that_nobody_answered_makes_room_for_a_new_one(
    approvals: SqlApprovals, clock: FakeClock
) -> None:
    made = await ask(approvals)
    clock.now = NOW + 15 * DAY
    again, is_new = await approvals.ask(
        replace(WANTED, until=NOW + 20 * DAY), answer_by=NOW + 29 * DAY
    )
    assert (is_new, again.id != made.id) == (True, True)
    found = await approvals.find(made.id)
    assert found is not None
    assert found.state is ApprovalState.EXPIRED


async def test_of_those_who_decide_at_once_exactly_one_wins(
    approvals: SqlApprovals, engine: AsyncEngine
) -> None:
    made = await ask(approvals)
    others = [SqlApprovals(engine, lambda: NOW) for _ in range(6)]
    done = await asyncio.gather(
        *(store.grant(made.id, approver(f"user:{n}")) for n, store in enumerate(others[:3])),
        *(
            store.end(made.id, Step.REFUSE, approver(f"user:{n}"), "no")
            for n, store in enumerate(others[3:], 3)
        ),
        return_exceptions=True,
    )
    lost = [one for one in done if isinstance(one, StepRefused)]
    assert len(lost) == 5
    assert {one.fault for one in lost} == {StepFault.NOT_NOW}
    assert len(await audited(engine, made.id)) == 2


async def test_nobody_decides_on_their_own_request_by_whatever_identity(
    approvals: SqlApprovals, engine: AsyncEngine
) -> None:
    made = await ask(approvals)
    admin = Grant(Role.PLATFORM_ADMIN, PLATFORM)
    tokens = SqlAdminTokens(engine, lambda: NOW)
    await tokens.issue(Actor("user:sam", "oidc", (admin,)), "sams", [admin], None)
    await tokens.issue(Actor("admin_token:sams", "admin_token", (admin,)), "second", [admin], None)
    own = [
        Actor("user:sam", "oidc", (admin,)),
        Actor("command_line:sam", "command_line", (admin,)),
        Actor("admin_token:sams", "admin_token", (admin,)),
        Actor("admin_token:second", "admin_token", (admin,)),
        Actor("subject:https://issuer#abc", "oidc", (admin,), ("user:sam",)),
        Actor("key:key_1", "api_key", (admin,)),
    ]
    for actor in own:
        for work in (
            approvals.grant(made.id, actor),
            approvals.end(made.id, Step.REFUSE, actor, "no"),
        ):
            assert await refused(work) is StepFault.SAME_PERSON
    assert await approvals.grant(made.id, approver("command_line:ann", PLATFORM, Role.ORG_ADMIN))


async def test_who_issued_a_key_without_a_user_does_not_grant_what_it_asks(
    approvals: SqlApprovals, engine: AsyncEngine
) -> None:
    keys = ApiKeys(engine, lambda: NOW)
    issued = await keys.issue_key("team", Holder(team="search"), actor=ANN)
    name = f"key:{issued.record.id}"
    made = await ask(approvals, requester=Actor(name, "api_key"), identities=(name,))
    assert await refused(approvals.grant(made.id, ANN)) is StepFault.SAME_PERSON
    assert await approvals.grant(made.id, approver("user:bob"))


async def test_only_who_may_decide_for_the_team_does(approvals: SqlApprovals) -> None:
    made = await ask(approvals, project="ranking")
    strangers = [
        approver(node="team:ads"),
        approver(node="organisation:elsewhere"),
        approver(role=Role.TEAM_OWNER),
        Actor("user:ann", "oidc"),
    ]
    for actor in strangers:
        assert await refused(approvals.grant(made.id, actor)) is StepFault.NOT_THEM
    assert await approvals.grant(made.id, approver(node="project:ranking"))
    whole = await ask(approvals, node="team:search", project="ranking")
    narrow = approver(node="project:ranking")
    assert await refused(approvals.grant(whole.id, narrow)) is StepFault.NOT_THEM
    assert await approvals.grant(whole.id, approver(node="department:research"))


async def test_requesters_withdraw_and_give_back(approvals: SqlApprovals) -> None:
    made = await ask(approvals)
    assert await refused(approvals.end(made.id, Step.WITHDRAW, ANN, "")) is StepFault.NOT_THEM
    withdrawn = await approvals.end(made.id, Step.WITHDRAW, SAM, "")
    assert withdrawn is not None
    assert withdrawn.state is ApprovalState.WITHDRAWN
    granted = await ask(approvals)
    await approvals.grant(granted.id, ANN)
    assert await refused(approvals.end(granted.id, Step.WITHDRAW, SAM, "")) is StepFault.NOT_NOW
    with pytest.raises(BadTerms, match="reason"):
        await approvals.end(granted.id, Step.REVOKE, SAM, "")
    given_back = await approvals.end(granted.id, Step.REVOKE, SAM, "not needed")
    assert given_back is not None
    assert given_back.state is ApprovalState.REVOKED


async def test_what_is_not_there_is_none(approvals: SqlApprovals) -> None:
    assert await approvals.find("apr_none") is None
    assert await approvals.grant("apr_none", ANN) is None
    assert await approvals.end("apr_none", Step.REVOKE, ANN, "x") is None


async def test_terms_are_checked_when_granted(approvals: SqlApprovals, clock: FakeClock) -> None:
    made = await ask(approvals)
    with pytest.raises(BadTerms, match="30 days"):
        await approvals.grant(made.id, ANN, until=NOW + 31 * DAY)
    clock.now = NOW + 8 * DAY
    with pytest.raises(BadTerms, match="over by now"):
        await approvals.grant(made.id, ANN)
    granted = await approvals.grant(made.id, ANN, until=NOW + 9 * DAY)
    assert granted is not None
    assert granted.granted_until == NOW + 9 * DAY


async def test_a_group_of_models_stands_for_its_members(
    approvals: SqlApprovals, engine: AsyncEngine
) -> None:
    with pytest.raises(BadTerms, match="no group"):
        await ask(approvals, model="group:costly")
    await Organisation(engine).put_model_group(
        "costly", organisation="acme", models=["o1-pro", "o3-pro"]
    )
    made = await ask(approvals, model="group:costly", amount_usd=None)
    assert (await approvals.standing()).open[0].models == ("o1-pro", "o3-pro")
    await approvals.grant(made.id, ANN)
    [grant] = (await approvals.standing()).grants
    assert (grant.models, grant.amount_usd, grant.node) == (("o1-pro", "o3-pro"), None, "user:sam")
    await Organisation(engine).remove("model_group:acme:costly")
    assert (await approvals.standing()).grants[0].models == ()


async def test_only_what_holds_stands(approvals: SqlApprovals, clock: FakeClock) -> None:
    granted = await ask(approvals)
    await approvals.grant(granted.id, ANN)
    revoked = await ask(approvals, model="b")
    await approvals.grant(revoked.id, ANN)
    await approvals.end(revoked.id, Step.REVOKE, ANN, "x")
    waiting = await ask(approvals, model="c")
    standing = await approvals.standing()
    assert [one.id for one in standing.grants] == [granted.id]
    assert [one.id for one in standing.open] == [waiting.id]
    assert {limit.node for limit in await approvals.caps()} == {
        f"approval:{granted.id}",
        f"approval:{revoked.id}",
    }
    clock.now = NOW + 7 * DAY
    assert (await approvals.standing()).grants == ()
    assert len(await approvals.caps()) == 2
    clock.now = NOW + 38 * DAY
    assert await approvals.caps() == ()


async def test_what_is_over_expires_once_over_all_processes(
    approvals: SqlApprovals, engine: AsyncEngine, clock: FakeClock
) -> None:
    granted = await ask(approvals)
    await approvals.grant(granted.id, ANN)
    unanswered = await ask(approvals, model="b")
    assert await approvals.expire(10) == 0
    clock.now = NOW + 20 * DAY
    assert [one.state for one in await approvals.listed()] == [ApprovalState.EXPIRED] * 2
    stores = [SqlApprovals(engine, clock) for _ in range(4)]
    assert sum(await asyncio.gather(*(store.expire(10) for store in stores))) == 2
    for one in (granted, unanswered):
        assert (await audited(engine, one.id))[-1] == ("approval.expire", "gatehouse")
    assert await refused(approvals.grant(unanswered.id, ANN)) is StepFault.NOT_NOW


async def test_requests_are_listed_by_what_one_may_see(approvals: SqlApprovals) -> None:
    mine = await ask(approvals)
    other = await ask(
        approvals,
        team="ads",
        node="team:ads",
        requester=Actor("user:kim", "api_key"),
        identities=("user:kim",),
    )

    async def seen(**wanted: Any) -> list[str]:
        return [one.id for one in await approvals.listed(**wanted)]

    assert await seen() == [other.id, mine.id]
    assert await seen(nodes={"team:search"}) == [mine.id]
    assert await seen(nodes={"department:research"}) == [other.id, mine.id]
    assert await seen(nodes=(), own=Actor("command_line:kim", "command_line")) == [other.id]
    assert await seen(nodes=(), own=("key:key_1",)) == [mine.id]
    assert await seen(nodes=(), holders=("team:ads",)) == [other.id]
    assert await seen(nodes=()) == []
    assert await seen(before=other.id) == [mine.id]
    assert await seen(most=1) == [other.id]
    await approvals.grant(mine.id, ANN)
    assert await seen(state=ApprovalState.GRANTED) == [mine.id]
    assert await seen(state=ApprovalState.REQUESTED, team="ads") == [other.id]
    assert await seen(model="nothing") == []


async def told(approvals: SqlApprovals, now: datetime) -> list[tuple[NoticeKind, str]]:
    await approvals.note(now - DAY, now + DAY)
    found = await approvals.claim(10, now - timedelta(seconds=30))
    for notice in found:
        await approvals.told(notice)
    return [(notice.kind, notice.approval.id) for notice in found]


async def test_people_are_told_of_each_thing_once(
    approvals: SqlApprovals, clock: FakeClock
) -> None:
    made = await ask(approvals)
    assert await told(approvals, NOW) == [(NoticeKind.REQUESTED, made.id)]
    assert await told(approvals, NOW) == []
    clock.now = NOW + DAY + timedelta(minutes=1)
    assert await told(approvals, clock.now) == [(NoticeKind.REMINDER, made.id)]
    assert await told(approvals, clock.now) == []
    await approvals.grant(made.id, ANN)
    clock.now = NOW + 6 * DAY + timedelta(minutes=1)
    assert await told(approvals, clock.now) == [(NoticeKind.ENDING, made.id)]
    assert await told(approvals, clock.now) == []


async def test_a_grant_of_some_hours_is_not_told_to_end(
    approvals: SqlApprovals, clock: FakeClock
) -> None:
    made = await ask(approvals)
    await told(approvals, NOW)
    await approvals.grant(made.id, ANN, until=NOW + timedelta(hours=3))
    clock.now = NOW + timedelta(hours=2)
    assert await told(approvals, clock.now) == []


async def test_a_notice_is_given_to_one_process_and_again_when_that_did_not_tell(
    approvals: SqlApprovals, engine: AsyncEngine, clock: FakeClock
) -> None:
    await ask(approvals)
    stores = [SqlApprovals(engine, clock) for _ in range(5)]
    again = NOW - timedelta(seconds=30)

    async def claimed(store: SqlApprovals) -> Collection[object]:
        return await store.claim(10, again)

    found = await asyncio.gather(*map(claimed, stores))
    assert sorted(map(len, found)) == [0, 0, 0, 0, 1]
    clock.now = NOW + timedelta(seconds=31)
    assert len(await approvals.claim(10, NOW + timedelta(seconds=1))) == 1
