"""What watchers ask the ledger and the decision log; every query is bounded by an index on time."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, case, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.policy.decision import ErrorClass
from llm_core.tokens.usage import UsageSource
from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.tables import Base, OrganisationUnit
from policy_service.ports.incidents import CallCounts, SpentHours, UnpricedCalls

_USAGE = Base.metadata.tables["usage"]
_HOURLY = Base.metadata.tables["usage_hourly"]
_DECISIONS = Base.metadata.tables["decisions"]
_UTC = "UTC"
_UNPRICED = "unpriced_model"
_PROVIDERS_FAULT = (
    ErrorClass.RATE_LIMITED,
    ErrorClass.PROVIDER,
    ErrorClass.UNREACHABLE,
    ErrorClass.TIMEOUT,
    ErrorClass.CUT_OFF,
)


class SqlWatched:
    """Implements `ports.Watched` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def time_zones(self) -> frozenset[str]:
        """See `Watched.time_zones`; organisations that are not in the database have UTC."""
        async with reading(self._engine) as connection:
            return frozenset({_UTC, *(await _zones(connection)).values()})

    async def spent_hours(
        self, level: str, time_zone: str, hours: Collection[datetime]
    ) -> Sequence[SpentHours]:
        """See `Watched.spent_hours`."""
        part = _HOURLY.c[level]
        async with reading(self._engine) as connection:
            zones = await _zones(connection)
            found = await connection.execute(
                select(part, _HOURLY.c.hour, func.sum(_HOURLY.c.usd))
                .where(_HOURLY.c.hour.in_(sorted(hours)), _in_zone(zones, time_zone))
                .group_by(part, _HOURLY.c.hour)
            )
            sums: dict[str, dict[datetime, Decimal]] = {}
            for name, hour, usd in found:
                sums.setdefault(name, {})[hour] = usd
        return [
            SpentHours(f"{level}:{name}", time_zone, by_hour)
            for name, by_hour in sorted(sums.items())
        ]

    async def has_spent(self, node: str, before: datetime) -> bool:
        """See `Watched.has_spent`."""
        level, _, name = node.partition(":")
        query = select(exists().where(_HOURLY.c[level] == name, _HOURLY.c.hour < before))
        async with reading(self._engine) as connection:
            return bool((await connection.execute(query)).scalar_one())

    async def call_counts(self, since: datetime) -> Sequence[CallCounts]:
        """See `Watched.call_counts`."""
        is_failure = _USAGE.c.error_class.in_([one.value for one in _PROVIDERS_FAULT])
        failed = func.sum(case((is_failure, 1), else_=0))
        query = (
            select(_USAGE.c.provider, _USAGE.c.routed_model, func.count(), failed)
            .where(_USAGE.c.at >= since, _USAGE.c.provider.is_not(None), _USAGE.c.cache != "hit")
            .group_by(_USAGE.c.provider, _USAGE.c.routed_model)
            .order_by(_USAGE.c.provider, _USAGE.c.routed_model)
        )
        async with reading(self._engine) as connection:
            return [
                CallCounts(provider, model or "", int(calls), int(bad))
                for provider, model, calls, bad in await connection.execute(query)
            ]

    async def unpriced_calls(self, since: datetime) -> Sequence[UnpricedCalls]:
        """See `Watched.unpriced_calls`.

        A success that is booked at its estimate is one whose usage had no price, or did not fit.
        """
        refused = (
            select(_DECISIONS.c.asked_model, func.count())
            .where(
                _DECISIONS.c.at >= since,
                _DECISIONS.c.result["outcome"]["code"].as_string() == _UNPRICED,
            )
            .group_by(_DECISIONS.c.asked_model)
        )
        estimated = (
            select(_USAGE.c.asked_model, func.count())
            .where(
                _USAGE.c.at >= since,
                _USAGE.c.source == UsageSource.ESTIMATED.value,
                _USAGE.c.error_class == ErrorClass.NONE.value,
            )
            .group_by(_USAGE.c.asked_model)
        )
        async with reading(self._engine) as connection:
            no = {row[0]: int(row[1]) for row in await connection.execute(refused)}
            booked = {row[0]: int(row[1]) for row in await connection.execute(estimated)}
        return [
            UnpricedCalls(model, no.get(model, 0), booked.get(model, 0))
            for model in sorted(no.keys() | booked.keys())
        ]


async def _zones(connection: AsyncConnection) -> dict[str, str]:
    units = await connection.execute(select(OrganisationUnit.id, OrganisationUnit.time_zone))
    return {row[0]: row[1] for row in units}


def _in_zone(zones: dict[str, str], time_zone: str) -> ColumnElement[Any]:
    if time_zone == _UTC:
        return _HOURLY.c.organisation.not_in([one for one, its in zones.items() if its != _UTC])
    return _HOURLY.c.organisation.in_([one for one, its in zones.items() if its == time_zone])
