"""The limits of some nodes, whole: with the models that they are about, and their raises."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.limits import Limit, Measure, Raise
from policy_service.adapters.sql.tables import LimitRaise, LimitRow, ModelGroup

_MEASURES = tuple(measure.value for measure in Measure)
_GROUP, _MODEL = "group:", "model:"
# Made once: to build it anew takes longer than to ask the database.
_LIMITS = (
    select(
        LimitRow.node,
        LimitRow.scope,
        LimitRow.measure,
        LimitRow.amount,
        LimitRow.interactive_share,
        ModelGroup.models,
        LimitRaise.amount.label("more"),
        LimitRaise.starts_at,
        LimitRaise.until,
    )
    .outerjoin(
        ModelGroup,
        and_(
            ModelGroup.organisation_id == bindparam("organisation"),
            LimitRow.scope.startswith(_GROUP),
            ModelGroup.id == func.substr(LimitRow.scope, len(_GROUP) + 1),
        ),
    )
    .outerjoin(
        LimitRaise,
        and_(
            LimitRaise.node == LimitRow.node,
            LimitRaise.scope == LimitRow.scope,
            LimitRaise.measure == LimitRow.measure,
            LimitRaise.until > bindparam("now"),
            LimitRaise.withdrawn_at.is_(None),
        ),
    )
    # A measure that only a newer version knows must not break this one while both are running.
    .where(LimitRow.node.in_(bindparam("nodes", expanding=True)), LimitRow.measure.in_(_MEASURES))
    .order_by(LimitRaise.starts_at, LimitRaise.id)
)


async def limits_of(
    connection: AsyncConnection,
    nodes: Sequence[str],
    *,
    organisation: str,
    time_zone: str,
    now: datetime,
) -> tuple[Limit, ...]:
    """Every limit of these nodes, in one query.

    Args:
        connection: To read by.
        nodes: As `<kind>:<id>`.
        organisation: Whose model groups count.
        time_zone: Where its days and months begin.
        now: Raises that ended before are left out; those that begin later are not.

    Returns:
        In the nodes' order, for each in the order of `Measure`, then by scope.
    """
    bound = {"nodes": nodes, "organisation": organisation, "now": now}
    limits: dict[str, Limit] = {}
    for row in await connection.execute(_LIMITS, bound):
        limit = Limit(
            row.node,
            Measure(row.measure),
            row.amount,
            scope=row.scope,
            models=_models(row.scope, row.models),
            interactive_share=row.interactive_share,
            time_zone=time_zone,
        )
        limit = limits.get(limit.key, limit)
        if row.more is not None:
            more = Raise(row.more, row.starts_at, row.until)
            limit = replace(limit, raises=(*limit.raises, more))
        limits[limit.key] = limit
    return tuple(
        sorted(
            limits.values(),
            key=lambda one: (nodes.index(one.node), _MEASURES.index(one.measure), one.scope),
        )
    )


def _models(scope: str, of_group: Sequence[str] | None) -> tuple[str, ...]:
    """The aliases that a scope stands for; a group that is gone binds nothing."""
    if scope.startswith(_MODEL):
        return (scope.removeprefix(_MODEL),)
    return tuple(of_group or ())
