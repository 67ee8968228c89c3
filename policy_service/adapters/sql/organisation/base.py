"""What every change of the organisation is made with."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.policy.roles import Actor
from policy_service.adapters.sql.callers import utc_now
from policy_service.adapters.sql.organisation.changing import Changing
from policy_service.adapters.sql.organisation.checks import organisation_of_node
from policy_service.adapters.sql.organisation.parts import STORED, key_values, kind_of, record_of
from policy_service.ports.clock import Clock
from policy_service.ports.organisation import Change, ChangeKind, OrganisationError


class Store:
    """A database with an organisation in it."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self.engine = engine
        self.clock = clock

    def changing(
        self,
        connection: AsyncConnection,
        organisation: str | None,
        actor: Actor,
        ids: Mapping[str, str] | None = None,
    ) -> Changing:
        """What carries changes out, in a transaction that is open already."""
        return Changing(connection, actor, organisation, self.clock(), dict(ids or {}))

    async def change(
        self,
        connection: AsyncConnection,
        organisation: str | None,
        subject: str,
        *,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        actor: Actor,
    ) -> Change | None:
        """Carry one change out, if it is one."""
        if before == after:
            return None
        kind = ChangeKind.CHANGE
        if before is None or after is None:
            kind = ChangeKind.ADD if before is None else ChangeKind.REMOVE
        change = Change(kind, subject, before, after)
        await self.changing(connection, organisation, actor).carry_out([change])
        return change


async def current(
    connection: AsyncConnection, subject: str, record: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """The record of a part as the database has it; `record` tells which limit or role is meant."""
    kind = STORED[kind_of(subject)]
    values = key_values(subject, record or {})
    found = await connection.execute(
        select(kind.table).where(*(kind.table.c[name] == values[name] for name in kind.key))
    )
    row = found.mappings().first()
    return None if row is None else record_of(kind_of(subject), dict(row))


async def owner_if_any(connection: AsyncConnection, node: str) -> str | None:
    """The organisation of a node that may be gone."""
    try:
        return await organisation_of_node(connection, node)
    except OrganisationError:
        return None
