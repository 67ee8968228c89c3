import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.reports import BudgetRow, UsageReports
from tests.integration.sql.usage_rows import NOW, usage_row

TEAMS = {"search": "research", "ads": "sales", "news": "sales"}


async def test_spend_is_the_sum_of_the_ledger_by_department_team_and_model(engine: AsyncEngine):
    chance = random.Random(1)
    first = datetime(2026, 11, 1, tzinfo=UTC)
    rows = []
    for number in range(300):
        team = chance.choice(sorted(TEAMS))
        rows.append(
            usage_row(
                f"dec_{number}",
                at=first + timedelta(minutes=chance.randrange(-9_000, 60 * 24 * 35)),
                department=TEAMS[team],
                team=team,
                asked_model=chance.choice(["small", "large"]),
                input_tokens=chance.choice([None, chance.randrange(10_000)]),
                output_tokens=chance.randrange(10_000),
                usd=Decimal(chance.randrange(10**15)).scaleb(-12),
                source=chance.choice(["provider", "counted", "estimated"]),
            )
        )
    await SqlLedger(engine).record(rows)
    sums: dict[tuple[str, str, str], list[Decimal | int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in rows:
        if (row.at.year, row.at.month) == (2026, 11):
            key = (row.department, row.team, row.asked_model)
            amounts = (1, row.input_tokens or 0, row.output_tokens or 0, row.usd)
            sums[key] = [total + more for total, more in zip(sums[key], amounts, strict=True)]
    reports = UsageReports(engine)
    spend = await reports.spend("2026-11")
    assert [
        (row.department, row.team, row.model, row.requests, row.input_tokens, row.output_tokens)
        for row in spend
    ] == [(*key, *amounts[:3]) for key, amounts in sorted(sums.items())]
    assert [row.usd for row in spend] == [amounts[3] for _, amounts in sorted(sums.items())]
    used = {row.team: row.used_usd for row in await reports.budgets("2026-11")}
    for team in TEAMS:
        assert used[team] == sum(amounts[3] for key, amounts in sums.items() if key[1] == team)


async def test_budgets_list_teams_that_have_not_spent_and_teams_that_are_gone(engine: AsyncEngine):
    organisation = Organisation(engine)
    await organisation.put_organisation("acme")
    await organisation.put_department("research", organisation="acme")
    await organisation.put_team("idle", department="research")
    await organisation.put_team("search", department="research")
    await organisation.put_limit(Limit("team:search", Measure.USD_PER_MONTH, Decimal("12.345678")))
    await organisation.put_limit(Limit("team:search", Measure.REQUESTS_PER_MINUTE, Decimal(5)))
    ledger = SqlLedger(engine)
    await ledger.record([usage_row("dec_1", usd=Decimal(1)), usage_row("dec_2", team="closed")])
    assert await UsageReports(engine).budgets("2026-11") == (
        BudgetRow("research", "closed", None, Decimal("0.00045")),
        BudgetRow("research", "idle", None, Decimal(0)),
        BudgetRow("research", "search", Decimal("12.345678"), Decimal(1)),
    )


async def test_a_month_without_usage_has_no_spend(engine: AsyncEngine):
    assert await UsageReports(engine).spend("2026-11") == ()


async def test_the_newest_rows_come_first(engine: AsyncEngine):
    rows = [usage_row(f"dec_{n}", at=NOW + timedelta(seconds=n)) for n in range(5)]
    await SqlLedger(engine).record(rows)
    assert await UsageReports(engine).recent(3) == (rows[4], rows[3], rows[2])
    place = (rows[2].at, rows[2].decision_id)
    assert await UsageReports(engine).recent(3, after=place) == (rows[1], rows[0])


@pytest.mark.parametrize("month", ["", "2026", "2026-13", "2026-1", "0000-01", "2026-11-01", "x"])
async def test_a_month_that_is_written_otherwise_is_refused(engine: AsyncEngine, month: str):
    with pytest.raises(ValueError, match="no month"):
        await UsageReports(engine).spend(month)


async def test_a_budgets_month_is_the_one_of_the_organisations_clocks(engine: AsyncEngine):
    organisation = Organisation(engine)
    for name, zone in (("acme", "UTC"), ("bharat", "Asia/Kolkata")):
        await organisation.put_organisation(name, time_zone=zone)
        await organisation.put_department(f"{name}-research", organisation=name)
        await organisation.put_team(f"{name}-search", department=f"{name}-research")
    edges = [datetime(2026, month, day, 18, tzinfo=UTC) for month, day in ((10, 31), (11, 30))]
    moments = [
        edge + timedelta(minutes=minutes) for edge in edges for minutes in (29, 30, 59, 60, 360)
    ]
    rows = [
        usage_row(
            f"{name}_{number}",
            at=at,
            organisation=name,
            department=f"{name}-research",
            team=f"{name}-search",
            usd=Decimal(2**number),
        )
        for name in ("acme", "bharat", "closed")
        for number, at in enumerate(moments)
    ]
    await SqlLedger(engine).record(rows)
    used = {row.team: row.used_usd for row in await UsageReports(engine).budgets("2026-11")}
    in_utc = sum(2**number for number, at in enumerate(moments) if at.month == 11)
    in_india = sum(2**number for number in range(1, 6))
    assert used == {"acme-search": in_utc, "bharat-search": in_india, "closed-search": in_utc}


async def test_a_limit_on_some_models_is_no_budget_of_the_team(engine: AsyncEngine):
    organisation = Organisation(engine)
    await organisation.put_organisation("acme")
    await organisation.put_department("research", organisation="acme")
    await organisation.put_team("search", department="research")
    some = Limit("team:search", Measure.USD_PER_MONTH, Decimal(5), "model:large", ("large",))
    await organisation.put_limit(some)
    (row,) = await UsageReports(engine).budgets("2026-11")
    assert row.budget_usd is None
