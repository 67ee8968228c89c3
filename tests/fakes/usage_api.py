"""Stands in for the policy service's admin API in tests of the dashboard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dashboard.usage_api import BudgetRow, CallRow, SpendRow, UsageUnavailable


@dataclass
class FakeUsageApi:
    """Answers from what it is given; months that are not given are empty.

    Args:
        spends: Rows by month.
        budget_rows: Rows by month.
        calls: The newest calls.
        failure: Raised in place of every answer, when there is one.
        asked_months: The months that spend was asked for, in order.
    """

    spends: Mapping[str, Sequence[SpendRow]] = field(default_factory=dict)
    budget_rows: Mapping[str, Sequence[BudgetRow]] = field(default_factory=dict)
    calls: Sequence[CallRow] = ()
    failure: UsageUnavailable | None = None
    asked_months: list[str] = field(default_factory=list)

    def spend(self, month: str) -> Sequence[SpendRow]:
        """The rows of `month`."""
        self._fail()
        self.asked_months.append(month)
        return self.spends.get(month, ())

    def budgets(self, month: str) -> Sequence[BudgetRow]:
        """The rows of `month`."""
        self._fail()
        return self.budget_rows.get(month, ())

    def recent(self, limit: int) -> Sequence[CallRow]:
        """The newest calls, at most `limit`."""
        self._fail()
        return self.calls[:limit]

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
