"""A lease that ended unreported gives way to whatever is reported later, in whichever order."""

from itertools import permutations

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.ledger import SqlLedger, ledger_columns, row_of
from policy_service.ports.ledger import UsageRow
from tests.integration.sql.usage_rows import usage_row

ENDED = usage_row("a", source="estimated", error_class="unreported", output_tokens=100)
GUESSED = usage_row("a", source="estimated", error_class="timeout", output_tokens=0)
TRUE = usage_row("a", source="provider", error_class="none", output_tokens=7)


async def stored(engine: AsyncEngine) -> UsageRow:
    async with engine.connect() as connection:
        [found] = (await connection.execute(select(*ledger_columns()))).mappings()
    return row_of(found)


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize(
    "rows", [*permutations([ENDED, GUESSED]), *permutations([ENDED, GUESSED, TRUE])]
)
async def test_what_says_more_stands(
    engine: AsyncEngine, rows: tuple[UsageRow, ...], together: bool
) -> None:
    ledger = SqlLedger(engine)
    for batch in [rows] if together else [[one] for one in rows]:
        await ledger.record(batch)
    expected = TRUE if TRUE in rows else GUESSED
    assert (await stored(engine)).output_tokens == expected.output_tokens
