"""Reads a whole organisation as records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.limits import Measure
from llm_core.policy.roles import PLATFORM, Role
from policy_service.adapters.sql.organisation.parts import (
    CONSUMERS,
    KEYS,
    KINDS,
    LIMITS,
    ROLES,
    STORED,
    Kind,
    Record,
    consumer_subject,
    group_subject,
    held_of,
    key_subject,
    limit_subject,
    record_of,
    role_subject,
    scopes_of,
)

_MEASURES = tuple(measure.value for measure in Measure)
_ROLES = tuple(role.value for role in Role)


@dataclass(frozen=True, slots=True)
class Found:
    """An organisation as the database has it.

    Args:
        parts: Records by subject. Keys that were revoked are none. Where a team has several keys of
            a name, the newest bears it; older ones have `#` and their id behind it.
        ids: The ids of keys and consumers, by subject.
    """

    organisation: str
    parts: Mapping[str, Record]
    ids: Mapping[str, str]


async def read_organisation(connection: AsyncConnection, organisation: str, now: datetime) -> Found:
    """Everything of one organisation, and the grants on the platform."""
    parts: dict[str, Record] = {}
    for kind, condition in _conditions(organisation).items():
        parts |= await _stored(connection, kind, condition)
    ids: dict[str, str] = {}
    teams = _teams_of(organisation)
    for row in await _rows(connection, select(CONSUMERS).where(CONSUMERS.c.team_id.in_(teams))):
        subject = consumer_subject(row["username"], row["custom_id"])
        names = {"username": row["username"], "custom_id": row["custom_id"]}
        parts[subject] = names | held_of(row)
        ids[subject] = row["id"]
    for subject, row in await _keys(connection, teams, now):
        parts[subject] = {"name": row["name"]} | held_of(row) | scopes_of(row)
        ids[subject] = row["id"]
    parts |= await _on_nodes(connection, parts, ids)
    ordered = sorted(parts, key=lambda subject: KINDS.index(subject.partition(":")[0]))
    return Found(organisation, {subject: parts[subject] for subject in ordered}, ids)


def _conditions(organisation: str) -> dict[str, ColumnElement[bool]]:
    tables = {kind: stored.table.c for kind, stored in STORED.items()}
    teams = _teams_of(organisation)
    return {
        "organisation": tables["organisation"].id == organisation,
        "cost_centre": tables["cost_centre"].organisation_id == organisation,
        "model_group": tables["model_group"].organisation_id == organisation,
        "department": tables["department"].organisation_id == organisation,
        "team": tables["team"].id.in_(teams),
        "project": tables["project"].team_id.in_(teams),
        "user": tables["user"].organisation_id == organisation,
        "application": tables["application"].team_id.in_(teams),
        "group": tables["group"].team_id.in_(teams),
    }


def _teams_of(organisation: str) -> Select[Any]:
    teams, departments = STORED["team"].table.c, STORED["department"].table.c
    inside = select(departments.id).where(departments.organisation_id == organisation)
    return select(teams.id).where(teams.department_id.in_(inside))


async def _rows(connection: AsyncConnection, statement: Select[Any]) -> list[dict[str, Any]]:
    """Rows by their columns' keys, which `user` has instead of its name `user_id`."""
    names = [str(column.key) for column in statement.selected_columns]
    return [
        dict(zip(names, row, strict=True)) for row in (await connection.execute(statement)).all()
    ]


async def _stored(
    connection: AsyncConnection, kind: str, condition: ColumnElement[bool]
) -> dict[str, Record]:
    stored: Kind = STORED[kind]
    rows = await _rows(connection, select(stored.table).where(condition))
    return {_subject(kind, row): record_of(kind, row) for row in rows}


def _subject(kind: str, row: Mapping[str, Any]) -> str:
    match kind:
        case "group":
            return group_subject(row["source"], row["name"])
        case "model_group":
            return f"model_group:{row['organisation_id']}:{row['id']}"
        case _:
            return f"{kind}:{row['id']}"


async def _keys(
    connection: AsyncConnection, teams: Select[Any], now: datetime
) -> Iterable[tuple[str, dict[str, Any]]]:
    statement = select(KEYS).where(KEYS.c.team_id.in_(teams), KEYS.c.revoked_at.is_(None))
    standing = await _rows(connection, statement)
    standing.sort(key=lambda row: (_is_live(row, now), row["created_at"], row["id"]), reverse=True)
    named: dict[str, dict[str, Any]] = {}
    for row in standing:
        subject = key_subject(row["team_id"], row["name"])
        named[f"{subject}#{row['id']}" if subject in named else subject] = row
    return named.items()


def _is_live(row: Mapping[str, Any], now: datetime) -> bool:
    return row["expires_at"] is None or row["expires_at"] > now


async def _on_nodes(
    connection: AsyncConnection, parts: Mapping[str, Record], ids: Mapping[str, str]
) -> dict[str, Record]:
    """Limits and roles on these parts; a key goes by its name, and not by its id."""
    nodes = {subject: subject for subject in parts}
    nodes |= {f"key:{key_id}": name for name, key_id in ids.items() if name.startswith("key:")}
    found: dict[str, Record] = {}
    known = select(LIMITS).where(LIMITS.c.measure.in_(_MEASURES))
    for row in await _rows(connection, known):
        if (node := nodes.get(row["node"])) is not None:
            subject = limit_subject(node, row["scope"], row["measure"])
            found[subject] = record_of("limit", row | {"node": node})
    for row in await _rows(connection, select(ROLES).where(ROLES.c.role.in_(_ROLES))):
        if row["node"] in parts or row["node"] == PLATFORM:
            subject = role_subject(row["role"], row["node"], row["subject"])
            found[subject] = record_of("role", row)
    return found
