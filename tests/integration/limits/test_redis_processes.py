import asyncio
import os
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from policy_service.adapters.redis_limits import RedisLimitsStore
from tests.fixtures.reservations import NOW, usd_limit

PROGRAM = Path(__file__).with_name("reserving_process.py")
ROOT = Path(__file__).parents[3]

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


@pytest.mark.parametrize("kind", ["requests", "tokens", "usd"])
async def test_three_processes_together_take_no_more_than_one_limit(
    redis_store: RedisLimitsStore, redis_url: str, kind: str
) -> None:
    await redis_store.prime(usd_limit("7.77"), Decimal(0), NOW)
    processes = [await spawn(redis_url, f"p{i}", kind, "100") for i in range(3)]
    async with asyncio.timeout(60):
        said = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(int(output) for output, _ in said) == 77
