"""What managers see: spend and budgets by month from the roll-ups, and the newest ledger rows."""

from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Measure
from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.ledger import ledger_columns, row_of
from policy_service.adapters.sql.months import month_named
from policy_service.adapters.sql.tables import LimitRow, TeamUnit, Usage, UsageHourly
from policy_service.ports.ledger import UsageRow
from policy_service.ports.reports import BudgetRow, SpendRow

MOST_RECENT = 1000


class UsageReports:
    """Answers the admin API's questions. All raise `PolicyUnavailable` when the database fails."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def spend(self, month: str) -> tuple[SpendRow, ...]:
        """Sums by department, team and asked model, in that order.

        Args:
            month: Such as `2026-11`, UTC.

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

    async def budgets(self, month: str) -> tuple[BudgetRow, ...]:
        """Every team of the organisation, and every other that has spent, by department and team.

        The budget is the one in force now, whatever the month.

        Raises:
            ValueError: `month` is not written as `2026-11`.
        """
        first, end = month_named(month)
        spent = (
            select(UsageHourly.department, UsageHourly.team, func.sum(UsageHourly.usd))
            .where(UsageHourly.hour >= first, UsageHourly.hour < end)
            .group_by(UsageHourly.department, UsageHourly.team)
        )
        teams = select(TeamUnit.department_id, TeamUnit.id)
        limits = select(LimitRow.node, LimitRow.amount).where(
            LimitRow.measure == Measure.USD_PER_MONTH.value, LimitRow.node.startswith("team:")
        )
        async with reading(self._engine) as connection:
            used = {(row[0], row[1]): row[2] for row in await connection.execute(spent)}
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

    async def recent(self, limit: int) -> tuple[UsageRow, ...]:
        """The newest ledger rows, newest first; between 1 and `MOST_RECENT` of them."""
        statement = (
            select(*ledger_columns())
            .order_by(Usage.at.desc(), Usage.decision_id.desc())
            .limit(max(1, min(limit, MOST_RECENT)))
        )
        async with reading(self._engine) as connection:
            return tuple(row_of(row) for row in (await connection.execute(statement)).mappings())
