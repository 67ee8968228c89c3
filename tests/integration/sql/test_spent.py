"""What the ledger says was used of a limit, against a plain sum over the rows."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Limit, Measure, Period
from policy_service.adapters.sql.engine import reading, reading_one_moment
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.tables import Base
from policy_service.ports.ledger import UsageRow
from policy_service.ports.limits import Spent
from tests.fakes.ledger import FakeLedger
from tests.integration.sql.usage_rows import usage_row

NOW = datetime(2026, 11, 20, 12, 34, 56, 789000, tzinfo=UTC)
FROM_LEDGER = [measure for measure in Measure if measure.period.is_from_ledger]
ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"]
NODES = [
    "organisation:acme",
    "department:research",
    "team:search",
    "project:ranking",
    "user:alice",
    "application:ranker",
    "key:key_1",
]


def rows_around(now: datetime, count: int = 600) -> list[UsageRow]:
    """Rows of six weeks, many of them at the very edges of hours, days, months and buckets."""
    chance = random.Random(7)
    edges = [
        now.replace(minute=0, second=0, microsecond=0),
        now.replace(hour=18, minute=30, second=0, microsecond=0) - timedelta(days=1),
        now.replace(hour=18, minute=15, second=0, microsecond=0) - timedelta(days=1),
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 10, 31, 18, 30, tzinfo=UTC),
        datetime(2026, 10, 31, 18, 15, tzinfo=UTC),
        now - timedelta(days=1),
        now - timedelta(days=30),
        (now - timedelta(days=30)).replace(minute=0, second=0, microsecond=0),
        (now - timedelta(days=29)).replace(minute=0, second=0, microsecond=0),
        (now - timedelta(days=1)).replace(minute=30, second=0, microsecond=0),
    ]
    rows = []
    for number in range(count):
        at = chance.choice(edges) + timedelta(milliseconds=chance.choice([-1, 0, 0, 1]))
        if chance.random() < 0.5:
            at = now - timedelta(milliseconds=chance.randrange(42 * 86_400_000))
        rows.append(
            usage_row(
                f"dec_{number}",
                at=at,
                **{
                    name: chance.choice([own, own, "other"])
                    for name, own in (
                        ("team", "search"),
                        ("project", "ranking"),
                        ("user", "alice"),
                        ("application", "ranker"),
                        ("key_id", "key_1"),
                    )
                },
                asked_model=chance.choice(["small", "large", "huge"]),
                input_tokens=chance.choice([None, chance.randrange(1000)]),
                output_tokens=chance.choice([None, chance.randrange(1000)]),
                usd=Decimal(chance.randrange(10**14)).scaleb(-12),
                source=chance.choice(["provider", "estimated"]),
            )
        )
    return rows


async def both(engine: AsyncEngine, rows: Sequence[UsageRow]) -> tuple[SqlLedger, FakeLedger]:
    ledger, plain = SqlLedger(engine), FakeLedger()
    await ledger.record(rows)
    await plain.record(rows)
    return ledger, plain


async def test_every_limit_is_summed_to_the_row(engine: AsyncEngine):
    ledger, plain = await both(engine, rows_around(NOW))
    for measure in FROM_LEDGER:
        for node in NODES:
            for zone in ZONES if measure.period.is_calendar else ["UTC"]:
                for scope, models in (("", ()), ("group:big", ("large", "huge"))):
                    limit = Limit(node, measure, Decimal(1), scope, models, time_zone=zone)
                    said = await ledger.spent(limit, NOW)
                    assert said == await plain.spent(limit, NOW), limit
                    assert sum(one.amount for one in said) > 0, limit


@pytest.mark.parametrize("measure", FROM_LEDGER)
async def test_decisions_that_do_not_count_are_left_out(engine: AsyncEngine, measure: Measure):
    rows = rows_around(NOW, 2500)
    ledger, plain = await both(engine, rows)
    without = {row.decision_id for row in rows[::2]} | {"dec_unknown"}
    for node in ("team:search", "key:key_1"):
        limit = Limit(node, measure, Decimal(1), time_zone="Asia/Kolkata")
        assert await ledger.spent(limit, NOW, without) == await plain.spent(limit, NOW, without)
        everything = {row.decision_id for row in rows}
        left = await ledger.spent(limit, NOW, everything)
        assert [one.amount for one in left] == ([0] if measure.period.is_calendar else [])


@pytest.mark.parametrize("node", NODES)
async def test_a_bucket_of_an_hour_holds_its_last_moment_and_not_its_first(
    engine: AsyncEngine, node: str
):
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    rows = [
        usage_row("first", at=hour, usd=Decimal(1)),
        usage_row("later", at=hour + timedelta(milliseconds=1), usd=Decimal(2)),
        usage_row("left", at=hour - timedelta(days=30), usd=Decimal(4)),
        usage_row("oldest", at=hour - timedelta(days=30, milliseconds=-1), usd=Decimal(8)),
    ]
    ledger, _ = await both(engine, rows)
    assert await ledger.spent(Limit(node, Measure.USD_PER_30_DAYS, Decimal(1)), NOW) == (
        Spent(hour - timedelta(days=30), Decimal(8)),
        Spent(hour - timedelta(hours=1), Decimal(1)),
        Spent(hour, Decimal(2)),
    )


async def test_a_month_ends_at_midnight_of_the_organisations_clocks(engine: AsyncEngine):
    midnight = datetime(2026, 11, 30, 18, 30, tzinfo=UTC)  # in India
    rows = [
        usage_row("before", at=midnight - timedelta(microseconds=1), usd=Decimal(1)),
        usage_row("first", at=midnight, usd=Decimal(2)),
        usage_row("utc", at=datetime(2026, 12, 1, tzinfo=UTC), usd=Decimal(4)),
    ]
    ledger, _ = await both(engine, rows)
    for node in ("team:search", "key:key_1"):
        budget = Limit(node, Measure.USD_PER_MONTH, Decimal(1))
        here = replace(budget, time_zone="Asia/Kolkata")
        assert await ledger.spent(budget, midnight) == (
            Spent(datetime(2026, 11, 1, tzinfo=UTC), Decimal(3)),
        )
        assert await ledger.spent(here, midnight) == (Spent(midnight, Decimal(6)),)


async def test_nothing_spent_is_nothing(engine: AsyncEngine):
    ledger = SqlLedger(engine)
    for measure in FROM_LEDGER:
        spent = await ledger.spent(Limit("team:search", measure, Decimal(1)), NOW)
        assert sum(one.amount for one in spent) == 0


async def test_a_scope_without_models_has_no_rows(engine: AsyncEngine):
    ledger, _ = await both(engine, [usage_row(at=NOW)])
    limit = Limit("team:search", Measure.USD_PER_DAY, Decimal(1), "group:empty")
    assert [one.amount for one in await ledger.spent(limit, NOW)] == [0]


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (Limit("model:gpt", Measure.USD_PER_MONTH, Decimal(1)), "model:gpt"),
        (Limit("team:a", Measure.TOKENS_PER_MINUTE, Decimal(1)), "tokens_per_minute"),
        (Limit("team:a", Measure.CONCURRENT_REQUESTS, Decimal(1)), "concurrent_requests"),
        (Limit("team:a", Measure.USD_PER_DAY, Decimal(1), time_zone="Mars"), "time zone"),
    ],
)
async def test_what_the_ledger_cannot_know_is_an_error_and_not_zero(
    engine: AsyncEngine, limit: Limit, words: str
):
    with pytest.raises(ValueError, match=words):
        await SqlLedger(engine).spent(limit, NOW)


async def test_a_row_that_is_written_meanwhile_is_never_taken_out_uncounted(engine: AsyncEngine):
    """The sum and what is taken out of it see one moment: else the result would be below zero."""
    ledger = SqlLedger(engine)
    limit = Limit("team:search", Measure.USD_PER_MONTH, Decimal(1))
    ids = [f"dec_{number}" for number in range(60)]

    async def write() -> None:
        for decision_id in ids:
            await ledger.record([usage_row(decision_id, at=NOW, usd=Decimal(1))])

    writing = asyncio.create_task(write())
    while not writing.done():
        (left,) = await ledger.spent(limit, NOW, ids)
        assert left.amount == 0
        sliding = await ledger.spent(replace(limit, measure=Measure.USD_PER_30_DAYS), NOW, ids)
        assert sliding == ()
    await writing


async def test_what_is_summed_together_is_seen_at_one_moment(engine: AsyncEngine):
    ledger = SqlLedger(engine)
    count = select(func.count()).select_from(Base.metadata.tables["usage"])
    async with reading_one_moment(engine) as connection:
        assert (await connection.execute(count)).scalar_one() == 0
        await ledger.record([usage_row()])
        assert (await connection.execute(count)).scalar_one() == 0
    async with reading(engine) as connection:
        assert (await connection.execute(count)).scalar_one() == 1


def test_every_period_of_the_ledger_is_tried_here() -> None:
    tried = {measure.period for measure in FROM_LEDGER}
    assert tried == {Period.DAY, Period.MONTH, Period.LAST_24_HOURS, Period.LAST_30_DAYS}
