"""What managers see: spend and budgets by month from the roll-ups, and the newest ledger rows."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.policy.limits import Measure
from policy_service.adapters.sql.engine import reading, reading_one_moment
from policy_service.adapters.sql.ledger import ledger_columns, row_of
from policy_service.adapters.sql.months import month_named
from policy_service.adapters.sql.tables import (
    DepartmentUnit,
    LimitRow,
    OrganisationUnit,
    TeamUnit,
    Usage,
    UsageHourly,
)
from policy_service.adapters.sql.usage_sums import usage_between
from policy_service.adapters.sql.within import within
from policy_service.ports.ledger import UsageRow
from policy_service.ports.reports import BudgetRow, SpendRow

_BY = ("organisation", "department", "team")
_ROLLED_UP = {
    "organisation": UsageHourly.organisation,
    "department": UsageHourly.department,
    "team": UsageHourly.team,
    "project": UsageHourly.project,
}
_TEAMS = {
    "organisation": DepartmentUnit.organisation_id,
    "department": TeamUnit.department_id,
    "team": TeamUnit.id,
}
_WRITTEN = {
    "organisation": Usage.organisation,
    "department": Usage.department,
    "team": Usage.team,
    "project": Usage.project,
}


class UsageReports:
    """Answers the admin API's questions. All raise `PolicyUnavailable` when the database fails."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def spend(
        self, month: str, *, nodes: frozenset[str] | None = None
    ) -> tuple[SpendRow, ...]:
        """Sums by department, team and asked model, in that order.

        Args:
            month: Such as `2026-11`, UTC.
            nodes: Only what was used at or below these; `None` for all.

        Raises:
            ValueError: `month` is not written so.
        """
        first, end = month_named(month)
        groups = (UsageHourly.department, UsageHourly.team, UsageHourly.asked_model)
        statement = (
            select(
                *groups,
                func.sum(UsageHourly.requests),
                func.sum(UsageHourly.input_tokens),
                func.sum(UsageHourly.output_tokens),
                func.sum(UsageHourly.usd),
                func.sum(UsageHourly.cache_hits),
                func.sum(UsageHourly.saved_usd),
            )
            .where(UsageHourly.hour >= first, UsageHourly.hour < end)
            .where(within(nodes, _ROLLED_UP))
            .group_by(*groups)
            .order_by(*groups)
        )
        async with reading(self._engine) as connection:
            found = (await connection.execute(statement)).all()
        return tuple(
            SpendRow(
                department=row[0],
                team=row[1],
                model=row[2],
                requests=int(row[3]),
                input_tokens=int(row[4]),
                output_tokens=int(row[5]),
                usd=row[6],
                cache_hits=int(row[7]),
                saved_usd=row[8],
            )
            for row in found
        )

    async def budgets(
        self, month: str, *, nodes: frozenset[str] | None = None
    ) -> tuple[BudgetRow, ...]:
        """Every team of the organisation, and every other that has spent, by department and team.

        The month is the one of the organisation's clocks, as for the budget itself. The budget is
        the one in force now, whatever the month. `nodes` restricts it to teams at or
        below these; whoever may see a project only sees no team's budget.

        Raises:
            ValueError: `month` is not written as `2026-11`.
        """
        month_named(month)
        teams = (
            select(TeamUnit.department_id, TeamUnit.id)
            .join(DepartmentUnit, DepartmentUnit.id == TeamUnit.department_id)
            .where(within(nodes, _TEAMS))
        )
        limits = select(LimitRow.node, LimitRow.amount).where(
            LimitRow.measure == Measure.USD_PER_MONTH.value,
            LimitRow.node.startswith("team:"),
            LimitRow.scope == "",
        )
        async with reading_one_moment(self._engine) as connection:
            used = await _used(connection, month, nodes)
            known = {(row[0], row[1]) for row in await connection.execute(teams)}
            budgets = {row[0]: row[1] for row in await connection.execute(limits)}
        return tuple(
            BudgetRow(
                department,
                team,
                # A team that moved keeps old rows under its old department: no budget there.
                budgets.get(f"team:{team}") if (department, team) in known else None,
                used.get((department, team), Decimal(0)),
            )
            for department, team in sorted(known | used.keys())
        )

    async def recent(
        self,
        limit: int,
        *,
        nodes: frozenset[str] | None = None,
        after: tuple[datetime, str] | None = None,
    ) -> tuple[UsageRow, ...]:
        """The newest ledger rows at or below `nodes`, newest first; see the port."""
        statement = (
            select(*ledger_columns())
            .where(within(nodes, _WRITTEN))
            .order_by(Usage.at.desc(), Usage.decision_id.desc())
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(tuple_(Usage.at, Usage.decision_id) < after)
        async with reading(self._engine) as connection:
            return tuple(row_of(row) for row in (await connection.execute(statement)).mappings())


async def _used(
    connection: AsyncConnection, month: str, nodes: frozenset[str] | None
) -> dict[tuple[str, str], Decimal]:
    """USD by department and team, in the month that each organisation's clocks show."""
    units = await connection.execute(select(OrganisationUnit.id, OrganisationUnit.time_zone))
    zones: dict[str | None, str] = {row[0]: row[1] for row in units}
    of_teams = None if nodes is None else [one for one in nodes if not one.startswith("project:")]
    used: dict[tuple[str, str], Decimal] = {}
    for zone in sorted({"UTC", *zones.values()}):
        first, end = month_named(month, zone)
        for one in await usage_between(connection, first, end, by=_BY, only={}, nodes=of_teams):
            organisation, department, team = (one.keys[name] or "" for name in _BY)
            if zones.get(organisation, "UTC") == zone:
                used[department, team] = used.get((department, team), Decimal(0)) + one.usd
    return used
