"""Incidents on both databases: opened once, told once, ended once, whoever looks."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.alerts.incident import IncidentKind, Notice, NoticeEvent, Severity, Trouble
from llm_core.alerts.routing import ChannelRule, Routes
from policy_service.adapters.sql.incidents import SqlIncidents
from policy_service.adapters.sql.outbox import SqlOutbox
from policy_service.adapters.sql.tables import DepartmentUnit, OrganisationUnit, TeamUnit

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
ROUTES = Routes((ChannelRule("ops"), ChannelRule("bad", least=Severity.CRITICAL)))
DOWN = Trouble(
    kind=IncidentKind.PROVIDER_DOWN,
    subject="deployment:mini",
    severity=Severity.WARNING,
    title="mini is down",
    detail="It serves mini.",
    facts={"unserved": ["a"], "n": 1},
)
WORSE = replace(DOWN, severity=Severity.CRITICAL, title="all is down", stage=1)


async def waiting(engine: AsyncEngine, now: datetime = NOW + timedelta(days=9)) -> list[Notice]:
    """Everything that is due, whatever waits before it; noted as sent."""
    outbox, found = SqlOutbox(engine), []
    while some := await outbox.claim(["ops", "bad"], "test", now, now, 100):
        await outbox.sent([one.id for one in some], now)
        found += some
    return found


def told(notices: list[Notice]) -> list[tuple[str, NoticeEvent]]:
    return [(one.channel, one.event) for one in notices]


async def test_many_processes_open_and_end_an_incident_once(engine: AsyncEngine) -> None:
    stores = [SqlIncidents(engine) for _ in range(5)]
    opened = await asyncio.gather(*(one.see([DOWN], NOW, ROUTES) for one in stores))
    assert sorted(map(len, opened)) == [0] * 4 + [1]
    known = await stores[0].open_ones(IncidentKind.PROVIDER_DOWN)
    assert list(known) == [DOWN.subject]
    incident = known[DOWN.subject]
    assert (incident.title, incident.facts, incident.opened_at) == (DOWN.title, DOWN.facts, NOW)
    ended = await asyncio.gather(*(one.recover([incident], LATER, ROUTES) for one in stores))
    assert sorted(map(len, ended)) == [0] * 4 + [1]
    notices = await waiting(engine)
    assert told(notices) == [("ops", NoticeEvent.OPENED), ("ops", NoticeEvent.RECOVERED)]
    assert notices[1].incident == replace(incident, recovered_at=LATER, last_seen_at=NOW)
    assert len({one.id for one in notices}) == 2


async def test_what_comes_back_is_another_incident(engine: AsyncEngine) -> None:
    store = SqlIncidents(engine)
    [first] = await store.see([DOWN], NOW, ROUTES)
    await store.recover([first], NOW, ROUTES)
    [second] = await store.see([DOWN], LATER, ROUTES)
    assert [one.id for one in await store.listed(is_open=False)] == [second.id, first.id]
    assert [one.id for one in await store.listed(is_open=True)] == [second.id]
    page = await store.listed(is_open=False, before=second.id, most=1)
    assert [one.id for one in page] == [first.id]


async def test_what_gets_worse_is_told_anew_and_what_stays_is_not(engine: AsyncEngine) -> None:
    store = SqlIncidents(engine)
    for trouble in (DOWN, DOWN, WORSE, WORSE, DOWN):
        assert len(await store.see([trouble], NOW, ROUTES)) <= 1
    [incident] = (await store.open_ones(DOWN.kind)).values()
    assert (incident.title, incident.severity) == ("all is down", Severity.CRITICAL)
    await store.recover([incident], LATER, ROUTES)
    assert sorted(told(await waiting(engine))) == [
        ("bad", NoticeEvent.RECOVERED),
        ("bad", NoticeEvent.WORSE),
        ("ops", NoticeEvent.OPENED),
        ("ops", NoticeEvent.RECOVERED),
        ("ops", NoticeEvent.WORSE),
    ]


async def test_what_stays_open_is_told_again_after_a_while(engine: AsyncEngine) -> None:
    store, hours = SqlIncidents(engine), timedelta(hours=1)
    for hour in range(50):
        await store.see([DOWN], NOW + hour * hours, ROUTES, again_after=24 * hours)
    [incident] = (await store.open_ones(DOWN.kind)).values()
    assert incident.last_seen_at == NOW + 49 * hours
    assert told(await waiting(engine)) == [
        ("ops", NoticeEvent.OPENED),
        ("ops", NoticeEvent.STILL_OPEN),
        ("ops", NoticeEvent.STILL_OPEN),
    ]


async def test_each_stage_is_told_once_also_in_the_wrong_order(engine: AsyncEngine) -> None:
    store = SqlIncidents(engine)
    for stage in (80, 50, 80, 50, 100):
        at_stage = replace(DOWN, stage=stage, title=f"{stage} %")
        await store.see([at_stage], NOW, ROUTES, tells_every_stage=True)
    [incident] = (await store.open_ones(DOWN.kind)).values()
    assert incident.title == "100 %"
    assert [one.incident.title for one in await waiting(engine)] == ["80 %", "50 %", "100 %"]


@pytest.mark.parametrize(
    ("nodes", "sees_platform", "seen"),
    [
        (None, True, {"organisation:acme", "team:search", "team:other", None}),
        (None, False, {"organisation:acme", "team:search", "team:other"}),
        ({"team:search"}, False, {"team:search"}),
        ({"team:search"}, True, {"team:search", None}),
        ({"department:research"}, False, {"team:search", "team:other"}),
        (set(), True, {None}),
        (set(), False, set()),
    ],
)
async def test_incidents_are_seen_by_who_may_see_the_node(
    engine: AsyncEngine, nodes: set[str] | None, sees_platform: bool, seen: set[str | None]
) -> None:
    async with engine.begin() as connection:
        named = {"name": "n"}
        await connection.execute(insert(OrganisationUnit), {"id": "acme", **named})
        department = {"id": "research", "organisation_id": "acme", **named}
        await connection.execute(insert(DepartmentUnit), department)
        teams = [{"id": one, "department_id": "research", **named} for one in ("search", "other")]
        await connection.execute(insert(TeamUnit), teams)
    store = SqlIncidents(engine)
    for node in ("organisation:acme", "team:search", "team:other", None):
        await store.see([replace(DOWN, node=node, subject=str(node))], NOW, ROUTES)
    found = await store.listed(is_open=True, nodes=nodes, sees_platform=sees_platform)
    assert {one.node for one in found} == seen
