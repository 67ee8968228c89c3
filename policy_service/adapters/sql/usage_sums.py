"""What was used in any time, by any dimension, to the last digit.

From the smallest roll-ups that have it; what lies in hours that the time cuts comes from the ledger
itself (see `costs.facts`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy_service.adapters.sql.costs.facts import by_span, facts, has_calls, summed
from policy_service.adapters.sql.engine import prepare_to_sum
from policy_service.ports.costs import Dimension, Scope

_SUMS = ("requests", "input_tokens", "output_tokens", "usd")


@dataclass(frozen=True, slots=True)
class UsageSum:
    """What one group has used.

    Args:
        keys: Its dimensions.
    """

    keys: Mapping[str, str | None]
    requests: int
    input_tokens: int
    output_tokens: int
    usd: Decimal


async def usage_between(
    connection: AsyncConnection,
    start: datetime,
    end: datetime,
    *,
    by: Sequence[str],
    only: Mapping[str, str],
    nodes: Collection[str] | None = None,
) -> list[UsageSum]:
    """The sums of a time, by some dimensions; groups without calls are left out.

    Args:
        connection: Everything is read in its transaction.
        start: UTC-aware.
        end: The first moment after it.
        by: The dimensions to tell apart.
        only: Values that dimensions must have.
        nodes: Only what was used at or below these; `None` for all.
    """
    filters = {Dimension(name): (value,) for name, value in only.items()}
    scope = Scope(None if nodes is None else frozenset(nodes), filters)
    edges = (start, end)
    source = facts(scope, edges, by_span(edges), by, _SUMS)
    groups = [source.c[name].label(f"by_{name}") for name in by]
    statement = select(*groups, *summed(source, _SUMS)).group_by(*groups).having(has_calls(source))
    await prepare_to_sum(connection)
    return [
        UsageSum(
            {name: row[f"by_{name}"] for name in by},
            int(row["requests"]),
            int(row["input_tokens"]),
            int(row["output_tokens"]),
            row["usd"],
        )
        for row in (await connection.execute(statement)).mappings()
    ]
