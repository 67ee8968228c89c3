"""Finds the caller behind a key, a Kong consumer or a token's claims.

Every call through the gateway may wait for this, so a key takes two queries by indexes: who it is,
and the limits. A token takes one or two more, for the user and the application that it names.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, Select, SQLColumnExpression, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.operation import Operation
from llm_core.policy.caller import Caller, ProofOfIdentity
from llm_core.policy.claims import Claims
from llm_core.policy.limits import Priority
from policy_service.adapters.sql.caller_limits import limits_of
from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.matching import application_of, name_of, user_of
from policy_service.adapters.sql.tables import (
    ApiKey,
    Application,
    DepartmentUnit,
    GroupBinding,
    KongConsumer,
    OrganisationUnit,
    ProjectUnit,
    TeamUnit,
    User,
)
from policy_service.keys import digest_of, is_mistyped
from policy_service.ports.callers import Identified, Unknown
from policy_service.ports.clock import Clock

ANY_MODEL = "*"
KONG = "kong"
"""The source of the group bindings for the groups that Kong's own plugins set."""


def utc_now() -> datetime:
    """The system's time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Who:
    """What a credential says of its caller, beside where they stand."""

    proof: ProofOfIdentity
    user: str | None = None
    application: str | None = None
    key_id: str | None = None
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    clearance: str | None = None
    own_models: Sequence[str] | None = None
    operations: tuple[Operation, ...] = ()
    networks: tuple[str, ...] = ()
    priority: Priority = Priority.INTERACTIVE


class SqlCallers:
    """Implements `ports.Callers` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        """Use `engine`, which the caller opens and disposes of; `clock` tells what has expired."""
        self._engine = engine
        self._clock = clock

    async def by_key(self, api_key: str) -> Identified | Unknown:
        """The caller of an API key."""
        if is_mistyped(api_key):
            return Unknown.MISTYPED
        digest = digest_of(api_key)
        async with reading(self._engine) as connection:
            found = (await connection.execute(_BY_KEY, {"digest": digest})).first()
            if found is None:
                return Unknown.UNKNOWN
            now = self._clock()
            ends = (found.expires_at, found.former_until if found.is_former else None)
            valid_until = min((end for end in ends if end is not None), default=None)
            if (refused := _refused(found, valid_until, now)) is not None:
                return refused
            who = replace(
                _who_of(found, ProofOfIdentity.API_KEY),
                key_id=found.id,
                operations=operations_of(found.operations),
                networks=tuple(found.networks or ()),
                priority=Priority(found.priority),
            )
            caller = await _caller(connection, found, who, now)
            return Identified(caller, valid_until)

    async def by_consumer(
        self, *, username: str | None, custom_id: str | None, groups: Collection[str] = ()
    ) -> Identified | Unknown:
        """The caller that a Kong consumer, or one of its groups, is bound to."""
        names = ((KongConsumer.custom_id, custom_id), (KongConsumer.username, username))
        proof = ProofOfIdentity.KONG_CONSUMER
        async with reading(self._engine) as connection:
            for column, name in names:
                if not name:
                    continue
                statement = _holder_query(KongConsumer).where(column == name)
                found = (await connection.execute(statement)).first()
                if found is None:
                    continue
                if _is_inactive(found):
                    return Unknown.INACTIVE
                who = replace(_who_of(found, proof), groups=_united(found.groups, groups))
                return Identified(await _caller(connection, found, who, self._clock()))
            return await self._by_group(connection, KONG, groups, _Who(proof, groups=tuple(groups)))

    async def by_claims(self, claims: Claims) -> Identified | Unknown:
        """The caller that a verified token speaks of."""
        async with reading(self._engine) as connection:
            user = await user_of(connection, claims)
            application = await application_of(connection, claims)
            if any(one is not None and not one.is_active for one in (user, application)):
                return Unknown.INACTIVE
            who = _Who(
                ProofOfIdentity.OIDC,
                user=user.id if user else None if application else name_of(claims),
                application=application.id if application else None,
                roles=claims.roles,
                groups=claims.groups,
                clearance=(user.clearance if user else None) or claims.clearance,
            )
            statement = _place(user, application, claims)
            found = None
            if statement is not None:
                found = (await connection.execute(statement)).first()
            if found is not None:
                placed = Identified(await _caller(connection, found, who, self._clock()))
            else:
                organisation = user.organisation_id if user else None
                bound = await self._by_group(
                    connection, claims.issuer, claims.groups, who, organisation
                )
                if isinstance(bound, Unknown):
                    return bound
                placed = bound
            return Identified(placed.caller, claims.expires_at)

    async def _by_group(
        self,
        connection: AsyncConnection,
        source: str,
        groups: Collection[str],
        who: _Who,
        organisation: str | None = None,
    ) -> Identified | Unknown:
        """Place somebody by the first of their groups, by name, that is bound."""
        if not groups:
            return Unknown.UNPLACED
        statement = (
            _standing(GroupBinding)
            .where(GroupBinding.source == source, GroupBinding.name.in_(sorted(set(groups))))
            .order_by(GroupBinding.name)
            .limit(1)
        )
        if organisation is not None:
            statement = statement.where(OrganisationUnit.id == organisation)
        found = (await connection.execute(statement)).first()
        if found is None:
            return Unknown.UNPLACED
        placed = replace(
            who,
            roles=_united(who.roles, found.roles),
            clearance=who.clearance or found.clearance,
            own_models=found.own_models,
        )
        return Identified(await _caller(connection, found, placed, self._clock()))


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


def operations_of(stored: Sequence[str] | None) -> tuple[Operation, ...]:
    """A key's operations as this version knows them; empty for every one."""
    if not stored:
        return ()
    known = tuple(one for one in Operation if one.value in stored)
    # A key that is for newer operations only must not become one for everything.
    return known or (Operation.ME,)


# --- where somebody stands -----------------------------------------------------------------------

_PATH: tuple[SQLColumnExpression[Any], ...] = (
    TeamUnit.id.label("team"),
    ProjectUnit.id.label("project"),
    DepartmentUnit.id.label("department"),
    OrganisationUnit.id.label("organisation"),
    OrganisationUnit.time_zone,
    OrganisationUnit.allowed_models.label("organisation_models"),
    DepartmentUnit.allowed_models.label("department_models"),
    TeamUnit.allowed_models.label("team_models"),
    ProjectUnit.allowed_models.label("project_models"),
    ProjectUnit.cost_centre.label("project_cost_centre"),
    TeamUnit.cost_centre.label("team_cost_centre"),
    DepartmentUnit.cost_centre.label("department_cost_centre"),
)


def _standing(table: type[ApiKey] | type[KongConsumer] | type[GroupBinding]) -> Select[Any]:
    """What a row of the table says, and where it stands."""
    statement: Select[Any] = select(*_PATH).add_columns(
        table.roles, table.clearance, table.allowed_models.label("own_models")
    )
    return (
        statement.select_from(table)
        .join(TeamUnit, TeamUnit.id == table.team_id)
        .join(DepartmentUnit, DepartmentUnit.id == TeamUnit.department_id)
        .join(OrganisationUnit, OrganisationUnit.id == DepartmentUnit.organisation_id)
        .outerjoin(ProjectUnit, ProjectUnit.id == table.project_id)
    )


def _holder_query(table: type[ApiKey] | type[KongConsumer]) -> Select[Any]:
    """The same with whom it names, and whether those are still welcome."""
    return (
        _standing(table)
        .add_columns(
            table.user.label("user"),
            table.application,
            table.groups,
            User.is_active.label("user_is_active"),
            User.clearance.label("user_clearance"),
            Application.is_active.label("application_is_active"),
        )
        .outerjoin(User, User.id == table.user)
        .outerjoin(Application, Application.id == table.application)
    )


# Made once: to build it anew takes longer than to ask the database. `is_former`: the digest is of
# the text that the key had before it was rotated.
_BY_KEY: Select[Any] = (
    _holder_query(ApiKey)
    .add_columns(
        (ApiKey.digest != bindparam("digest")).label("is_former"),
        ApiKey.former_until,
        ApiKey.id,
        ApiKey.expires_at,
        ApiKey.revoked_at,
        ApiKey.operations,
        ApiKey.networks,
        ApiKey.priority,
    )
    .where(or_(ApiKey.digest == bindparam("digest"), ApiKey.former_digest == bindparam("digest")))
)


def _refused(key: Row[Any], valid_until: datetime | None, now: datetime) -> Unknown | None:
    if key.revoked_at is not None:
        return Unknown.REVOKED
    if valid_until is not None and valid_until <= now:
        return Unknown.EXPIRED
    return Unknown.INACTIVE if _is_inactive(key) else None


def _is_inactive(found: Row[Any]) -> bool:
    """Whether the user or the application was switched off; one in no table was not."""
    return found.user_is_active is False or found.application_is_active is False


def _who_of(found: Row[Any], proof: ProofOfIdentity) -> _Who:
    return _Who(
        proof,
        user=found.user,
        application=found.application,
        roles=tuple(found.roles),
        groups=tuple(found.groups),
        clearance=found.clearance or found.user_clearance,
        own_models=found.own_models,
    )


def _place(
    user: Row[Any] | None, application: Row[Any] | None, claims: Claims
) -> Select[Any] | None:
    """Where they stand: as the database says, else as the claims do; `None` when neither does."""
    team, project = None, claims.project
    if user is not None and user.team_id is not None:
        team, project = user.team_id, user.project_id or claims.project
    elif user is None and application is not None:
        team, project = application.team_id, application.project_id or claims.project
    else:
        team = claims.team
    if team is None and project is None:
        return None
    everywhere: Select[Any] = select(*_PATH)
    statement = (
        everywhere.select_from(TeamUnit)
        .join(DepartmentUnit, DepartmentUnit.id == TeamUnit.department_id)
        .join(OrganisationUnit, OrganisationUnit.id == DepartmentUnit.organisation_id)
        # A project of another team is none.
        .outerjoin(ProjectUnit, (ProjectUnit.team_id == TeamUnit.id) & (ProjectUnit.id == project))
    )
    where = TeamUnit.id == team if team is not None else ProjectUnit.id == project
    if user is not None:
        # Another company's team is no place for this one's people, whatever a token says.
        statement = statement.where(OrganisationUnit.id == user.organisation_id)
    return statement.where(where)


async def _caller(connection: AsyncConnection, found: Row[Any], who: _Who, now: datetime) -> Caller:
    path: Mapping[str, str | None] = {
        "organisation": found.organisation,
        "department": found.department,
        "team": found.team,
        "project": found.project,
        "user": who.user,
        "application": who.application,
        "key": who.key_id,
    }
    nodes = [f"{kind}:{node_id}" for kind, node_id in path.items() if node_id is not None]
    levels = ("organisation_models", "department_models", "team_models", "project_models")
    payers = (found.project_cost_centre, found.team_cost_centre, found.department_cost_centre)
    return Caller(
        organisation=found.organisation,
        department=found.department,
        team=found.team,
        proof=who.proof,
        project=found.project,
        user=who.user,
        application=who.application,
        key_id=who.key_id,
        roles=who.roles,
        groups=who.groups,
        clearance=who.clearance,
        allowed_models=effective_models(
            (*(getattr(found, level) for level in levels), who.own_models)
        ),
        limits=await limits_of(
            connection,
            nodes,
            organisation=found.organisation,
            time_zone=found.time_zone,
            now=now,
        ),
        operations=who.operations,
        networks=who.networks,
        cost_centre=next((payer for payer in payers if payer is not None), None),
        priority=who.priority,
        time_zone=found.time_zone,
    )


def _united(*parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for part in parts for one in part))
