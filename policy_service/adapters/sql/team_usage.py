"""What teams used, by spans of time: from the roll-ups where their hours fit."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.decision import CacheUse, ErrorClass
from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.months import hour_of
from policy_service.adapters.sql.tables import Usage, UsageHourly
from policy_service.adapters.sql.within import within
from policy_service.ports.team_usage import TeamUsed


class SqlTeamUsage:
    """Implements `ports.team_usage.TeamUsage` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def used(
        self, edges: Sequence[datetime], *, nodes: frozenset[str] | None
    ) -> tuple[TeamUsed, ...]:
        """Sums by span, department, team and model; see the port."""
        # Most clocks differ by whole hours from UTC, so that their days are made of whole roll-ups.
        fits = all(edge == hour_of(edge) for edge in edges)
        table = UsageHourly if fits else Usage
        moment = UsageHourly.hour if fits else Usage.at
        requests: ColumnElement[int]
        hits: ColumnElement[int]
        has_failed = table.error_class != ErrorClass.NONE.value
        if fits:
            requests = UsageHourly.requests.expression
            hits = UsageHourly.cache_hits.expression
            failed = case((has_failed, UsageHourly.requests), else_=0)
        else:
            requests = case((Usage.at.is_not(None), 1), else_=0)
            hits = case((Usage.cache == CacheUse.HIT.value, 1), else_=0)
            failed = case((has_failed, 1), else_=0)
        places = {
            "organisation": table.organisation,
            "department": table.department,
            "team": table.team,
            "project": table.project,
        }
        spans = ((moment < end, index) for index, end in enumerate(edges[1:]))
        # In a query of its own: PostgreSQL does not see that an expression with values bound to it
        # is the same one in two places.
        rows = (
            select(
                case(*spans, else_=-1).label("span"),
                table.department,
                table.team,
                table.asked_model.label("model"),
                requests.label("requests"),
                failed.label("failed"),
                hits.label("cache_hits"),
                func.coalesce(table.input_tokens, 0).label("input_tokens"),
                func.coalesce(table.output_tokens, 0).label("output_tokens"),
                table.usd.label("usd"),
                table.saved_usd.label("saved_usd"),
            )
            .where(moment >= edges[0], moment < edges[-1])
            .where(within(nodes, places))
            .subquery()
            .c
        )
        groups = (rows.span, rows.department, rows.team, rows.model)
        sums = (
            rows.requests,
            rows.failed,
            rows.cache_hits,
            rows.input_tokens,
            rows.output_tokens,
            rows.usd,
            rows.saved_usd,
        )
        statement = (
            select(*groups, *(func.sum(column).label(column.name) for column in sums))
            .group_by(*groups)
            .order_by(*groups)
        )
        async with reading(self._engine) as connection:
            found = (await connection.execute(statement)).all()
        return tuple(
            TeamUsed(
                span=int(row.span),
                department=row.department,
                team=row.team,
                model=row.model,
                requests=int(row.requests),
                failed=int(row.failed),
                cache_hits=int(row.cache_hits),
                input_tokens=int(row.input_tokens),
                output_tokens=int(row.output_tokens),
                usd=row.usd,
                saved_usd=row.saved_usd,
            )
            for row in found
        )
