"""Finds the caller behind a key or a Kong consumer: one query for who, one for the limits."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, SQLColumnExpression, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.policy.caller import Caller, ProofOfIdentity
from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.tables import (
    ApiKey,
    DepartmentUnit,
    KongConsumer,
    LimitRow,
    OrganisationUnit,
    ProjectUnit,
    TeamUnit,
)
from policy_service.keys import digest_of
from policy_service.ports.clock import Clock

ANY_MODEL = "*"
_MEASURES = tuple(measure.value for measure in Measure)


def utc_now() -> datetime:
    """The system's time."""
    return datetime.now(UTC)


class SqlCallers:
    """Implements `ports.Callers` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        """Use `engine`, which the caller opens and disposes of; `clock` tells what has expired."""
        self._engine = engine
        self._clock = clock

    async def by_key(self, api_key: str) -> Caller | None:
        """The caller of a key that is known, not revoked and not expired; else `None`."""
        statement = _who(ApiKey).where(ApiKey.digest == digest_of(api_key))
        async with reading(self._engine) as connection:
            found = (await connection.execute(statement)).first()
            if found is None:
                return None
            key: Any = found
            if key.revoked_at is not None:
                return None
            if key.expires_at is not None and key.expires_at <= self._clock():
                return None
            return await _caller(connection, key, ProofOfIdentity.API_KEY, key_id=key.id)

    async def by_consumer(self, *, username: str | None, custom_id: str | None) -> Caller | None:
        """The caller that a Kong consumer is bound to; `custom_id` wins over `username`."""
        names = ((KongConsumer.custom_id, custom_id), (KongConsumer.username, username))
        async with reading(self._engine) as connection:
            for column, name in names:
                if not name:
                    continue
                found = (await connection.execute(_who(KongConsumer).where(column == name))).first()
                if found is not None:
                    return await _caller(
                        connection, found, ProofOfIdentity.KONG_CONSUMER, key_id=None
                    )
        return None


def effective_models(levels: Iterable[Sequence[str] | None]) -> tuple[str, ...]:
    """What is allowed when several levels of the organisation each have a word on it.

    Args:
        levels: From the organisation down to the key; `None` has no word, `*` allows everything.

    Returns:
        The aliases that every level with a word allows, in the order of the last one that names
        any. Empty when no level has a word: nothing is allowed that nobody allowed.
    """
    allowed: tuple[str, ...] | None = None
    for level in levels:
        if level is None:
            continue
        named = tuple(dict.fromkeys(level))
        if allowed is None or ANY_MODEL in allowed:
            allowed = (ANY_MODEL,) if ANY_MODEL in named else named
        elif ANY_MODEL not in named:
            allowed = tuple(alias for alias in named if alias in allowed)
    return allowed or ()


def _who(table: type[ApiKey] | type[KongConsumer]) -> Select[Any]:
    columns: list[SQLColumnExpression[Any]] = [
        table.id,
        table.team_id.label("team"),
        table.project_id.label("project"),
        table.user.label("user"),
        table.application,
        table.roles,
        table.groups,
        table.clearance,
        TeamUnit.department_id.label("department"),
        DepartmentUnit.organisation_id.label("organisation"),
        OrganisationUnit.allowed_models.label("organisation_models"),
        DepartmentUnit.allowed_models.label("department_models"),
        TeamUnit.allowed_models.label("team_models"),
        ProjectUnit.allowed_models.label("project_models"),
        table.allowed_models.label("own_models"),
    ]
    if table is ApiKey:
        columns += [ApiKey.expires_at, ApiKey.revoked_at]
    return (
        select(*columns)
        .join(TeamUnit, TeamUnit.id == table.team_id)
        .join(DepartmentUnit, DepartmentUnit.id == TeamUnit.department_id)
        .join(OrganisationUnit, OrganisationUnit.id == DepartmentUnit.organisation_id)
        .outerjoin(ProjectUnit, ProjectUnit.id == table.project_id)
    )


async def _caller(
    connection: AsyncConnection,
    found: Any,  # noqa: ANN401 - a row of `_who`
    proof: ProofOfIdentity,
    *,
    key_id: str | None,
) -> Caller:
    path = {
        "organisation": found.organisation,
        "department": found.department,
        "team": found.team,
        "project": found.project,
        "user": found.user,
        "key": key_id,
    }
    nodes = [f"{kind}:{node_id}" for kind, node_id in path.items() if node_id is not None]
    return Caller(
        organisation=found.organisation,
        department=found.department,
        team=found.team,
        proof=proof,
        project=found.project,
        user=found.user,
        application=found.application,
        key_id=key_id,
        roles=tuple(found.roles),
        groups=tuple(found.groups),
        clearance=found.clearance,
        allowed_models=effective_models(
            (
                found.organisation_models,
                found.department_models,
                found.team_models,
                found.project_models,
                found.own_models,
            )
        ),
        limits=await _limits(connection, nodes),
    )


async def _limits(connection: AsyncConnection, nodes: Sequence[str]) -> tuple[Limit, ...]:
    """The limits of these nodes in the nodes' order, and for each in the order of `Measure`."""
    # A measure that only a newer version knows must not break this one while both are running.
    statement = select(LimitRow.node, LimitRow.measure, LimitRow.amount).where(
        LimitRow.node.in_(nodes), LimitRow.measure.in_(_MEASURES)
    )
    limits = [
        Limit(node, Measure(measure), amount)
        for node, measure, amount in await connection.execute(statement)
    ]
    return tuple(
        sorted(limits, key=lambda limit: (nodes.index(limit.node), _MEASURES.index(limit.measure)))
    )
