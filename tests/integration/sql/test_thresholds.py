"""Alerts on both databases: noted once, told once, seen by whoever may see the node."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.sql.tables import (
    ApiKey,
    Application,
    DepartmentUnit,
    LimitRaise,
    LimitRow,
    OrganisationUnit,
    ProjectUnit,
    TeamUnit,
    User,
)
from policy_service.adapters.sql.thresholds import SqlAlerts
from policy_service.ports.alerts import Alert

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ALERT = Alert(
    limit_key="team:search:usd_per_month",
    period="2026-11",
    percent=50,
    node="team:search",
    measure="usd_per_month",
    at=NOW,
    used=Decimal("50.5"),
    amount=Decimal(100),
)
TOKENS = Limit("team:search", Measure.TOKENS_PER_DAY, Decimal(1), scope="group:big", models=("a",))


def at(node: str, minutes: int = 0) -> Alert:
    key = f"{node}:usd_per_month"
    return replace(ALERT, node=node, limit_key=key, at=NOW + timedelta(minutes=minutes))


async def test_an_alert_is_noted_once_however_many_note_it(engine: AsyncEngine) -> None:
    stores = [SqlAlerts(engine) for _ in range(5)]
    noted = await asyncio.gather(*(store.add(ALERT) for store in stores))
    assert sorted(noted) == [False] * 4 + [True]
    assert await stores[0].add(replace(ALERT, percent=80))
    assert await stores[0].add(replace(ALERT, period="2026-12"))
    assert await stores[0].recent(1000) == (
        replace(ALERT, percent=80),
        *(await stores[0].recent(1000))[1:],
    )


async def test_what_nobody_was_told_is_found_until_it_is_told(engine: AsyncEngine) -> None:
    alerts = SqlAlerts(engine)
    later = at("team:other", 5)
    for alert in (later, ALERT):
        await alerts.add(alert)
    assert await alerts.untold(NOW, 10) == ()
    assert await alerts.untold(NOW + timedelta(hours=1), 10) == (ALERT, later)
    assert await alerts.untold(NOW + timedelta(hours=1), 1) == (ALERT,)
    await alerts.told(ALERT)
    assert await alerts.untold(NOW + timedelta(hours=1), 10) == (later,)


async def test_large_amounts_of_tokens_are_kept(engine: AsyncEngine) -> None:
    alerts = SqlAlerts(engine)
    huge = replace(ALERT, used=Decimal(10**12), amount=Decimal(2 * 10**12))
    await alerts.add(huge)
    assert await alerts.recent(1) == (huge,)


async def test_a_limit_is_whole_with_its_raises_of_now(engine: AsyncEngine) -> None:
    def more(name: str, starts: int, until: int, withdrawn_at: datetime | None = None) -> object:
        return {
            "id": name,
            "node": TOKENS.node,
            "scope": TOKENS.scope,
            "measure": TOKENS.measure.value,
            "amount": Decimal(10),
            "starts_at": NOW + timedelta(hours=starts),
            "until": NOW + timedelta(hours=until),
            "author": "user:ann",
            "reason": "a launch",
            "withdrawn_at": withdrawn_at,
        }

    alerts = SqlAlerts(engine)
    assert await alerts.whole(TOKENS, NOW) is None
    async with engine.begin() as connection:
        row = {"node": TOKENS.node, "scope": TOKENS.scope, "measure": TOKENS.measure.value}
        await connection.execute(
            insert(LimitRow), {**row, "amount": Decimal(1000), "interactive_share": Decimal("0.3")}
        )
        raises = [more("now", 0, 1), more("past", -2, 0), more("to come", 1, 2)]
        await connection.execute(insert(LimitRaise), [*raises, more("withdrawn", 0, 1, NOW)])
    assert await alerts.whole(TOKENS, NOW) == replace(TOKENS, amount=Decimal(1010))
    assert await alerts.whole(replace(TOKENS, scope=""), NOW) is None


EVERY = (
    "organisation:acme",
    "department:engineering",
    "team:search",
    "project:ranking",
    "application:crawler",
    "user:alice",
    "key:k1",
    "team:other",
    "user:free",
    "organisation:elsewhere",
)


@pytest.fixture
async def filled(engine: AsyncEngine) -> SqlAlerts:
    def named(**fields: object) -> dict[str, object]:
        return {"name": "n", **fields}

    async with engine.begin() as connection:
        for table, rows in (
            (OrganisationUnit, [named(id="acme"), named(id="elsewhere")]),
            (DepartmentUnit, [named(id="engineering", organisation_id="acme")]),
            (
                TeamUnit,
                [named(id=one, department_id="engineering") for one in ("search", "other")],
            ),
            (ProjectUnit, [named(id="ranking", team_id="search")]),
            (Application, [named(id="crawler", team_id="search")]),
            (
                User,
                [
                    named(id="alice", organisation_id="acme", project_id="ranking"),
                    named(id="free", organisation_id="acme", project_id=None),
                ],
            ),
            (
                ApiKey,
                [
                    named(
                        id="k1",
                        prefix="gk-k1",
                        digest="d",
                        team_id="search",
                        roles=[],
                        groups=[],
                        created_at=NOW,
                    )
                ],
            ),
        ):
            await connection.execute(insert(table), rows)
    alerts = SqlAlerts(engine)
    for minutes, node in enumerate(EVERY):
        await alerts.add(at(node, minutes))
    return alerts


@pytest.mark.parametrize(
    ("nodes", "hidden"),
    [
        (None, set()),
        ({"organisation:acme"}, {"organisation:elsewhere"}),
        (
            {"department:engineering"},
            {"organisation:elsewhere", "organisation:acme", "user:free"},
        ),
        (
            {"team:search"},
            {
                "organisation:acme",
                "department:engineering",
                "team:other",
                "user:free",
                "organisation:elsewhere",
            },
        ),
        ({"user:alice"}, set(EVERY) - {"user:alice"}),
        ({"project:ranking", "key:k1"}, set(EVERY) - {"project:ranking", "user:alice", "key:k1"}),
        ({"nothing:here", "team"}, set(EVERY)),
        (set(), set(EVERY)),
    ],
    ids=["all", "organisation", "department", "team", "user", "two", "unknown", "none"],
)
async def test_alerts_of_a_node_and_what_is_below_it(
    filled: SqlAlerts, nodes: set[str] | None, hidden: set[str]
) -> None:
    shown = [alert.node for alert in await filled.recent(100, nodes)]
    assert shown == [node for node in reversed(EVERY) if node not in hidden]


async def test_so_many_at_most(filled: SqlAlerts, engine: AsyncEngine) -> None:
    assert [alert.node for alert in await filled.recent(2)] == [EVERY[-1], EVERY[-2]]
