import asyncio
import os
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from llm_core.policy.limits import Amounts, Limit, Measure, Period, Quantity
from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.ports.limits import Refused, Reserved
from tests.fixtures.reservations import NOW, amounts, limit_of, prime, reservation

PROGRAM = Path(__file__).with_name("reserving_process.py")
ROOT = Path(__file__).parents[3]

FIT = 77
CALL = amounts(10, "0.1", output_tokens=3)
CALLS = ("67", "67", "66")
NEXT_PERIOD = {
    Period.UNDER_WAY: NOW + timedelta(seconds=300),
    Period.MINUTE: NOW + timedelta(seconds=60),
    Period.DAY: datetime.fromisoformat("2026-11-21T00:00Z"),
    Period.MONTH: datetime.fromisoformat("2026-12-01T00:00Z"),
    Period.LAST_24_HOURS: NOW + timedelta(hours=24),
    Period.LAST_30_DAYS: NOW + timedelta(days=30),
}
FIVE_LEVELS = ("organisation:acme", "department:r-and-d", "team:search", "project:p", "user:u")

pytestmark = pytest.mark.integration


async def spawn(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
    )


def fitting(measure: Measure, node: str = "team:search", calls: int = FIT) -> Limit:
    """A limit under which so many calls fit, and nearly one more."""
    exactly = calls * CALL.of(measure.quantity)
    return limit_of(measure, str(exactly + CALL.of(measure.quantity) * Decimal("0.999")), node)


def whole(limit: Limit) -> Amounts:
    """All that a limit allows, in one call."""
    count = int(limit.amount)
    match limit.measure.quantity:
        case Quantity.INPUT_TOKENS:
            return Amounts(1, count, 0, Decimal(0))
        case Quantity.OUTPUT_TOKENS:
            return Amounts(1, 0, count, Decimal(0))
        case Quantity.TOKENS:
            return Amounts(1, count // 2, count - count // 2, Decimal(0))
        case Quantity.USD:
            return Amounts(1, 0, 0, limit.amount)
        case Quantity.REQUESTS:
            return Amounts(count, 0, 0, Decimal(0))


async def passed(url: str, limits: list[Limit]) -> int:
    """How many of 200 calls of three processes at once."""
    told = msgspec.json.encode(limits).decode()
    processes = [await spawn(url, f"p{i}", told, calls) for i, calls in enumerate(CALLS)]
    async with asyncio.timeout(60):
        said = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0, 0]
    return sum(int(output) for output, _ in said)


@pytest.mark.parametrize("measure", Measure)
async def test_three_processes_together_take_no_more_than_one_limit(
    redis_store: RedisLimitsStore, redis_url: str, measure: Measure
) -> None:
    limit = fitting(measure)
    is_from_ledger, then = measure.period.is_from_ledger, NEXT_PERIOD[measure.period]
    if is_from_ledger:
        await prime(redis_store, limit, 0)
    assert await passed(redis_url, [limit]) == FIT
    (state,) = await redis_store.states([limit], NOW)
    assert state.used == FIT * CALL.of(measure.quantity)

    just_before = then - timedelta(milliseconds=1)
    one_more = reservation("one-more", [limit], at=just_before)
    assert isinstance(await redis_store.reserve(one_more, CALL, just_before), Refused)
    if is_from_ledger:
        await prime(redis_store, limit, 0, then)
    full = reservation("full", [limit], at=then)
    assert isinstance(await redis_store.reserve(full, whole(limit), then), Reserved)


async def test_three_processes_together_take_no_more_than_a_tree_of_five_levels(
    redis_store: RedisLimitsStore, redis_url: str
) -> None:
    """Every level has every kind of limit; the tightest is somewhere in the middle."""
    tightest = ("department:r-and-d", Measure.USD_PER_24_HOURS)
    limits = [
        fitting(measure, node, FIT if (node, measure) == tightest else FIT + 60)
        for node in FIVE_LEVELS
        for measure in Measure
    ]
    for limit in limits:
        if limit.measure.period.is_from_ledger:
            await prime(redis_store, limit, 0)
    assert await passed(redis_url, limits) == FIT
    for state in await redis_store.states(limits, NOW):
        assert state.used == FIT * CALL.of(state.limit.measure.quantity), state.limit.key
