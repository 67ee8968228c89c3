"""Implements `ports.costs.Reliable`: errors from the roll-ups, percentiles from the slots."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, Table, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.costs.latency import percentile_ms
from llm_core.policy.decision import ErrorClass
from policy_service.adapters.sql.costs.facts import (
    USAGE,
    by_span,
    chosen,
    column,
    facts,
    has_calls,
    summed,
)
from policy_service.adapters.sql.engine import prepare_to_sum, reading_one_moment
from policy_service.adapters.sql.latencies import counted
from policy_service.adapters.sql.months import full_days
from policy_service.adapters.sql.rollups import LATENCIES
from policy_service.adapters.sql.tables import Base
from policy_service.ports.costs import Dimension, Latency, Reliability, Scope

LONGEST_FROM_ROWS = timedelta(days=7)
_SLOTS = Base.metadata.tables["usage_latency"]
_SLOTS_OF_ALL = Base.metadata.tables["usage_latency_models"]
_KEPT_BY = frozenset(
    {
        Dimension.ORGANISATION,
        Dimension.DEPARTMENT,
        Dimension.TEAM,
        Dimension.MODEL,
        Dimension.SERVED_MODEL,
        Dimension.PROVIDER,
    }
)
_SUMS = (
    "requests",
    "fallbacks",
    *(f"{name}_{what}" for name in LATENCIES for what in ("us", "count")),
)
_NODES = ("organisation:", "department:", "team:")
_Key = tuple[str | None, ...]


@dataclass(slots=True)
class _Told:
    """What is known of one group, as it is added up."""

    sums: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    slots: dict[str, Counter[int]] = field(
        default_factory=lambda: {name: Counter() for name in LATENCIES}
    )

    def add(self, other: "_Told") -> None:
        self.sums.update(other.sums)
        self.errors.update(other.errors)
        for name in LATENCIES:
            self.slots[name].update(other.slots[name])


class SqlReliability:
    """How calls went."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def reliability(
        self,
        scope: Scope,
        start: datetime,
        end: datetime,
        group_by: Sequence[Dimension],
    ) -> tuple[tuple[Reliability, ...], Reliability]:
        """Each group, the busiest first, and all together; see the port."""
        async with reading_one_moment(self._engine) as connection:
            await prepare_to_sum(connection)
            groups = await _counts(connection, scope, start, end, group_by)
            has_slots = await _add_slots(connection, groups, scope, (start, end), group_by)
        whole = _Told()
        for told in groups.values():
            whole.add(told)
        rows = [
            _reliability(dict(zip(map(str, group_by), key, strict=True)), told, has_slots=has_slots)
            for key, told in groups.items()
        ]
        rows.sort(key=lambda row: (-row.requests, str(row.keys)))
        return tuple(rows), _reliability({}, whole, has_slots=has_slots)


async def _counts(
    connection: AsyncConnection,
    scope: Scope,
    start: datetime,
    end: datetime,
    group_by: Sequence[Dimension],
) -> dict[_Key, _Told]:
    names = tuple(dict.fromkeys((*group_by, Dimension.ERROR_CLASS)))
    edges = (start, end)
    source = facts(scope, edges, by_span(edges), names, _SUMS)
    key = [source.c[name] for name in names]
    statement = select(*key, *summed(source, _SUMS)).group_by(*key).having(has_calls(source))
    groups: defaultdict[_Key, _Told] = defaultdict(_Told)
    for row in (await connection.execute(statement)).mappings():
        told = groups[tuple(row[name] for name in group_by)]
        told.sums.update({name: int(row[name]) for name in _SUMS})
        if row[Dimension.ERROR_CLASS] != ErrorClass.NONE:
            told.errors[row[Dimension.ERROR_CLASS]] += int(row["requests"])
    return dict(groups)


async def _add_slots(
    connection: AsyncConnection,
    groups: Mapping[_Key, _Told],
    scope: Scope,
    asked: tuple[datetime, datetime],
    group_by: Sequence[Dimension],
) -> bool:
    """Add what was counted by slot; whether percentiles can be had of it."""
    start, end = asked
    pieces = [(start, end)]
    if _are_kept(scope, group_by):
        first, last = full_days(start, end)
        pieces = [(start, first), (last, end)] if first < last else pieces
        if first < last:
            _note(groups, await _kept(connection, scope, (first, last), group_by), group_by)
    elif end - start > LONGEST_FROM_ROWS:
        return False
    in_pieces = [(USAGE.c.at >= low) & (USAGE.c.at < high) for low, high in pieces if low < high]
    if in_pieces:
        columns = {str(name): column(USAGE, name) for name in group_by}
        statement = counted(columns, or_(*in_pieces), *chosen(USAGE, scope))
        _note(groups, (await connection.execute(statement)).mappings(), group_by)
    return True


def _are_kept(scope: Scope, group_by: Iterable[Dimension]) -> bool:
    """Whether slots are kept by all that the question is about."""
    nodes = scope.nodes or ()
    return {*group_by, *scope.filters} <= _KEPT_BY and all(
        node.startswith(_NODES) for node in nodes
    )


def _slots_for(scope: Scope, group_by: Iterable[Dimension]) -> Table:
    """Those of all teams together, where nobody asks for one."""
    asked = {*group_by, *scope.filters}
    is_for_all = asked.isdisjoint((Dimension.DEPARTMENT, Dimension.TEAM)) and all(
        node.startswith("organisation:") for node in scope.nodes or ()
    )
    return _SLOTS_OF_ALL if is_for_all else _SLOTS


async def _kept(
    connection: AsyncConnection,
    scope: Scope,
    days: tuple[datetime, datetime],
    group_by: Sequence[Dimension],
) -> Iterable[RowMapping]:
    slots = _slots_for(scope, group_by)
    key = [column(slots, name).label(str(name)) for name in group_by]
    counts = (func.sum(slots.c[name]).label(name) for name in LATENCIES)
    statement = (
        select(*key, slots.c.slot, *counts)
        .where(slots.c.day >= days[0], slots.c.day < days[1], *chosen(slots, scope))
        .group_by(*key, slots.c.slot)
    )
    return (await connection.execute(statement)).mappings()


def _note(
    groups: Mapping[_Key, _Told], rows: Iterable[RowMapping], group_by: Sequence[Dimension]
) -> None:
    for row in rows:
        told = groups.get(tuple(row[str(name)] for name in group_by))
        if told is not None:
            for name in LATENCIES:
                told.slots[name][int(row["slot"])] += int(row[name])


def _reliability(keys: Mapping[str, str | None], told: _Told, *, has_slots: bool) -> Reliability:
    def latency(name: str) -> Latency:
        count, slots = told.sums[f"{name}_count"], told.slots[name] if has_slots else {}
        mean = round(told.sums[f"{name}_us"] / count / 1000, 3) if count else None
        p50, p95, p99 = (percentile_ms(slots, percent) for percent in (50, 95, 99))
        return Latency(count, mean, p50, p95, p99)

    return Reliability(
        keys=keys,
        requests=told.sums["requests"],
        failed=told.errors.total(),
        fallbacks=told.sums["fallbacks"],
        errors=dict(sorted(told.errors.items())),
        total_ms=latency("total"),
        first_token_ms=latency("time_to_first_token"),
        overhead_ms=latency("overhead"),
    )
