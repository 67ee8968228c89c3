"""Requests that are carried out once, on both databases."""

import asyncio
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.idempotency import SqlIdempotency
from policy_service.adapters.sql.tables import IdempotencyRow
from policy_service.ports.idempotency import KeptAnswer, Outcome, Remembered
from tests.fakes.clock import NOON

ANSWER = KeptAnswer(201, b'{"id":"x"}', "application/json")


async def test_of_many_who_begin_at_once_one_does(engine: AsyncEngine) -> None:
    kept = SqlIdempotency(engine)
    claims = await asyncio.gather(*(kept.claim("user:a", "k", "d", NOON) for _ in range(10)))
    assert claims.count(None) == 1
    assert all(
        one.outcome is Outcome.UNDER_WAY and one.digest == "d" for one in claims if one is not None
    )


async def test_an_answer_is_kept_for_a_day(engine: AsyncEngine) -> None:
    kept = SqlIdempotency(engine)
    assert await kept.claim("user:a", "k", "d", NOON) is None
    await kept.finish("user:a", "k", Outcome.DONE, ANSWER, "/there")
    later = NOON + timedelta(hours=24) - timedelta(seconds=1)
    told = await kept.claim("user:a", "k", "other", later)
    assert told == Remembered("d", NOON, Outcome.DONE, ANSWER, "/there")
    assert await kept.claim("user:a", "k", "other", NOON + timedelta(hours=24)) is None


async def test_what_was_not_done_is_forgotten(engine: AsyncEngine) -> None:
    kept = SqlIdempotency(engine)
    await kept.claim("user:a", "k", "d", NOON)
    await kept.forget("user:b", "k")
    assert await kept.claim("user:a", "k", "d", NOON) is not None
    await kept.forget("user:a", "k")
    assert await kept.claim("user:a", "k", "d", NOON) is None


async def test_old_ones_are_dropped_by_whoever_comes(engine: AsyncEngine) -> None:
    kept = SqlIdempotency(engine)
    for number in range(5):
        await kept.claim("user:a", f"k{number}", "d", NOON)
    await kept.claim("user:a", "new", "d", NOON + timedelta(days=2))
    async with reading(engine) as connection:
        count = await connection.execute(select(func.count()).select_from(IdempotencyRow))
        assert count.scalar_one() == 1
