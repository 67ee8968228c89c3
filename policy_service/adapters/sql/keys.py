"""API keys in the database: issued, rotated, revoked, listed; each change is audited.

What `ApiKeys` does in a transaction of its own, `issue_in` and `revoke_in` do in somebody else's.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.policy.limits import Measure, Priority
from llm_core.policy.roles import PLATFORM, Actor
from policy_service.adapters.sql.audit import record as audit
from policy_service.adapters.sql.callers import operations_of, utc_now
from policy_service.adapters.sql.engine import reading, writing
from policy_service.adapters.sql.tables import (
    AMOUNT,
    ApiKey,
    Application,
    Base,
    DepartmentUnit,
    ProjectUnit,
    TeamUnit,
    User,
)
from policy_service.ids import new_id
from policy_service.keys import digest_of, new_key, prefix_of
from policy_service.ports.clock import Clock
from policy_service.ports.keys import EVERYTHING, LONGEST_OVERLAP, IssuedKey, KeyRecord, Scopes
from policy_service.ports.organisation import Holder, OrganisationError

BY_US = Actor(name="gatehouse", proof="internal")
"""Who did it when nobody is named: a seed, a test."""

_KEYS = Base.metadata.tables["api_keys"]
_LIMITS = Base.metadata.tables["limits"]
_AMOUNT_END = Decimal(10) ** 12
_FINEST = Decimal(1).scaleb(-AMOUNT.scale)
_LONGEST_NAME = 200
_AT_ONCE = 5000


class ApiKeys:
    """Implements `ports.keys.Keys` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine
        self._clock = clock

    async def issue_key(
        self,
        name: str,
        holder: Holder,
        *,
        scopes: Scopes = EVERYTHING,
        expires_at: datetime | None = None,
        limits: Mapping[Measure, Decimal] = MappingProxyType({}),
        actor: Actor = BY_US,
    ) -> IssuedKey:
        """Make a key, with limits of its own."""
        async with writing(self._engine) as connection:
            return await issue_in(
                connection,
                actor,
                self._clock(),
                name,
                holder,
                scopes=scopes,
                expires_at=expires_at,
                limits=limits,
            )

    async def rotate_key(
        self,
        key_id: str,
        *,
        overlap: timedelta,
        expires_at: datetime | None = None,
        actor: Actor = BY_US,
    ) -> IssuedKey:
        """Give a key a new text; the one that it had is good for a while yet."""
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise OrganisationError(f"the overlap is at most {LONGEST_OVERLAP.days} days")
        now = self._clock()
        async with writing(self._engine) as connection:
            # Two that rotate one key at once: the second sees what the first has done.
            old = await _one(
                connection, _keys().where(ApiKey.id == key_id).with_for_update(of=_KEYS)
            )
            if old is None or not old.is_live(now):
                raise OrganisationError(f"there is no live key {key_id!r}")
            text = new_key()
            new = _rotated(old, prefix_of(text), now, overlap, expires_at)
            await connection.execute(
                update(_KEYS)
                .where(_KEYS.c.id == old.id)
                .values(
                    digest=digest_of(text),
                    prefix=new.prefix,
                    expires_at=new.expires_at,
                    rotated_at=now,
                    former_digest=_KEYS.c.digest,
                    former_prefix=new.former_prefix,
                    former_until=new.former_until,
                )
            )
            await _audit(connection, actor, "key.rotate", old, new.shown(), at=now)
        is_older_good = old.former_until is not None and old.former_until > now
        return IssuedKey(text, new, old.former_prefix if is_older_good else None)

    async def revoke_key(self, key_id: str, *, actor: Actor = BY_US) -> bool:
        """Close a key for good; false when there is no such key, or it is closed already."""
        async with writing(self._engine) as connection:
            return await revoke_in(connection, actor, self._clock(), key_id)

    async def list_keys(
        self,
        *,
        team: str | None = None,
        within: Collection[str] | None = None,
        after: str | None = None,
        most: int | None = None,
    ) -> tuple[KeyRecord, ...]:
        """Keys in the order of issue."""
        statement = _keys().order_by(ApiKey.id)
        if team is not None:
            statement = statement.where(ApiKey.team_id == team)
        if within is not None and PLATFORM not in within:
            statement = statement.where(_is_within(within))
        if after is not None:
            statement = statement.where(ApiKey.id > after)
        if most is not None:
            statement = statement.limit(most)
        async with reading(self._engine) as connection:
            return tuple(_record(row) for row in await connection.execute(statement))

    async def find(self, key_id: str) -> KeyRecord | None:
        """A key by its id."""
        async with reading(self._engine) as connection:
            return await _one(connection, _keys().where(ApiKey.id == key_id))

    async def find_by_text(self, text: str) -> KeyRecord | None:
        """A key by itself; by the text that it had before, with the prefix and the end of that."""
        digest = digest_of(text)
        async with reading(self._engine) as connection:
            found = await _one(connection, _keys().where(ApiKey.digest == digest))
            if found is not None:
                return found
            former = await _one(connection, _keys().where(ApiKey.former_digest == digest))
        if former is None:
            return None
        return replace(
            former,
            prefix=former.former_prefix or former.prefix,
            expires_at=_earlier(former.former_until, former.expires_at),
        )

    async def path_of(self, holder: Holder) -> tuple[str, ...]:
        """The nodes that a holder stands below."""
        async with reading(self._engine) as connection:
            return await _path(connection, holder)

    async def note_used(self, key_ids: Collection[str], at: datetime) -> None:
        """Say that these keys were used."""
        ids = sorted(key_ids)
        async with writing(self._engine) as connection:
            for start in range(0, len(ids), _AT_ONCE):
                # Locked in one order, and those that another process is at are left to it: two
                # processes that note the same keys must not wait for each other.
                free = (
                    select(ApiKey.id)
                    .where(ApiKey.id.in_(ids[start : start + _AT_ONCE]))
                    .order_by(ApiKey.id)
                    .with_for_update(skip_locked=True)
                )
                await connection.execute(
                    update(_KEYS).where(_KEYS.c.id.in_(free)).values(last_used_at=at)
                )


async def issue_in(
    connection: AsyncConnection,
    actor: Actor,
    now: datetime,
    name: str,
    holder: Holder,
    *,
    scopes: Scopes = EVERYTHING,
    expires_at: datetime | None = None,
    limits: Mapping[Measure, Decimal] = MappingProxyType({}),
) -> IssuedKey:
    """As `ApiKeys.issue_key`, in a transaction that is open already."""
    if not (name and name.isprintable() and len(name) <= _LONGEST_NAME):
        raise OrganisationError(f"a key's name has 1 to {_LONGEST_NAME} characters, all printable")
    text = new_key()
    issued = KeyRecord(
        id=new_id("key"),
        name=name,
        prefix=prefix_of(text),
        holder=holder,
        path=await _path(connection, holder),
        created_at=now,
        expires_at=expires_at,
        scopes=replace(scopes, networks=_checked_networks(scopes.networks)),
        created_by=actor.name,
    )
    await connection.execute(insert(_KEYS), {**_values(issued), "digest": digest_of(text)})
    if limits:
        node = f"key:{issued.id}"
        await connection.execute(
            insert(_LIMITS),
            [
                {"node": node, "scope": "", "measure": measure.value, "amount": _checked(amount)}
                for measure, amount in limits.items()
            ],
        )
    after = issued.shown() | {"limits": {one.value: str(limits[one]) for one in limits}}
    await audit(
        connection,
        actor,
        "key.issue",
        f"key:{issued.id}",
        None,
        after,
        organisation=issued.organisation,
        at=now,
    )
    return IssuedKey(text, issued)


async def revoke_in(connection: AsyncConnection, actor: Actor, now: datetime, key_id: str) -> bool:
    """As `ApiKeys.revoke_key`, in a transaction that is open already."""
    done = await connection.execute(
        update(_KEYS)
        .where(_KEYS.c.id == key_id, _KEYS.c.revoked_at.is_(None))
        .values(revoked_at=now, revoked_by=actor.name)
    )
    if done.rowcount == 0:
        return False
    closed = await _one(connection, _keys().where(ApiKey.id == key_id))
    if closed is not None:
        before = replace(closed, revoked_at=None, revoked_by=None)
        await _audit(connection, actor, "key.revoke", before, closed.shown(), at=now)
    return True


async def _audit(
    connection: AsyncConnection,
    actor: Actor,
    action: str,
    before: KeyRecord,
    after: Mapping[str, Any],
    *,
    at: datetime,
) -> None:
    await audit(
        connection,
        actor,
        action,
        f"key:{before.id}",
        before.shown(),
        after,
        organisation=before.organisation,
        at=at,
    )


async def _path(connection: AsyncConnection, holder: Holder) -> tuple[str, ...]:
    found = await connection.execute(
        select(
            DepartmentUnit.id.label("department"),
            DepartmentUnit.organisation_id.label("organisation"),
            ProjectUnit.id.label("project"),
        )
        .select_from(TeamUnit)
        .join(DepartmentUnit, DepartmentUnit.id == TeamUnit.department_id)
        .outerjoin(
            ProjectUnit, (ProjectUnit.team_id == TeamUnit.id) & (ProjectUnit.id == holder.project)
        )
        .where(TeamUnit.id == holder.team)
    )
    row = found.first()
    if row is None:
        raise OrganisationError(f"the team {holder.team!r} does not exist")
    if row.project != holder.project:
        raise OrganisationError(f"the team {holder.team!r} has no project {holder.project!r}")
    await require_people(connection, row.organisation, holder.user, holder.application)
    return _nodes(row.project, holder.team, row.department, row.organisation)


async def require_people(
    connection: AsyncConnection, organisation: str, user: str | None, application: str | None
) -> None:
    """Refuse people and software of another organisation: their limits are not this one's to use.

    Raises:
        OrganisationError: One is another organisation's. Whom no table knows is nobody's.
    """
    of_user = select(User.organisation_id).where(User.id == user)
    of_application = (
        select(DepartmentUnit.organisation_id)
        .join(TeamUnit, TeamUnit.department_id == DepartmentUnit.id)
        .join(Application, Application.team_id == TeamUnit.id)
        .where(Application.id == application)
    )
    for kind, name, whose in (
        ("user", user, of_user),
        ("application", application, of_application),
    ):
        if name is None:
            continue
        found = (await connection.execute(whose)).scalar_one_or_none()
        if found not in (None, organisation):
            raise OrganisationError(f"the {kind} {name!r} is another organisation's")


def _nodes(project: str | None, team: str, department: str, organisation: str) -> tuple[str, ...]:
    own = () if project is None else (f"project:{project}",)
    return (*own, f"team:{team}", f"department:{department}", f"organisation:{organisation}")


def _keys() -> Select[Any]:
    return (
        select(
            _KEYS,
            TeamUnit.department_id.label("department"),
            DepartmentUnit.organisation_id.label("organisation"),
        )
        .join(TeamUnit, TeamUnit.id == ApiKey.team_id)
        .join(DepartmentUnit, DepartmentUnit.id == TeamUnit.department_id)
    )


def _is_within(nodes: Collection[str]) -> ColumnElement[bool]:
    columns: dict[str, Any] = {
        "organisation": DepartmentUnit.organisation_id,
        "department": TeamUnit.department_id,
        "team": ApiKey.team_id,
        "project": ApiKey.project_id,
    }
    ids: dict[str, list[str]] = {kind: [] for kind in columns}
    for node in sorted(nodes):
        kind, _, node_id = node.partition(":")
        if kind in ids:
            ids[kind].append(node_id)
    return or_(*(columns[kind].in_(found) for kind, found in ids.items()))


async def _one(connection: AsyncConnection, statement: Select[Any]) -> KeyRecord | None:
    row = (await connection.execute(statement)).first()
    return None if row is None else _record(row)


def _rotated(
    old: KeyRecord, prefix: str, now: datetime, overlap: timedelta, expires_at: datetime | None
) -> KeyRecord:
    if expires_at is None and old.expires_at is not None:
        expires_at = now + (old.expires_at - (old.rotated_at or old.created_at))
    return replace(
        old,
        prefix=prefix,
        expires_at=expires_at,
        rotated_at=now,
        former_prefix=old.prefix,
        former_until=_earlier(now + overlap, old.expires_at),
    )


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)


def _checked(amount: Decimal) -> Decimal:
    # The range first: only then does quantize fit into a decimal context's 28 digits.
    if not (amount.is_finite() and 0 <= amount < _AMOUNT_END) or amount != amount.quantize(_FINEST):
        raise OrganisationError(f"{amount} is no amount for a limit")
    return amount


def _checked_networks(networks: Sequence[str]) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(str(ip_network(one.strip())) for one in networks))
    except ValueError as fault:
        raise OrganisationError(
            f"{fault}; write a network as 10.0.0.0/8 or 2001:db8::/32"
        ) from None


def _values(record: KeyRecord) -> dict[str, Any]:
    holder, scopes = record.holder, record.scopes
    models = holder.allowed_models
    return {
        "id": record.id,
        "name": record.name,
        "prefix": record.prefix,
        "team_id": holder.team,
        "project_id": holder.project,
        "user": holder.user,
        "application": holder.application,
        "roles": list(holder.roles),
        "groups": list(holder.groups),
        "clearance": holder.clearance,
        "allowed_models": None if models is None else list(models),
        "operations": [operation.value for operation in scopes.operations] or None,
        "networks": list(scopes.networks) or None,
        "priority": scopes.priority.value,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "created_by": record.created_by,
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
        path=_nodes(row.project_id, row.team_id, row.department, row.organisation),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        scopes=Scopes(
            operations_of(row.operations), tuple(row.networks or ()), Priority(row.priority)
        ),
        former_prefix=row.former_prefix,
        former_until=row.former_until,
        rotated_at=row.rotated_at,
        created_by=row.created_by,
        revoked_by=row.revoked_by,
        last_used_at=row.last_used_at,
    )
