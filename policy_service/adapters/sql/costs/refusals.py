"""Implements `ports.costs.Refusals` on the decision log."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.errors import GatewayError
from policy_service.adapters.sql.costs.facts import chosen
from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.tables import Base
from policy_service.ports.costs import Ground, Refusal, Scope

_DECISIONS = Base.metadata.tables["decisions"]
_RULE = _DECISIONS.c.result["reasons"][0]["rule"].as_string()
_COLUMNS: dict[Ground, ColumnElement[Any]] = {
    Ground.CODE: _DECISIONS.c.refused_for,
    Ground.RULE: _RULE,
    Ground.TEAM: _DECISIONS.c.team,
    Ground.MODEL: _DECISIONS.c.asked_model,
    Ground.USER: _DECISIONS.c.user,
    Ground.DEPARTMENT: _DECISIONS.c.department,
}

Titles = Callable[[str, str], str]
"""Gives the title of the rule of a package, by its code; empty where there is none."""


class SqlRefusals:
    """Who was refused, and why."""

    def __init__(self, engine: AsyncEngine, title_of: Titles) -> None:
        """Use `engine`, which the caller opens and disposes of, and the live policy's titles."""
        self._engine = engine
        self._title_of = title_of
        self._told = dict(_sentences(GatewayError))

    async def refusals(
        self,
        scope: Scope,
        start: datetime,
        end: datetime,
        group_by: Sequence[Ground],
        limit: int,
        *,
        offset: int = 0,
    ) -> tuple[tuple[Refusal, ...], int]:
        """The most frequent groups, and how many were refused in all; see the port."""
        conditions = (
            _DECISIONS.c.refused_for.is_not(None),
            _DECISIONS.c.at >= start,
            _DECISIONS.c.at < end,
            *chosen(_DECISIONS, scope, _column),
        )
        # The names first, for PostgreSQL does not see that an expression with values bound to it is
        # the same one in two places.
        rows = (
            select(
                *(_COLUMNS[ground].label(f"by_{ground}") for ground in group_by),
                _DECISIONS.c.at,
                _RULE.label("rule"),
            )
            .where(*conditions)
            .subquery()
            .c
        )
        key = [rows[f"by_{ground}"] for ground in group_by]
        count = func.count().label("count")
        statement = (
            select(
                *key, count, func.max(rows.at).label("last_at"), func.max(rows.rule).label("a_rule")
            )
            .group_by(*key)
            .order_by(count.desc(), *(one.nulls_first() for one in key))
            .limit(limit)
            .offset(offset)
        )
        whole = select(func.count()).select_from(_DECISIONS).where(*conditions)
        async with reading(self._engine) as connection:
            found = (await connection.execute(statement)).mappings().all()
            total = int((await connection.execute(whole)).scalar_one())
        return tuple(
            Refusal(
                {str(ground): row[f"by_{ground}"] for ground in group_by},
                int(row["count"]),
                row["last_at"],
                self._message(row["by_code"], row["a_rule"]) if Ground.CODE in group_by else None,
            )
            for row in found
            if row["count"]
        ), total

    def _message(self, code: str, rule: str | None) -> str:
        title = self._title_of(rule, code) if rule else ""
        return title or self._told.get(code, "")


def _column(table: Table, name: str) -> ColumnElement[Any]:
    return table.c["asked_model" if name == Ground.MODEL else name]


def _sentences(kind: type[GatewayError]) -> Iterator[tuple[str, str]]:
    """What each code of the gateway's own means: the first line on its class."""
    for error in kind.__subclasses__():
        yield error.code, (error.__doc__ or "").partition("\n")[0]
        yield from _sentences(error)
