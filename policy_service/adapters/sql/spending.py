"""Sums of the ledger for limits, exact to the row.

Three ways to the same figure: full hours from the roll-ups, where they keep the limit's node; rows,
for keys and for what lies between full hours; and rows by bucket, for periods that slide.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, Table, func, literal, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.limits import Limit, Period, Quantity
from policy_service.adapters.sql.dialects import BucketNumber
from policy_service.adapters.sql.months import full_hours
from policy_service.adapters.sql.tables import Base
from policy_service.periods import SLIDING, calendar_span, sliding_start
from policy_service.ports.limits import Spent

USAGE = Base.metadata.tables["usage"]
HOURLY = Base.metadata.tables["usage_hourly"]
_NODES = {
    "organisation": "organisation",
    "department": "department",
    "team": "team",
    "project": "project",
    "user": "user",
    "application": "application",
    "key": "key_id",
    "approval": "approval_id",
}
_SUMMED = tuple(
    USAGE.c[name]
    for name in (*_NODES.values(), "at", "asked_model", "usd", "input_tokens", "output_tokens")
)
_IDS_A_QUERY = 1000  # both databases bind some 32,000 values a statement
_HOUR = timedelta(hours=1)
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of time, from `start` up to and without `end` (`None`: for ever)."""

    start: datetime
    end: datetime | None


async def spent_of(
    connection: AsyncConnection, limit: Limit, now: datetime, without: Collection[str]
) -> tuple[Spent, ...]:
    """See `ports.Ledger.spent`; the connection's queries must all see one moment.

    Raises:
        ValueError: The limit's period is not kept in the ledger, its node is of no known kind, or
            there is no such time zone.
    """
    if not limit.measure.period.is_from_ledger:
        raise ValueError(f"the ledger does not keep {limit.measure}")
    if limit.node.partition(":")[0] not in _NODES:
        raise ValueError(f"there is no ledger for the node {limit.node[:100]!r}")
    if limit.measure.period.is_calendar:
        return await _calendar(connection, limit, now, without)
    return await _sliding(connection, limit, now, without)


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """Ids in portions that a statement can take, each in order, so that locks are too."""
    every = sorted(ids)
    for start in range(0, len(every), _IDS_A_QUERY):
        yield every[start : start + _IDS_A_QUERY]


async def _calendar(
    connection: AsyncConnection, limit: Limit, now: datetime, without: Collection[str]
) -> tuple[Spent, ...]:
    span = calendar_span(limit.measure.period, now, limit.time_zone)
    whole = _Part(span.starts_at, span.ends_at)
    total = Decimal(0)
    if _in_rollups(limit):
        first, last = full_hours(span.starts_at, span.ends_at)
        total += await _sum(connection, _of(HOURLY, limit, _Part(first, last)))
        for edge in (_Part(span.starts_at, first), _Part(last, span.ends_at)):
            if edge.start != edge.end:
                total += await _sum(connection, _of(USAGE, limit, edge))
    else:
        total += await _sum(connection, _of(USAGE, limit, whole))
    for ids in chunks(without):
        total -= await _sum(connection, _of(_named(ids, whole), limit, whole))
    return (Spent(span.starts_at, total),)


async def _sliding(
    connection: AsyncConnection, limit: Limit, now: datetime, without: Collection[str]
) -> tuple[Spent, ...]:
    bucket_s = SLIDING[limit.measure.period].bucket_s
    start = sliding_start(limit.measure.period, now)
    if limit.measure.period is Period.LAST_30_DAYS and _in_rollups(limit):
        sums = await _hours(connection, limit, start)
    else:
        sums = await _buckets(connection, USAGE, _after(USAGE, limit, start), bucket_s)
    for ids in chunks(without):
        named = _named(ids, _Part(start, None))
        left_out = await _buckets(connection, named, _after(named, limit, start), bucket_s)
        for bucket, amount in left_out.items():
            sums[bucket] = sums.get(bucket, Decimal(0)) - amount
    return tuple(
        Spent(datetime.fromtimestamp((bucket - 1) * bucket_s, UTC), amount)
        for bucket, amount in sorted(sums.items())
        if amount
    )


async def _hours(connection: AsyncConnection, limit: Limit, start: datetime) -> dict[int, Decimal]:
    """By buckets of an hour, from the roll-ups.

    A bucket holds the moment it ends at, a roll-up the moment it begins with. They differ by the
    rows of exactly that moment, which are few and are taken over from one to the other.
    """
    query = _of(HOURLY, limit, _Part(start, None)).add_columns(HOURLY.c.hour)
    found = await connection.execute(query.group_by(HOURLY.c.hour))
    sums = {int(hour.timestamp()) // _HOUR_S + 1: _decimal(amount) for amount, hour in found}
    if not sums:
        return {}
    on_the_hour = _of(USAGE, limit, _Part(start, None)).where(
        USAGE.c.at.in_([start + bucket * _HOUR for bucket in range(_hours_since(start, sums))])
    )
    for bucket, amount in (await _buckets(connection, USAGE, on_the_hour, _HOUR_S)).items():
        sums[bucket + 1] = sums.get(bucket + 1, Decimal(0)) - amount
        if bucket * _HOUR_S > start.timestamp():
            sums[bucket] = sums.get(bucket, Decimal(0)) + amount
    return sums


def _hours_since(start: datetime, sums: Mapping[int, Decimal]) -> int:
    return max(sums) - int(start.timestamp()) // _HOUR_S


def _in_rollups(limit: Limit) -> bool:
    return _NODES[limit.node.partition(":")[0]] in HOURLY.c


def _named(ids: list[str], part: _Part) -> CTE:
    """The rows of these decisions, found by their ids before anything else is asked of them.

    Else PostgreSQL may read all that a node used in the whole time and look for the ids in it: that
    took seconds for a team with 50,000 rows.
    """
    query = select(*_SUMMED).where(USAGE.c.decision_id.in_(ids), USAGE.c.at >= part.start)
    if part.end is not None:
        query = query.where(USAGE.c.at < part.end)
    return query.cte("named").prefix_with("MATERIALIZED", dialect="postgresql")


def _of(table: Table | CTE, limit: Limit, part: _Part) -> Select[Any]:
    """The limit's unit summed over the table's rows of a stretch of time."""
    kind, _, node_id = limit.node.partition(":")
    column: ColumnElement[Any] = table.c[_NODES[kind]]
    time = table.c.hour if table is HOURLY else table.c.at
    query = select(func.sum(_unit(table, limit.measure.quantity)))
    query = query.where(column == node_id, time >= part.start)
    if part.end is not None:
        query = query.where(time < part.end)
    if limit.scope:
        query = query.where(table.c.asked_model.in_(sorted(limit.models)))
    return query


def _after(table: Table | CTE, limit: Limit, start: datetime) -> Select[Any]:
    """Rows of the buckets from `start` on: a bucket does not hold the moment that it begins at."""
    return _of(table, limit, _Part(start, None)).where(table.c.at > start)


def _unit(table: Table | CTE, quantity: Quantity) -> ColumnElement[Any]:
    match quantity:
        case Quantity.USD:
            return table.c.usd
        case Quantity.INPUT_TOKENS:
            return func.coalesce(table.c.input_tokens, 0)
        case Quantity.OUTPUT_TOKENS:
            return func.coalesce(table.c.output_tokens, 0)
        case Quantity.TOKENS:
            return func.coalesce(table.c.input_tokens, 0) + func.coalesce(table.c.output_tokens, 0)
        case Quantity.REQUESTS:
            return table.c.requests if table is HOURLY else literal(1)


async def _sum(connection: AsyncConnection, query: Select[Any]) -> Decimal:
    return _decimal((await connection.execute(query)).scalar_one())


async def _buckets(
    connection: AsyncConnection, table: Table | CTE, query: Select[Any], bucket_s: int
) -> dict[int, Decimal]:
    """The query's sum by the number of the bucket that a row's moment lies in."""
    # Written out and not bound: PostgreSQL would not see that both places say the same.
    bucket = BucketNumber(table.c.at, literal_column(str(bucket_s)))
    found = await connection.execute(query.add_columns(bucket).group_by(bucket))
    return {int(number): _decimal(amount) for amount, number in found}


def _decimal(amount: Decimal | int | None) -> Decimal:
    return Decimal(0) if amount is None else Decimal(amount)
