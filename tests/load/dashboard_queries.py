"""How long the dashboard's questions take over the roll-ups of 10 million requests.

Starts PostgreSQL for real, fills the roll-ups for 90 days of a company of 5,000 people in 1,000
teams and 20 departments that ask 12 models, most of it in working hours, and asks what each page
asks, by the adapters that answer the admin API:

    python -m tests.load.dashboard_queries [--requests 10000000] [--rounds 5] [--keep FOLDER]

Each row of the hourly roll-ups stands for five requests, which is what a person asks of one model
in an hour. The coarser roll-ups are summed up from these by the database. "Processor" is the time
that the server works for one round, which hardly depends on what else the machine does. With
`--keep` the database stays in a folder, and is used again on the same day.
"""

import argparse
import asyncio
import statistics
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from zoneinfo import ZoneInfo

from sqlalchemy import Insert, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.costs.calendar import Interval, edges
from policy_service.adapters.sql.backfill import conditional
from policy_service.adapters.sql.costs import SqlCosts, SqlReliability
from policy_service.adapters.sql.dialects import FullDay
from policy_service.adapters.sql.engine import open_engine, writing
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.rollups import DAYS as DAILY
from policy_service.adapters.sql.rollups import MODEL_LATENCIES, Coarse
from policy_service.adapters.sql.schema import upgrade
from policy_service.adapters.sql.tables import Base
from policy_service.ports.costs import Dimension, Page, Scope
from policy_service.services.cost_summary import summary
from tests.fixtures.postgres_server import PostgresServer, start_postgres
from tests.load.figures import load, machine
from tests.load.processor_time import used_s

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAYS = 90
A_ROW = 5
TEAMS = 1000
FULL = 10_000_000
ZONE = ZoneInfo("Europe/Berlin")
_HOURLY = """
INSERT INTO usage_hourly
SELECT md5(n::text), hour, 'acme', 'department-' || team % 20, 'team-' || team,
  CASE WHEN person % 3 = 0 THEN 'project-' || team END,
  'user-' || person, CASE WHEN n % 20 = 0 THEN 'bot' END, 'cc-' || team % 100,
  'model-' || model, 'model-' || model || '-2026', 'provider-' || model % 4,
  CASE WHEN model % 2 = 0 THEN 'eu' ELSE 'us' END,
  CASE WHEN model = 11 THEN 'embeddings' ELSE 'chat.completions' END,
  CASE WHEN n % 4 = 0 THEN 'support' END,
  CASE WHEN n % 50 = 0 THEN 429 ELSE 200 END,
  CASE WHEN n % 50 = 0 THEN 'rate_limited' ELSE 'none' END, n % 100 = 0,
  5, 5000, 1000, 0, 2500, 0, 0.0123456789 * (1 + random()), 0,
  5000000, 5, 1000000, 5, 15000, 5, 0, 0
FROM (
  SELECT n, person, person % 1000 AS team, floor(12 * random() * random())::int AS model, hour
  FROM (
    SELECT n, floor(random() * 5000)::int AS person,
      -- Six in seven in working hours of weekdays, the rest at any time.
      date_trunc('day', CAST(:today AS timestamptz) - interval '1 day' * CASE WHEN n % 7 > 0
        THEN 2 + floor(random() * :days / 7) * 7 + floor(random() * 5)
        ELSE floor(random() * :days) END)
        + interval '1 hour' * CASE WHEN n % 7 > 0 THEN 7 + floor(random() * 10)
        ELSE floor(random() * 24) END AS hour
    FROM generate_series(1, :rows) AS n
  ) AS asked
  WHERE hour < CAST(:until AS timestamptz)
) AS made
ORDER BY hour
"""
# Each team asks three models on each day, and its calls lie in some 25 slots each.
_LATENCY = """
INSERT INTO usage_latency
SELECT md5(day || '/' || team || '/' || model || '/' || slot), day, 'acme',
  'department-' || team % 20, 'team-' || team, 'model-' || model, 'model-' || model || '-2026',
  'provider-' || model % 4, slot, 1 + slot % 3, 1 + slot % 3, 1 + slot % 2
FROM generate_series(CAST(:today AS timestamptz) - interval '1 day' * :days,
    CAST(:today AS timestamptz) - interval '1 day', interval '1 day') AS day,
  generate_series(1, :teams) AS team, LATERAL (SELECT (team + one * 5) % 12 AS model,
  slot FROM generate_series(0, 2) AS one, generate_series(60, 84) AS slot) AS each
"""

_INDEXES = text(
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND "
    "(tablename LIKE 'usage\\_hourly' OR tablename LIKE 'usage\\_daily%' "
    "OR tablename LIKE 'usage\\_latency%')"
)

Question = Callable[[], Awaitable[object]]


def filled(server: PostgresServer, requests: int, until: datetime = NOW) -> str:
    """The URL of a database with the roll-ups up to a full hour.

    One that a kept server has of that day is used again.
    """
    name = f"filled_{requests}_{until:%Y%m%d}"
    if not server.psql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):  # noqa: S608 - ours
        server.psql("DROP DATABASE IF EXISTS half_filled")
        asyncio.run(_fill(server.create_database(name="half_filled"), requests, until))
        server.psql(f"ALTER DATABASE half_filled RENAME TO {name}")
    return server.url(name)


async def _fill(url: str, requests: int, until: datetime) -> None:
    engine, started_s = open_engine(url, statement_timeout_s=None), perf_counter()
    await upgrade(engine)
    await fill(engine, requests, until)
    await engine.dispose()
    print(f"\nfilled for {requests:,} requests in {perf_counter() - started_s:.0f} s\n")


async def fill(engine: AsyncEngine, requests: int, now: datetime = NOW) -> None:
    """Fill the roll-ups up to a full hour; so few requests, so few rows."""
    today = now.replace(hour=0)
    await Organisation(engine).put_organisation("acme")
    async with writing(engine) as connection:
        indexes = (await connection.execute(_INDEXES)).all()
        for table, name, _ in indexes:
            key = f"ALTER TABLE {table} DROP CONSTRAINT {name}"
            drop = key if name.startswith("pk_") else f"DROP INDEX {name}"
            await connection.execute(text(drop))
        rows, teams = requests // A_ROW, max(1, TEAMS * requests // FULL)
        days = {"days": DAYS, "today": today}
        await connection.execute(text(_HOURLY), {**days, "rows": rows, "until": now})
        await connection.execute(text(_LATENCY), {**days, "teams": teams})
        for coarse in (*DAILY, MODEL_LATENCIES):
            await connection.execute(_summed_up(coarse))
        for *_, made_by in indexes:
            await connection.execute(text(made_by))
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))
        for table in sorted({table for table, *_ in indexes}):
            told = f"SELECT count(*), pg_total_relation_size('{table}') / 1000000 FROM {table}"  # noqa: S608 - our own
            rows, megabytes = (await connection.execute(text(told))).one()
            print(f"- {table}: {rows:,} rows, {megabytes:,} MB with its indexes")


def _summed_up(coarse: Coarse) -> Insert:
    table, finer = (Base.metadata.tables[name] for name in (coarse.table, coarse.finer))
    moment = finer.c["hour" if "hour" in finer.c else "day"]
    group = [FullDay(moment) if name == "day" else finer.c[name] for name in coarse.group]
    sums = [func.sum(conditional(finer, name)) for name in coarse.sums]
    rows = select(func.md5(func.concat_ws("/", *group)), *group, *sums).group_by(*group)
    return table.insert().from_select(["bucket", *coarse.group, *coarse.sums], rows)


def questions(engine: AsyncEngine) -> dict[str, Question]:
    """What the pages ask."""
    costs, reliable = SqlCosts(engine), SqlReliability(engine)
    whole = Scope(None)
    department = Scope(frozenset({"department:department-3"}))
    team = Scope(None, {Dimension.TEAM: ("team-7",)})
    model = Scope(None, {Dimension.MODEL: ("model-3",)})
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
        "costs of 30 days by day and department": lambda: costs.sums(
            whole, days, (Dimension.DEPARTMENT,), page
        ),
        "costs of 30 days by day and team": lambda: costs.sums(whole, days, by_team, page),
        "costs of 30 days by team, a model": lambda: costs.sums(model, month, by_team, page),
        "costs of 30 days by use case": lambda: costs.sums(
            whole, month, (Dimension.USE_CASE,), page
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


async def measure(server: PostgresServer, url: str, rounds: int) -> None:
    """Ask, print the table."""
    engine = open_engine(url, statement_timeout_s=None)
    print("| | median ms | slowest ms | processor ms |\n|---|---|---|---|")
    for title, ask in questions(engine).items():
        await ask()
        worked_s, taken_ms = _worked_s(server), []
        for _ in range(rounds):
            started_s = perf_counter()
            await ask()
            taken_ms.append((perf_counter() - started_s) * 1000)
        worked_ms = (_worked_s(server) - worked_s) * 1000 / rounds
        median_ms = statistics.median(taken_ms)
        print(f"| {title} | {median_ms:,.0f} | {max(taken_ms):,.0f} | {worked_ms:,.0f} |")
    await engine.dispose()


def _worked_s(server: PostgresServer) -> float:
    return sum(used_s({"postgres": server.pid}).values())


def main() -> None:
    """Start PostgreSQL, measure, stop it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=FULL)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="where the database stays for the next time")
    options = parser.parse_args()
    print(machine())
    with start_postgres(options.keep) as server:
        url = filled(server, options.requests)
        asyncio.run(measure(server, url, options.rounds))
    print(f"\nAt the end: {load()}")


if __name__ == "__main__":
    main()
