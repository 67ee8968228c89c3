"""API keys as rows of the database: how they are found, read and written."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.limits import Priority
from policy_service.adapters.sql.callers import operations_of
from policy_service.adapters.sql.tables import (
    ApiKey,
    Base,
    DepartmentUnit,
    TeamUnit,
)
from policy_service.ports.keys import KeyRecord, Scopes
from policy_service.ports.organisation import Holder

_KEYS = Base.metadata.tables["api_keys"]


def nodes(project: str | None, team: str, department: str, organisation: str) -> tuple[str, ...]:
    """The nodes of a place, the nearest first."""
    own = () if project is None else (f"project:{project}",)
    return (*own, f"team:{team}", f"department:{department}", f"organisation:{organisation}")


def select_keys() -> Select[Any]:
    """Every key with its place; `record_of` reads what it finds."""
    return (
        select(
            _KEYS,
            TeamUnit.department_id.label("department"),
            DepartmentUnit.organisation_id.label("organisation"),
        )
        .join(TeamUnit, TeamUnit.id == ApiKey.team_id)
        .join(DepartmentUnit, DepartmentUnit.id == TeamUnit.department_id)
    )


def is_within(nodes: Collection[str]) -> ColumnElement[bool]:
    """Whether a key found by `select_keys` stands on or below one of these nodes."""
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


async def one_key(connection: AsyncConnection, statement: Select[Any]) -> KeyRecord | None:
    """The first key that a statement of `select_keys` finds."""
    row = (await connection.execute(statement)).first()
    return None if row is None else record_of(row)


def rotated(
    old: KeyRecord, prefix: str, now: datetime, overlap: timedelta, expires_at: datetime | None
) -> KeyRecord:
    """The key with a new text; the old one goes on for a while."""
    if expires_at is None and old.expires_at is not None:
        expires_at = now + (old.expires_at - (old.rotated_at or old.created_at))
    return replace(
        old,
        prefix=prefix,
        expires_at=expires_at,
        rotated_at=now,
        former_prefix=old.prefix,
        former_until=earlier(now + overlap, old.expires_at),
    )


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two moments, where `None` is never."""
    return min((moment for moment in (one, other) if moment is not None), default=None)


def values_of(record: KeyRecord) -> dict[str, Any]:
    """A key's columns, but for its digests."""
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


def record_of(row: Row[Any]) -> KeyRecord:
    """A row that `select_keys` found."""
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
        path=nodes(row.project_id, row.team_id, row.department, row.organisation),
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
