"""Roll-ups made anew: hours and latencies from the rows of the ledger, days from the hours."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Table,
    case,
    delete,
    func,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.decision import CacheUse, ErrorClass
from llm_core.tokens.usage import UsageSource
from policy_service.adapters.sql.dialects import FullDay, FullHour, Microseconds
from policy_service.adapters.sql.latencies import counted
from policy_service.adapters.sql.months import day_of
from policy_service.adapters.sql.rollups import (
    CONDITIONAL,
    DAYS,
    GROUP,
    LATENCY_GROUP,
    MODEL_LATENCIES,
    MONEY,
    SUMS,
    Coarse,
    bucket_of,
)
from policy_service.adapters.sql.tables import Base
from policy_service.ports.upkeep import Remade

_USAGE = Base.metadata.tables["usage"]
_HOURLY = Base.metadata.tables["usage_hourly"]
_LATENCY = Base.metadata.tables["usage_latency"]
_DAY = timedelta(days=1)
_GROUPS_A_STATEMENT = 1000


async def remake(
    connection: AsyncConnection, first: datetime, end: datetime, *, may_shrink: bool
) -> Remade:
    """Make the roll-ups of some full days anew, within the connection's transaction.

    Whoever writes the ledger waits at the roll-ups until it ends. What they have written of rows by
    then is not seen here, and they add it afterwards.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(text("LOCK TABLE usage_hourly IN SHARE ROW EXCLUSIVE MODE"))
    in_hours = (_HOURLY.c.hour >= first, _HOURLY.c.hour < end)
    in_rows = (_USAGE.c.at >= first, _USAGE.c.at < end)
    told = select(func.coalesce(func.sum(_HOURLY.c.requests), 0)).where(*in_hours)
    before = int((await connection.execute(told)).scalar_one())
    kept = select(func.count()).select_from(_USAGE).where(*in_rows)
    rows = int((await connection.execute(kept)).scalar_one())
    is_changed = rows >= before or may_shrink
    if is_changed:
        await _remake_fine(connection, first, end)
    # Also of a month whose rows are gone: its hours are there.
    for coarse in (*DAYS, MODEL_LATENCIES):
        await _remake_coarse(connection, coarse, first, end)
    return Remade(rows, before, is_changed=is_changed)


async def _remake_fine(connection: AsyncConnection, first: datetime, end: datetime) -> None:
    in_hours = (_HOURLY.c.hour >= first, _HOURLY.c.hour < end)
    in_rows = (_USAGE.c.at >= first, _USAGE.c.at < end)
    found = (await connection.execute(_grouped().where(*in_rows))).mappings().all()
    await connection.execute(delete(_HOURLY).where(*in_hours))
    await _put(connection, _HOURLY, GROUP, found)
    gone = (_LATENCY.c.day >= first, _LATENCY.c.day < end)
    await connection.execute(delete(_LATENCY).where(*gone))
    hours = await connection.execute(select(FullHour(_USAGE.c.at)).where(*in_rows).distinct())
    for day in sorted({day_of(hour) for hour in hours.scalars()}):
        await _make_latencies(connection, day)


async def _make_latencies(connection: AsyncConnection, day: datetime) -> None:
    """Day by day, because a month has many slots."""
    columns = {name: group_column(name) for name in LATENCY_GROUP if name not in ("day", "slot")}
    in_day = (_USAGE.c.at >= day, _USAGE.c.at < day + _DAY)
    found = (await connection.execute(counted(columns, *in_day))).mappings().all()
    await _put(connection, _LATENCY, LATENCY_GROUP, [{"day": day, **one} for one in found])


async def _remake_coarse(
    connection: AsyncConnection, coarse: Coarse, first: datetime, end: datetime
) -> None:
    tables = Base.metadata.tables
    table, finer = tables[coarse.table], tables[coarse.finer]
    moment = finer.c["hour" if "hour" in finer.c else "day"]
    in_finer = (moment >= first, moment < end)
    await connection.execute(delete(table).where(table.c.day >= first, table.c.day < end))
    group = [
        (FullDay(moment) if name == "day" else finer.c[name]).label(name) for name in coarse.group
    ]
    sums = (func.sum(conditional(finer, name)).label(name) for name in coarse.sums)
    query = select(*group, *sums).where(*in_finer).group_by(*group)
    found = (await connection.execute(query)).mappings().all()
    await _put(connection, table, coarse.group, found)


async def _put(
    connection: AsyncConnection,
    table: Table,
    group: Iterable[str],
    found: Sequence[RowMapping | dict[str, Any]],
) -> None:
    for start in range(0, len(found), _GROUPS_A_STATEMENT):
        rows = [dict(one) for one in found[start : start + _GROUPS_A_STATEMENT]]
        for row in rows:
            row["bucket"] = bucket_of({name: row[name] for name in group})
        await connection.execute(table.insert(), rows)


def conditional(hourly: Table, name: str) -> ColumnElement[Any]:
    """What a row of the hours adds to a sum by day: what `rollups.coarser` does."""
    if name not in CONDITIONAL:
        return hourly.c[name]
    inner, condition = CONDITIONAL[name]
    is_met = {
        "failed": hourly.c.error_class != literal_column(f"'{ErrorClass.NONE.value}'"),
        "estimated": hourly.c.is_estimated,
    }
    return case((is_met[condition], hourly.c[inner]), else_=literal_column("0"))


def _grouped() -> Select[Any]:
    """The rows' sums by group: what `rollups.hourly_changes` does, by the database."""
    group = {name: group_column(name).label(name) for name in GROUP}
    sums = {name: func.sum(amount(name)).label(name) for name in SUMS}
    return select(*group.values(), *sums.values()).group_by(*group.values())


def group_column(name: str) -> ColumnElement[Any]:
    """The column of `GROUP` as the ledger's rows have it.

    Without bound values: PostgreSQL would not see that it groups by what it selects.
    """
    match name:
        case "hour":
            return FullHour(_USAGE.c.at)
        case "model":
            served = func.nullif(_USAGE.c.served_model, literal_column("''"))
            return func.coalesce(served, _USAGE.c.routed_model)
        case "is_estimated":
            return _USAGE.c.source == literal_column(f"'{UsageSource.ESTIMATED.value}'")
        case _:
            return _USAGE.c[name]


def amount(name: str) -> ColumnElement[Any]:
    """What a row of the ledger adds to one of `SUMS`."""
    if name == "requests":
        return literal(1)
    if name == "cache_hits":
        return case((_USAGE.c.cache == CacheUse.HIT.value, 1), else_=0)
    if name.endswith("_us"):
        return func.coalesce(Microseconds(_USAGE.c[name.replace("_us", "_ms")]), 0)
    if name.endswith("_count"):
        return case((_USAGE.c[name.replace("_count", "_ms")].is_not(None), 1), else_=0)
    if name in (*MONEY, "fallbacks"):
        return _USAGE.c[name]
    return func.coalesce(_USAGE.c[name], 0)
