"""A caller's own figures in SQL: its key, and what it used."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.decision import CacheUse, ErrorClass
from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.tables import ApiKey, OrganisationUnit, Usage
from policy_service.ports.self_service import KeyFacts, UsedModel

_COLUMNS = {
    "key": Usage.key_id,
    "user": Usage.user,
    "application": Usage.application,
    "project": Usage.project,
}


class SqlOwnFigures:
    """Implements `OwnFigures` on PostgreSQL and SQLite.

    All figures are sums of the ledger itself, not of its roll-ups: those know no keys, and their
    hours do not fit the days of every time zone. Two months of one caller's rows are read at most.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def time_zone(self, organisation: str) -> str:
        """Where the organisation's days begin.

        Raises:
            PolicyUnavailable: The database failed.
        """
        statement = select(OrganisationUnit.time_zone).where(OrganisationUnit.id == organisation)
        async with reading(self._engine) as connection:
            return (await connection.execute(statement)).scalar_one_or_none() or "UTC"

    async def key(self, key_id: str) -> KeyFacts | None:
        """A key's name, prefix and dates.

        Raises:
            PolicyUnavailable: The database failed.
        """
        columns = (ApiKey.id, ApiKey.name, ApiKey.prefix, ApiKey.created_at, ApiKey.expires_at)
        statement = select(*columns).where(ApiKey.id == key_id)
        async with reading(self._engine) as connection:
            found = (await connection.execute(statement)).one_or_none()
        return None if found is None else KeyFacts(*found)

    async def used(self, node: str, edges: Sequence[datetime]) -> tuple[UsedModel, ...]:
        """Sums by span and asked model, in that order; spans without any call are left out.

        Raises:
            ValueError: `node` is of no kind that is asked about here, or there is no span.
            PolicyUnavailable: The database failed.
        """
        kind, _, name = node.partition(":")
        if kind not in _COLUMNS:
            raise ValueError(f"nobody asks about the node {node[:100]!r} here")
        if len(edges) < 2:  # noqa: PLR2004 - a span has two ends
            raise ValueError("a span lies between two edges")
        # Spans in the order of time: the first whose end is later is the row's. In a query of its
        # own, for PostgreSQL does not see that an expression with values bound to it is the same
        # one in two places.
        spans = ((Usage.at < end, index) for index, end in enumerate(edges[1:]))
        rows = (
            select(
                case(*spans, else_=-1).label("span"),
                Usage.asked_model.label("model"),
                case((Usage.error_class != ErrorClass.NONE.value, 1), else_=0).label("errors"),
                case((Usage.cache == CacheUse.HIT.value, 1), else_=0).label("cache_hits"),
                func.coalesce(Usage.input_tokens, 0).label("input_tokens"),
                func.coalesce(Usage.output_tokens, 0).label("output_tokens"),
                Usage.usd.label("usd"),
            )
            .where(_COLUMNS[kind] == name, Usage.at >= edges[0], Usage.at < edges[-1])
            .subquery()
            .c
        )
        groups = (rows.span, rows.model)
        sums = (rows.errors, rows.cache_hits, rows.input_tokens, rows.output_tokens, rows.usd)
        statement = (
            select(*groups, func.count(), *(func.sum(column) for column in sums))
            .group_by(*groups)
            .order_by(*groups)
        )
        async with reading(self._engine) as connection:
            found = (await connection.execute(statement)).all()
        return tuple(
            UsedModel(
                span=int(row[0]),
                model=row[1],
                requests=int(row[2]),
                errors=int(row[3]),
                cache_hits=int(row[4]),
                input_tokens=int(row[5]),
                output_tokens=int(row[6]),
                usd=row[7],
            )
            for row in found
        )
