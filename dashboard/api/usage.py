"""Who uses models, when, and for how much of what."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dashboard.api.client import Client, Query


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call, as far as the dashboard shows it; the service sends more."""

    at: datetime
    team: str
    asked_model: str
    served_model: str | None
    http_status: int
    error_class: str
    input_tokens: int | None
    output_tokens: int | None
    usd: Decimal
    total_ms: float | None = None


@dataclass(frozen=True, slots=True)
class _Calls:
    rows: list[CallRow]


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A team's budget for a month and what it has used; `None` when it has no budget."""

    department: str
    team: str
    budget_usd: Decimal | None
    used_usd: Decimal


@dataclass(frozen=True, slots=True)
class _Budgets:
    rows: list[BudgetRow]


@dataclass(frozen=True, slots=True)
class HourRow:
    """An hour of the week; `weekday` 0 is Monday."""

    weekday: int
    hour: int
    requests: int
    tokens: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class _Hours:
    rows: list[HourRow]


@dataclass(frozen=True, slots=True)
class AdoptionRow:
    """How many were active in an interval."""

    start: datetime
    users: int
    applications: int
    teams: int
    requests: int


@dataclass(frozen=True, slots=True)
class Active:
    """How many were active in all."""

    users: int = 0
    applications: int = 0
    teams: int = 0


@dataclass(frozen=True, slots=True)
class Adoption:
    """Who was active, by interval."""

    rows: list[AdoptionRow]
    total: Active
    tz: str = "UTC"


def recent(client: Client, limit: int) -> list[CallRow]:
    """`GET /admin/v1/usage/recent`: the newest calls, newest first."""
    return client.get("usage/recent", _Calls, [("limit", str(limit))]).rows


def budgets(client: Client, month: str) -> list[BudgetRow]:
    """`GET /admin/v1/budgets`: every team's; `month` is written `2026-11`."""
    return client.get("budgets", _Budgets, [("month", month)]).rows


def hours(client: Client, query: Query) -> list[HourRow]:
    """`GET /admin/v1/usage/hours`."""
    return client.get("usage/hours", _Hours, query).rows


def adoption(client: Client, query: Query, interval: str = "day") -> Adoption:
    """`GET /admin/v1/usage/adoption`."""
    return client.get("usage/adoption", Adoption, [*query, ("interval", interval)])
