"""Issuing and revoking API keys, in a transaction that is open already; each change is audited."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.limits import Measure
from llm_core.policy.roles import Actor
from policy_service.adapters.sql.audit import record as audit
from policy_service.adapters.sql.key_rows import nodes, one_key, select_keys, values_of
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
from policy_service.ports.keys import EVERYTHING, IssuedKey, KeyRecord, Scopes
from policy_service.ports.organisation import Holder, OrganisationError

BY_US = Actor(name="gatehouse", proof="internal")
"""Who did it when nobody is named: a seed, a test."""

_KEYS = Base.metadata.tables["api_keys"]
_LIMITS = Base.metadata.tables["limits"]
_AMOUNT_END = Decimal(10) ** 12
_FINEST = Decimal(1).scaleb(-AMOUNT.scale)
_LONGEST_NAME = 200


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
    await _refuse_taken_name(connection, now, name, holder.team)
    text = new_key()
    issued = KeyRecord(
        id=new_id("key"),
        name=name,
        prefix=prefix_of(text),
        holder=holder,
        path=await path_of(connection, holder),
        created_at=now,
        expires_at=expires_at,
        scopes=replace(scopes, networks=_checked_networks(scopes.networks)),
        created_by=actor.name,
    )
    await connection.execute(insert(_KEYS), {**values_of(issued), "digest": digest_of(text)})
    if limits:
        node = f"key:{issued.id}"
        await connection.execute(
            insert(_LIMITS),
            [
                {
                    "node": node,
                    "scope": "",
                    "measure": measure.value,
                    "amount": _checked(amount),
                }
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
    closed = await one_key(connection, select_keys().where(ApiKey.id == key_id))
    if closed is not None:
        before = replace(closed, revoked_at=None, revoked_by=None)
        await audit_key(connection, actor, "key.revoke", before, closed.shown(), at=now)
    return True


async def audit_key(
    connection: AsyncConnection,
    actor: Actor,
    action: str,
    before: KeyRecord,
    after: Mapping[str, Any],
    *,
    at: datetime,
) -> None:
    """Say in the audit log what became of a key."""
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


async def path_of(connection: AsyncConnection, holder: Holder) -> tuple[str, ...]:
    """The nodes that a holder stands under, the nearest first.

    Raises:
        OrganisationError: The team or the project does not exist, or they do not fit.
    """
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
    return nodes(row.project, holder.team, row.department, row.organisation)


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


async def _refuse_taken_name(
    connection: AsyncConnection, now: datetime, name: str, team: str
) -> None:
    """A company's file knows a team's keys by their names, so two live ones cannot share one."""
    is_live = or_(_KEYS.c.expires_at.is_(None), _KEYS.c.expires_at > now)
    found = await connection.execute(
        select(_KEYS.c.id).where(
            _KEYS.c.team_id == team, _KEYS.c.name == name, _KEYS.c.revoked_at.is_(None), is_live
        )
    )
    taken = found.scalars().first()
    if taken is not None:
        raise OrganisationError(
            f"the team {team!r} has a live key {name!r} already ({taken}): rotate or revoke that "
            "one, or choose another name"
        )


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
