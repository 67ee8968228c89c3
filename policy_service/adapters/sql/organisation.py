"""Administers the organisation: its units, limits, keys and Kong consumers.

Used by the command line and by the demo's seed. `put_*` says how something shall be and makes it
so, whatever it was before, so running the same set-up twice changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import Row, Select, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.sql.callers import utc_now
from policy_service.adapters.sql.engine import insert_into, reading, writing
from policy_service.adapters.sql.tables import AMOUNT, Base, LimitRow, ProjectUnit
from policy_service.ids import new_id
from policy_service.keys import digest_of, new_key, prefix_of
from policy_service.ports.clock import Clock

_UNITS = {
    "organisation": Base.metadata.tables["organisations"],
    "department": Base.metadata.tables["departments"],
    "team": Base.metadata.tables["teams"],
    "project": Base.metadata.tables["projects"],
    "key": Base.metadata.tables["api_keys"],
}
_KEYS = Base.metadata.tables["api_keys"]
_CONSUMERS = Base.metadata.tables["kong_consumers"]
_LIMITS = Base.metadata.tables["limits"]
_MAX_ID_CHARS = 120
_AMOUNT_END = Decimal(10) ** 12
_FINEST = Decimal(1).scaleb(-AMOUNT.scale)


class OrganisationError(ValueError):
    """What was asked for cannot be: a unit does not exist, an id or an amount makes no sense."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a key or a Kong consumer stands for.

    Args:
        team: Every caller belongs to one.
        project: One of the team's.
        allowed_models: Aliases, `("*",)` for every one the team may use, `None` for no word on it.
    """

    team: str
    project: str | None = None
    user: str | None = None
    application: str | None = None
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    clearance: str | None = None
    allowed_models: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as the database knows it: everything but the key.

    Args:
        prefix: The key's first characters, to recognise it by.
    """

    id: str
    name: str
    prefix: str
    holder: Holder
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_live(self, now: datetime) -> bool:
        """Whether the key opens the door at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key, and the only time that its text is seen; `repr` leaves it out."""

    text: str
    record: KeyRecord

    def __repr__(self) -> str:
        return f"IssuedKey(record={self.record!r})"


class Organisation:
    """Reads and changes who may call. Raises `PolicyUnavailable` when the database fails."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine
        self._clock = clock

    # --- units -----------------------------------------------------------------------------------

    async def put_organisation(
        self, id: str, *, name: str | None = None, allowed_models: Sequence[str] | None = None
    ) -> None:
        """Make the company, or change it to this."""
        await self._put_unit("organisation", id, name, allowed_models, {})

    async def put_department(
        self,
        id: str,
        *,
        organisation: str,
        name: str | None = None,
        allowed_models: Sequence[str] | None = None,
    ) -> None:
        """Make a department, or change it to this."""
        parent = {"organisation_id": organisation}
        await self._put_unit("department", id, name, allowed_models, parent)

    async def put_team(
        self,
        id: str,
        *,
        department: str,
        name: str | None = None,
        allowed_models: Sequence[str] | None = None,
    ) -> None:
        """Make a team, or change it to this."""
        await self._put_unit("team", id, name, allowed_models, {"department_id": department})

    async def put_project(
        self,
        id: str,
        *,
        team: str,
        name: str | None = None,
        allowed_models: Sequence[str] | None = None,
    ) -> None:
        """Make a project, or change it to this."""
        await self._put_unit("project", id, name, allowed_models, {"team_id": team})

    # --- limits ----------------------------------------------------------------------------------

    async def put_limit(self, limit: Limit) -> None:
        """Set a limit, or change its amount.

        Raises:
            OrganisationError: The node is of no known kind or does not exist (users need not), or
                the amount is negative, finer than six decimals, or a trillion and more.
        """
        async with writing(self._engine) as connection:
            await _require_node(connection, limit.node)
            await _put_limit(connection, limit)

    async def remove_limit(self, node: str, measure: Measure) -> bool:
        """Lift a limit; false when there was none."""
        async with writing(self._engine) as connection:
            done = await connection.execute(
                delete(_LIMITS).where(_LIMITS.c.node == node, _LIMITS.c.measure == measure.value)
            )
            return done.rowcount > 0

    async def limits(self) -> tuple[Limit, ...]:
        """Every limit, by node and measure."""
        statement = (
            select(LimitRow.node, LimitRow.measure, LimitRow.amount)
            .where(LimitRow.measure.in_([measure.value for measure in Measure]))
            .order_by(LimitRow.node, LimitRow.measure)
        )
        async with reading(self._engine) as connection:
            found = await connection.execute(statement)
            return tuple(Limit(node, Measure(measure), amount) for node, measure, amount in found)

    # --- keys ------------------------------------------------------------------------------------

    async def issue_key(
        self,
        name: str,
        holder: Holder,
        *,
        expires_at: datetime | None = None,
        limits: Mapping[Measure, Decimal] = MappingProxyType({}),
    ) -> IssuedKey:
        """Make a key, with limits of its own. Its text is in the answer and nowhere else.

        Raises:
            OrganisationError: The team or the project does not exist, or the project is another
                team's.
        """
        text = new_key()
        record = KeyRecord(
            id=new_id("key"),
            name=name,
            prefix=prefix_of(text),
            holder=holder,
            created_at=self._clock(),
            expires_at=expires_at,
            revoked_at=None,
        )
        async with writing(self._engine) as connection:
            await _require_holder(connection, holder)
            await connection.execute(
                insert(_KEYS),
                {
                    "id": record.id,
                    "name": name,
                    "prefix": record.prefix,
                    "digest": digest_of(text),
                    "created_at": record.created_at,
                    "expires_at": expires_at,
                    **_holder_values(holder),
                },
            )
            for measure, amount in limits.items():
                await _put_limit(connection, Limit(f"key:{record.id}", measure, amount))
        return IssuedKey(text, record)

    async def revoke_key(self, key_id: str) -> bool:
        """Close a key for good; false when there is no such key, or it is closed already."""
        async with writing(self._engine) as connection:
            done = await connection.execute(
                update(_KEYS)
                .where(_KEYS.c.id == key_id, _KEYS.c.revoked_at.is_(None))
                .values(revoked_at=self._clock())
            )
            return done.rowcount > 0

    async def list_keys(self, *, team: str | None = None) -> tuple[KeyRecord, ...]:
        """Every key, or every key of a team, in the order of issue."""
        statement: Select[Any] = select(_KEYS).order_by(_KEYS.c.created_at, _KEYS.c.id)
        if team is not None:
            statement = statement.where(_KEYS.c.team_id == team)
        async with reading(self._engine) as connection:
            return tuple(_record(row) for row in await connection.execute(statement))

    # --- Kong consumers --------------------------------------------------------------------------

    async def bind_consumer(
        self, holder: Holder, *, username: str | None = None, custom_id: str | None = None
    ) -> None:
        """Say whom a Kong consumer stands for, or change it.

        Raises:
            OrganisationError: The team or project does not fit, or no name is given.
        """
        if not username and not custom_id:
            raise OrganisationError("a consumer is named by `username`, `custom_id` or both")
        async with writing(self._engine) as connection:
            await _require_holder(connection, holder)
            # A binding that shares either name is the same consumer's older one.
            for column, value in (
                (_CONSUMERS.c.username, username),
                (_CONSUMERS.c.custom_id, custom_id),
            ):
                if value:
                    await connection.execute(delete(_CONSUMERS).where(column == value))
            await connection.execute(
                insert(_CONSUMERS),
                {
                    "id": new_id("con"),
                    "username": username or None,
                    "custom_id": custom_id or None,
                    **_holder_values(holder),
                },
            )

    async def _put_unit(
        self,
        kind: str,
        unit_id: str,
        name: str | None,
        allowed_models: Sequence[str] | None,
        parent: dict[str, str],
    ) -> None:
        _require_id(unit_id)
        values = {
            "name": name or unit_id,
            "allowed_models": None if allowed_models is None else list(allowed_models),
            **parent,
        }
        async with writing(self._engine) as connection:
            for column, parent_id in parent.items():
                await _require_node(connection, f"{column.removesuffix('_id')}:{parent_id}")
            await _put(connection, _UNITS[kind], {"id": unit_id}, values)


async def _put(
    connection: AsyncConnection, table: Table, key: dict[str, str], values: dict[str, Any]
) -> None:
    await connection.execute(
        insert_into(connection, table)
        .values(**key, **values)
        .on_conflict_do_update(index_elements=list(key), set_=values)
    )


async def _put_limit(connection: AsyncConnection, limit: Limit) -> None:
    amount = limit.amount
    # The range first: only then does quantize fit into a decimal context's 28 digits.
    if not (amount.is_finite() and 0 <= amount < _AMOUNT_END) or amount != amount.quantize(_FINEST):
        raise OrganisationError(f"{amount} is no amount for a limit")
    key = {"node": limit.node, "measure": limit.measure.value}
    await _put(connection, _LIMITS, key, {"amount": amount})


def _require_id(unit_id: str) -> None:
    is_fit = unit_id and len(unit_id) <= _MAX_ID_CHARS and unit_id.isprintable()
    if not is_fit or ":" in unit_id or unit_id != unit_id.strip():
        raise OrganisationError(
            f"{unit_id[:_MAX_ID_CHARS]!r} is no id: use up to {_MAX_ID_CHARS} characters, no colon"
        )


async def _require_node(connection: AsyncConnection, node: str) -> None:
    kind, _, node_id = node.partition(":")
    _require_id(node_id)
    if kind == "user":
        return  # users are known by their keys and consumers, not by a table of their own
    if kind not in _UNITS:
        raise OrganisationError(
            f"{node!r} names no kind of node; kinds are {', '.join(_UNITS)}, user"
        )
    table = _UNITS[kind]
    found = await connection.execute(select(table.c.id).where(table.c.id == node_id))
    if found.first() is None:
        raise OrganisationError(f"the {kind} {node_id!r} does not exist")


async def _require_holder(connection: AsyncConnection, holder: Holder) -> None:
    await _require_node(connection, f"team:{holder.team}")
    if holder.project is None:
        return
    found = await connection.execute(
        select(ProjectUnit.team_id).where(ProjectUnit.id == holder.project)
    )
    if found.scalar_one_or_none() != holder.team:
        raise OrganisationError(f"the team {holder.team!r} has no project {holder.project!r}")


def _holder_values(holder: Holder) -> dict[str, Any]:
    return {
        "team_id": holder.team,
        "project_id": holder.project,
        "user": holder.user,
        "application": holder.application,
        "roles": list(holder.roles),
        "groups": list(holder.groups),
        "clearance": holder.clearance,
        "allowed_models": None if holder.allowed_models is None else list(holder.allowed_models),
    }


def _record(row: Row[Any]) -> KeyRecord:
    models = row.allowed_models
    return KeyRecord(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        holder=Holder(
            team=row.team_id,
            project=row.project_id,
            user=row.user_id,
            application=row.application,
            roles=tuple(row.roles),
            groups=tuple(row.groups),
            clearance=row.clearance,
            allowed_models=None if models is None else tuple(models),
        ),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
