"""A process that records rows, for tests with several of them at once.

Usage: `python ledger_writer.py <database url> <number of rows> <first row>`. It records every row
from the first on, around to the one before it, in batches of 7, and once more as a true figure.
"""

import asyncio
import sys
from decimal import Decimal

from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.ledger import SqlLedger
from tests.integration.sql.usage_rows import usage_row

BATCH = 7


async def write(url: str, total: int, first: int) -> None:
    engine = open_engine(url)
    ledger = SqlLedger(engine)
    numbers = [(first + offset) % total for offset in range(total)]
    for source, usd in (("estimated", "0.000000000009"), ("provider", "0.000000000007")):
        for start in range(0, total, BATCH):
            await ledger.record(
                [
                    usage_row(
                        f"dec_{number}",
                        source=source,
                        usd=Decimal(usd) * number,
                        team=f"team-{number % 3}",
                    )
                    for number in numbers[start : start + BATCH]
                ]
            )
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
