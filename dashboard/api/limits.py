"""Limits, where they stand, and what raises them for a while."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dashboard.api.client import LARGEST, Client, segment


@dataclass(frozen=True, slots=True)
class LimitState:
    """A limit, and what is used of it. Amounts are in the limit's own unit.

    Args:
        amount: Without what raises it.
        raised: How much more may be used for a while.
        reserved: Of calls under way, at their worst case.
    """

    node: str
    measure: str
    amount: Decimal
    scope: str = ""
    raised: Decimal = Decimal(0)
    used: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    left: Decimal = Decimal(0)
    resets_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _States:
    rows: list[LimitState]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A limit."""

    node: str
    measure: str
    amount: Decimal
    scope: str = ""


@dataclass(frozen=True, slots=True)
class _Limits:
    rows: list[LimitRow]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class RaiseRow:
    """More than a limit's amount for a while, and who said so."""

    id: str
    node: str
    scope: str
    measure: str
    amount: Decimal
    starts_at: datetime
    until: datetime
    author: str
    reason: str
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Raises:
    rows: list[RaiseRow]
    next: str | None = None


def states(client: Client) -> list[LimitState]:
    """`GET /admin/v1/limits/states`, all of its pages."""
    pages = client.pages("limits/states", _States, LARGEST)
    return [row for page in pages for row in page.rows]


def limits(client: Client) -> list[LimitRow]:
    """`GET /admin/v1/limits`, all of its pages."""
    return [row for page in client.pages("limits", _Limits, LARGEST) for row in page.rows]


def raises(client: Client) -> list[RaiseRow]:
    """`GET /admin/v1/limits/raises`: those that hold or will, all of its pages."""
    return [row for page in client.pages("limits/raises", _Raises, LARGEST) for row in page.rows]


def raise_limit(
    client: Client, limit: LimitRow, amount: Decimal, until: datetime, reason: str
) -> RaiseRow:
    """`POST /admin/v1/limits/raises`: so much more, from now on until then."""
    asked = {
        "node": limit.node,
        "measure": limit.measure,
        "scope": limit.scope,
        "amount": amount,
        "until": until,
        "reason": reason,
    }
    return client.post("limits/raises", RaiseRow, asked)


def withdraw(client: Client, raise_id: str) -> None:
    """`DELETE /admin/v1/limits/raises/{id}`: end it now."""
    client.delete(f"limits/raises/{segment(raise_id)}")
