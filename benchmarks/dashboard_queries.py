"""How long the dashboard's questions take over the roll-ups of 10 million requests.

Starts PostgreSQL for real, fills the roll-ups for 90 days of a company of 1,000 people in 50 teams,
and asks what each page asks, by the adapters that answer the admin API:

    python benchmarks/dashboard_queries.py [--requests 10000000] [--rounds 5]

Each row of the hourly roll-ups stands for five requests, which is what a person asks of one model
in an hour; latencies are slots of a log-normal distribution.
"""

import argparse
import asyncio
import statistics
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.figures import load, machine
from llm_core.costs.calendar import Interval, edges
from policy_service.adapters.sql.costs import SqlCosts, SqlReliability
from policy_service.adapters.sql.engine import open_engine, writing
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.schema import upgrade
from policy_service.ports.costs import Dimension, Page, Scope
from policy_service.services.cost_summary import summary
from tests.fixtures.postgres_server import start_postgres

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAYS = 90
A_ROW = 5
TEAMS = 50
FULL = 10_000_000
ZONE = ZoneInfo("Europe/Berlin")
_HOURLY = """
INSERT INTO usage_hourly
SELECT md5(n::text), hour, 'acme', 'department-' || person % 10, 'team-' || person % 50,
  CASE WHEN person % 3 = 0 THEN 'project-' || person % 50 END,
  'user-' || person, CASE WHEN n % 20 = 0 THEN 'bot' END, 'cc-' || person % 10,
  'model-' || model, 'model-' || model || '-2026', 'provider-' || model % 3,
  CASE WHEN model % 2 = 0 THEN 'eu' ELSE 'us' END, 'chat.completions',
  CASE WHEN n % 4 = 0 THEN 'support' END,
  CASE WHEN n % 50 = 0 THEN 429 ELSE 200 END,
  CASE WHEN n % 50 = 0 THEN 'rate_limited' ELSE 'none' END, n % 100 = 0,
  5, 5000, 1000, 0, 2500, 0, 0.0123456789 * (1 + random()), 0,
  5000000, 5, 1000000, 5, 15000, 5, 0, 0
FROM (
  SELECT n, floor(random() * 1000)::int AS person, floor(random() * 6)::int AS model,
    CAST(:until AS timestamptz) - interval '1 hour' * ceil(random() * 24 * :days) AS hour
  FROM generate_series(1, :rows) AS n
) AS made
"""
# Each team asks each model on each day, and its calls lie in some 70 slots. Fewer requests are
# those of fewer teams.
_LATENCY = """
INSERT INTO usage_latency
SELECT md5(day || '/' || team || '/' || model || '/' || slot), day, 'acme',
  'department-' || team % 10, 'team-' || team, 'model-' || model, 'model-' || model || '-2026',
  'provider-' || model % 3, slot, 1 + slot % 7, 1 + slot % 5, 1 + slot % 3
FROM generate_series(CAST(:until AS timestamptz) - interval '1 day' * :days,
    CAST(:until AS timestamptz) - interval '1 day', interval '1 day') AS day,
  generate_series(1, :teams) AS team, generate_series(0, 5) AS model,
  generate_series(50, 119) AS slot
"""

Question = Callable[[], Awaitable[object]]


async def fill(engine: AsyncEngine, requests: int, now: datetime = NOW) -> None:
    """Fill the roll-ups up to a full hour; so few requests, so few rows."""
    today = now.replace(hour=0)
    await Organisation(engine).put_organisation("acme")
    async with writing(engine) as connection:
        await connection.execute(
            text(_HOURLY), {"rows": requests // A_ROW, "days": DAYS, "until": now}
        )
        teams = max(1, TEAMS * requests // FULL)
        await connection.execute(text(_LATENCY), {"days": DAYS, "teams": teams, "until": today})
    async with writing(engine) as connection:
        await connection.execute(text("ANALYZE"))


def questions(engine: AsyncEngine) -> dict[str, Question]:
    """What the pages ask."""
    costs, reliable = SqlCosts(engine), SqlReliability(engine)
    whole = Scope(None)
    department = Scope(frozenset({"department:department-3"}))
    team = Scope(None, {Dimension.TEAM: ("team-7",)})
    user = Scope(None, {Dimension.USER: ("user-7",)})
    month, quarter = ((NOW - timedelta(days=days), NOW) for days in (30, DAYS))
    days = edges(*month, Interval.DAY, ZONE)
    by_team, by_model = (Dimension.DEPARTMENT, Dimension.TEAM), (Dimension.MODEL,)
    page = Page(limit=1001)

    def at_a_glance(scope: Scope) -> Question:
        return lambda: summary(costs, Organisation(engine), scope, NOW, ZONE, ZONE.key)

    return {
        "summary, whole company": at_a_glance(whole),
        "summary, a department": at_a_glance(department),
        "costs of 30 days by day and model": lambda: costs.sums(whole, days, by_model, page),
        "costs of 30 days by team": lambda: costs.sums(whole, month, by_team, page),
        "costs of 90 days by team": lambda: costs.sums(whole, quarter, by_team, page),
        "costs of 30 days by day, a team": lambda: costs.sums(team, days, by_model, page),
        "costs of 30 days by day, a user": lambda: costs.sums(user, days, by_model, page),
        "costs of 30 days by user, a department": lambda: costs.sums(
            department, month, (Dimension.USER,), page
        ),
        "heat map of 30 days": lambda: costs.hours(whole, *month),
        "adoption of 30 days": lambda: costs.active(whole, days),
        "reliability of 30 days": lambda: reliable.reliability(
            whole, *month, (Dimension.PROVIDER, Dimension.MODEL)
        ),
        "reliability of 30 days, a team": lambda: reliable.reliability(
            team, *month, (Dimension.PROVIDER, Dimension.MODEL)
        ),
    }


async def measure(url: str, requests: int, rounds: int) -> None:
    """Fill, ask, print the table."""
    engine = open_engine(url, statement_timeout_s=None)
    await upgrade(engine)
    started_s = perf_counter()
    await fill(engine, requests)
    print(f"filled for {requests:,} requests in {perf_counter() - started_s:.0f} s\n")
    print("| | median ms | slowest ms |\n|---|---|---|")
    for title, ask in questions(engine).items():
        taken_ms = []
        for _ in range(rounds):
            started_s = perf_counter()
            await ask()
            taken_ms.append((perf_counter() - started_s) * 1000)
        print(f"| {title} | {statistics.median(taken_ms):,.0f} | {max(taken_ms):,.0f} |")
    await engine.dispose()


def main() -> None:
    """Start PostgreSQL, measure, stop it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=FULL)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    with start_postgres() as server:
        asyncio.run(measure(server.create_database(), options.requests, options.rounds))
    print(f"\nAt the end: {load()}")


if __name__ == "__main__":
    main()
