"""Every limit there is, complete: with its models, time zone and raises."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.limits import Limit, Measure, Raise
from policy_service.adapters.sql.organisation.parts import id_of, kind_of
from policy_service.adapters.sql.organisation.raises import read_raises
from policy_service.adapters.sql.tables import (
    ApiKey,
    Application,
    DepartmentUnit,
    LimitRow,
    ModelGroup,
    OrganisationUnit,
    ProjectUnit,
    TeamUnit,
    User,
)

_MEASURES = tuple(measure.value for measure in Measure)


async def every_limit(connection: AsyncConnection, now: datetime) -> tuple[Limit, ...]:
    """Every limit by node, scope and measure, with the raises that hold now or will."""
    owners = await _owners(connection)
    found = await connection.execute(select(OrganisationUnit.id, OrganisationUnit.time_zone))
    zones = {row.id: row.time_zone for row in found}
    groups = await connection.execute(
        select(ModelGroup.organisation_id, ModelGroup.id, ModelGroup.models)
    )
    models = {(row.organisation_id, f"group:{row.id}"): tuple(row.models) for row in groups}
    raises: dict[tuple[str, str, str], list[Raise]] = defaultdict(list)
    for more in await read_raises(connection, since=now):
        key = (more.node, more.scope, more.measure.value)
        raises[key].append(Raise(more.amount, more.starts_at, more.until))
    statement = (
        select(
            LimitRow.node,
            LimitRow.scope,
            LimitRow.measure,
            LimitRow.amount,
            LimitRow.interactive_share,
        )
        # A measure that only a newer version knows must not break this one while both are running.
        .where(LimitRow.measure.in_(_MEASURES))
        .order_by(LimitRow.node, LimitRow.scope, LimitRow.measure)
    )
    limits = []
    for row in await connection.execute(statement):
        owner = owners.get(row.node, "")
        limits.append(
            Limit(
                node=row.node,
                measure=Measure(row.measure),
                amount=row.amount,
                scope=row.scope,
                models=_models(row.scope, models.get((owner, row.scope), ())),
                interactive_share=row.interactive_share,
                time_zone=zones.get(owner, "UTC"),
                raises=tuple(raises[row.node, row.scope, row.measure]),
            )
        )
    return tuple(limits)


def _models(scope: str, of_group: tuple[str, ...]) -> tuple[str, ...]:
    return (id_of(scope),) if kind_of(scope) == "model" else of_group


async def _owners(connection: AsyncConnection) -> Mapping[str, str]:
    """The organisation of every node that a limit is on."""
    with_limits = select(LimitRow.node)
    nodes = (await connection.execute(with_limits.distinct())).scalars().all()
    found = (await connection.execute(select(OrganisationUnit.id))).scalars().all()
    if len(found) == 1:
        return dict.fromkeys(nodes, found[0])
    owners = {f"organisation:{one}": one for one in found}
    departments = select(DepartmentUnit.id, DepartmentUnit.organisation_id)
    for one, above in await connection.execute(departments):
        owners[f"department:{one}"] = above
    for one, above in await connection.execute(select(TeamUnit.id, TeamUnit.department_id)):
        owners[f"team:{one}"] = owners[f"department:{above}"]
    for table in (ProjectUnit, Application):
        kind = "project" if table is ProjectUnit else "application"
        for one, above in await connection.execute(select(table.id, table.team_id)):
            owners[f"{kind}:{one}"] = owners[f"team:{above}"]
    for one, team, user in await connection.execute(select(ApiKey.id, ApiKey.team_id, ApiKey.user)):
        if (owner := owners.get(f"team:{team}")) is not None:
            owners[f"key:{one}"] = owner
            owners.setdefault(f"user:{user}", owner)
    for one, above in await connection.execute(select(User.id, User.organisation_id)):
        owners[f"user:{one}"] = above
    return owners
