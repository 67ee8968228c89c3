"""What a manager sees is what stands at or below their nodes, in every report."""

from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.reports import UsageReports
from tests.integration.sql.usage_rows import NOW, usage_row

# Organisation, department, team, project; one row each.
PLACES = [
    ("acme", "research", "search", "ranking"),
    ("acme", "research", "search", None),
    ("acme", "research", "ads", None),
    ("acme", "sales", "emea", None),
    # The team was once in another department.
    ("acme", "sales", "search", None),
    ("other", "labs", "optics", None),
]
CASES: list[tuple[set[str] | None, list[int], set[tuple[str, str]]]] = [
    (None, [0, 1, 2, 3, 4, 5], {(d, t) for _, d, t, _ in PLACES} | {("sales", "idle")}),
    (set(), [], set()),
    ({"organisation:other"}, [5], {("labs", "optics")}),
    (
        {"department:research"},
        [0, 1, 2],
        {("research", "search"), ("research", "ads")},
    ),
    ({"team:search"}, [0, 1, 4], {("research", "search"), ("sales", "search")}),
    ({"project:ranking"}, [0], set()),
    (
        {"team:ads", "department:sales"},
        [2, 3, 4],
        {
            ("research", "ads"),
            ("sales", "emea"),
            ("sales", "search"),
            ("sales", "idle"),
        },
    ),
    ({"user:alice", "key:key_1", "team:", "team:%", "nonsense"}, [], set()),
]


@pytest.fixture
async def reports(engine: AsyncEngine) -> UsageReports:
    organisation = Organisation(engine)
    for name in ("acme", "other"):
        await organisation.put_organisation(name)
    for department, above in (("research", "acme"), ("sales", "acme"), ("labs", "other")):
        await organisation.put_department(department, organisation=above)
    for team, above in (
        ("search", "research"),
        ("ads", "research"),
        ("emea", "sales"),
        ("idle", "sales"),
        ("optics", "labs"),
    ):
        await organisation.put_team(team, department=above)
        await organisation.put_limit(Limit(f"team:{team}", Measure.USD_PER_MONTH, Decimal(100)))
    await SqlLedger(engine).record(
        [
            usage_row(
                f"dec_{number}",
                organisation=place[0],
                department=place[1],
                team=place[2],
                project=place[3],
                usd=Decimal(10) ** number,
            )
            for number, place in enumerate(PLACES)
        ]
    )
    return UsageReports(engine)


@pytest.mark.parametrize(("nodes", "seen", "teams"), CASES)
async def test_every_report_stops_at_the_readers_nodes(
    reports: UsageReports,
    nodes: set[str] | None,
    seen: list[int],
    teams: set[tuple[str, str]],
) -> None:
    within = None if nodes is None else frozenset(nodes)
    month = f"{NOW:%Y-%m}"
    recent = await reports.recent(100, nodes=within)
    assert sorted(row.decision_id for row in recent) == [f"dec_{number}" for number in seen]
    spend = await reports.spend(month, nodes=within)
    assert sum((row.usd for row in spend), Decimal(0)) == sum(10**number for number in seen)
    budgets = await reports.budgets(month, nodes=within)
    assert {(row.department, row.team) for row in budgets} == teams


async def test_a_budget_is_shown_to_those_only_who_may_see_the_team_as_it_is_now(
    reports: UsageReports,
) -> None:
    rows = await reports.budgets(f"{NOW:%Y-%m}", nodes=frozenset({"department:sales"}))
    [moved] = [row for row in rows if row.team == "search"]
    assert (moved.budget_usd, moved.used_usd) == (None, Decimal(10_000))
