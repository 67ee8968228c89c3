"""Chargeback in SQL: a month is read, built and frozen in one transaction, with its audit entry."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.chargeback.build import Month, build
from llm_core.chargeback.frozen import digest_of, frozen, thawed
from llm_core.chargeback.rules import Rules
from llm_core.chargeback.statement import Document, Place, Spent, TeamHeads
from llm_core.errors import GatewayFault
from llm_core.policy.roles import Actor
from policy_service.adapters.sql.audit import record
from policy_service.adapters.sql.callers import utc_now
from policy_service.adapters.sql.engine import (
    insert_into,
    reading,
    reading_one_moment,
    writing,
)
from policy_service.adapters.sql.months import month_named
from policy_service.adapters.sql.organisation.changing import queue
from policy_service.adapters.sql.tables import (
    Base,
    Chargeback,
    DepartmentUnit,
    OrganisationUnit,
    TeamUnit,
    User,
)
from policy_service.adapters.sql.usage_sums import usage_between
from policy_service.ids import new_id
from policy_service.ports.chargeback import AlreadyClosed, ChargebackRefused, ClosedMonth
from policy_service.ports.clock import Clock
from policy_service.ports.organisation import Check

_RULES = Base.metadata.tables["chargeback_rules"]
_CLOSED = Base.metadata.tables["chargebacks"]
_PLACE = ("cost_centre", "department", "team", "project")
_KIND = ("provider", "served_model", "region")


@dataclass(frozen=True, slots=True)
class SqlChargebacks:
    """Implements `ports.chargeback.Chargebacks` on PostgreSQL and SQLite."""

    engine: AsyncEngine
    clock: Clock = utc_now

    async def rules(self, organisation: str) -> Rules:
        """How it charges; see the port."""
        async with reading(self.engine) as connection:
            await _zone(connection, organisation)
            return await _rules(connection, organisation)

    async def put_rules(
        self,
        actor: Actor,
        organisation: str,
        rules: Rules,
        *,
        check: Check[Rules] | None = None,
    ) -> Rules:
        """Charge so from now on; see the port."""
        async with writing(self.engine) as connection:
            await queue(connection)
            await _zone(connection, organisation)
            before = await _rules(connection, organisation)
            if check is not None:
                check(before)
            if before == rules:
                return before
            row = {"organisation": organisation, "rules": msgspec.json.encode(rules).decode()}
            statement = insert_into(connection, _RULES).values(row)
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["organisation"], set_={"rules": row["rules"]}
                )
            )
            await record(
                connection,
                actor,
                "chargeback.rules",
                f"chargeback:{organisation}",
                msgspec.to_builtins(before),
                msgspec.to_builtins(rules),
                organisation=organisation,
            )
        return rules

    async def span(self, organisation: str, period: str) -> tuple[datetime, datetime]:
        """When the month is; see the port."""
        async with reading(self.engine) as connection:
            month = await _month(connection, organisation, period)
        return month.starts_at, month.ends_at

    async def preview(
        self,
        organisation: str,
        period: str,
        *,
        span: tuple[datetime, datetime] | None = None,
        lines_only: bool = False,
    ) -> Document:
        """The month as it would be closed now; see the port."""
        async with reading_one_moment(self.engine) as connection:
            if span is None:
                month = await _month(connection, organisation, period)
            else:
                zone = await _zone(connection, organisation)
                month = Month(organisation, period, zone, *span)
            return await _built(connection, month, lines_only=lines_only)

    async def close(self, actor: Actor, organisation: str, period: str) -> Document:
        """Freeze the month; see the port."""
        async with writing(self.engine) as connection:
            month = await _month(connection, organisation, period)
            open_document = await _built(connection, month)
            statement = msgspec.structs.replace(
                open_document.statement,
                id=new_id("chb"),
                closed_at=self.clock(),
                closed_by=actor.name,
            )
            document = msgspec.structs.replace(open_document, statement=statement)
            kept = frozen(document)
            digest = digest_of(kept)
            row = {
                "id": statement.id,
                "organisation": organisation,
                "period": period,
                "closed_at": statement.closed_at,
                "closed_by": actor.name,
                "total_usd": statement.total_usd,
                "digest": digest,
                "kept": kept,
            }
            made = insert_into(connection, _CLOSED).values(row).on_conflict_do_nothing()
            done = await connection.execute(made.returning(_CLOSED.c.id))
            if done.first() is None:
                raise AlreadyClosed(f"{period} of {organisation} is closed already")
            after = {
                "period": period,
                "total_usd": f"{statement.total_usd:f}",
                "lines": len(statement.lines),
                "digest": digest,
            }
            await record(
                connection,
                actor,
                "chargeback.close",
                f"chargeback:{statement.id}",
                None,
                after,
                organisation=organisation,
                at=statement.closed_at,
            )
        return thawed(kept, digest)

    async def find(self, chargeback_id: str) -> Document | None:
        """A closed month; see the port."""
        return await self._thawed(select(Chargeback.__table__).where(_CLOSED.c.id == chargeback_id))

    async def closed(self, organisation: str, period: str) -> Document | None:
        """A closed month, by its name; see the port."""
        return await self._thawed(
            select(Chargeback.__table__).where(
                _CLOSED.c.organisation == organisation, _CLOSED.c.period == period
            )
        )

    async def listed(
        self,
        organisations: Collection[str] | None,
        *,
        most: int,
        after: tuple[str, str] | None = None,
    ) -> Sequence[ClosedMonth]:
        """Closed months; see the port."""
        names = tuple(ClosedMonth.__dataclass_fields__)
        statement = select(*(_CLOSED.c[name] for name in names))
        statement = statement.order_by(_CLOSED.c.period.desc(), _CLOSED.c.organisation)
        if organisations is not None:
            statement = statement.where(_CLOSED.c.organisation.in_(sorted(organisations)))
        if after is not None:
            period, organisation = _CLOSED.c.period, _CLOSED.c.organisation
            is_next = (period == after[0]) & (organisation > after[1])
            statement = statement.where((period < after[0]) | is_next)
        async with reading(self.engine) as connection:
            found = await connection.execute(statement.limit(most))
            return [ClosedMonth(**row) for row in found.mappings()]

    async def spent(self, organisation: str, period: str) -> Decimal:
        """What the ledger has of the month now; see the port."""
        async with reading_one_moment(self.engine) as connection:
            month = await _month(connection, organisation, period)
            found = await usage_between(
                connection,
                month.starts_at,
                month.ends_at,
                by=(),
                only={"organisation": organisation},
            )
        return sum((one.usd for one in found), Decimal(0))

    async def by_model(
        self, organisation: str, period: str, provider: str
    ) -> Mapping[str | None, Decimal]:
        """What the ledger has of a provider; see the port."""
        async with reading_one_moment(self.engine) as connection:
            month = await _month(connection, organisation, period)
            found = await usage_between(
                connection,
                month.starts_at,
                month.ends_at,
                by=("served_model",),
                only={"organisation": organisation, "provider": provider},
            )
        return {one.keys["served_model"]: one.usd for one in found}

    async def _thawed(self, query: Select[Any]) -> Document | None:
        async with reading(self.engine) as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            return None
        try:
            return thawed(row.kept, row.digest)
        except (ValueError, msgspec.MsgspecError) as fault:
            raise GatewayFault(
                f"The closed statement {row.id} is not what was closed: its digest does not match. "
                "Compare it with the audit chain's event `chargeback.close`."
            ) from fault


async def _built(
    connection: AsyncConnection, month: Month, *, lines_only: bool = False
) -> Document:
    organisation = month.organisation
    rules = await _rules(connection, organisation)
    by = tuple(sorted({*_PLACE, *(() if lines_only else _KIND), *rules.dimensions}))
    found = await usage_between(
        connection, month.starts_at, month.ends_at, by=by, only={"organisation": organisation}
    )
    unknown = dict.fromkeys(_KIND)
    spent = (
        Spent(
            Place(**{name: one.keys[name] for name in _PLACE}),  # type: ignore[arg-type] # two of them are never null
            {**unknown, **one.keys},
            one.requests,
            one.input_tokens,
            one.output_tokens,
            one.usd,
        )
        for one in found
    )
    teams = await _teams(connection, organisation)
    try:
        # In a thread: with many lines it takes a while, and calls are decided meanwhile.
        made = await asyncio.to_thread(build, month, spent, teams, rules)
    except ValueError as fault:
        raise ChargebackRefused(str(fault)) from fault
    if not lines_only:
        return made
    charges = tuple(one for one in made.charges if one.shared is not None)
    return msgspec.structs.replace(made, charges=charges)


async def _month(connection: AsyncConnection, organisation: str, period: str) -> Month:
    zone = await _zone(connection, organisation)
    try:
        return Month(organisation, period, zone, *month_named(period, zone))
    except ValueError as fault:
        raise ChargebackRefused(str(fault)) from fault


async def _zone(connection: AsyncConnection, organisation: str) -> str:
    query = select(OrganisationUnit.time_zone).where(OrganisationUnit.id == organisation)
    zone = (await connection.execute(query)).scalar_one_or_none()
    if zone is None:
        raise ChargebackRefused(f"there is no organisation {organisation[:120]!r}")
    return zone


async def _rules(connection: AsyncConnection, organisation: str) -> Rules:
    query = select(_RULES.c.rules).where(_RULES.c.organisation == organisation)
    found = (await connection.execute(query)).scalar_one_or_none()
    return Rules() if found is None else msgspec.json.decode(found, type=Rules)


async def _teams(connection: AsyncConnection, organisation: str) -> list[TeamHeads]:
    """Every team with its people, in the order of names."""
    heads = (
        select(User.team_id, func.count().label("heads"))
        .where(User.is_active.is_(True), User.team_id.is_not(None))
        .group_by(User.team_id)
        .subquery()
    )
    query = (
        select(
            func.coalesce(TeamUnit.cost_centre, DepartmentUnit.cost_centre),
            TeamUnit.department_id,
            TeamUnit.id,
            func.coalesce(heads.c.heads, 0),
        )
        .join(DepartmentUnit, DepartmentUnit.id == TeamUnit.department_id)
        .outerjoin(heads, heads.c.team_id == TeamUnit.id)
        .where(DepartmentUnit.organisation_id == organisation)
        .order_by(TeamUnit.department_id, TeamUnit.id)
    )
    return [
        TeamHeads(Place(centre, department, team, None), int(count))
        for centre, department, team, count in await connection.execute(query)
    ]
