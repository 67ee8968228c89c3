"""Limits that passed a soft threshold, and whom to tell."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from llm_core.policy.limits import Limit


@dataclass(frozen=True, slots=True)
class Alert:
    """A limit passed a threshold in a period; limit, period and percent name it.

    Args:
        limit_key: `Limit.key`.
        period: A calendar day or month, such as `2026-11`; for a sliding period the day on which it
            was passed.
        percent: The threshold.
        node: Whose limit.
        measure: What it counts.
        at: When it was noticed, UTC.
        used: In the limit's own unit.
        amount: What the limit was then, raises included.
    """

    limit_key: str
    period: str
    percent: int
    node: str
    measure: str
    at: datetime
    used: Decimal
    amount: Decimal

    @property
    def scope(self) -> str:
        """Which models the limit is about; empty for every one."""
        return self.limit_key[len(self.node) + 1 : -len(self.measure)].rstrip(":")


Passed = tuple[datetime, int, str, str]
"""An alert's place among all: at, percent, limit_key, period."""


class Alerts(Protocol):
    """Every alert once, over all processes. Raises `PolicyUnavailable` when it cannot be asked."""

    async def whole(self, limit: Limit, now: datetime) -> Limit | None:
        """The limit as the organisation has it now, raised, with nothing kept for anybody.

        `None` when it is gone.
        """
        ...

    async def add(self, alert: Alert) -> bool:
        """Note an alert; whether it is new, so that it is to be told from here."""
        ...

    async def told(self, alert: Alert) -> None:
        """Note that it was told."""
        ...

    async def untold(self, before: datetime, most: int) -> tuple[Alert, ...]:
        """The oldest that were noticed before then and that nobody was told."""
        ...

    async def recent(
        self,
        most: int,
        nodes: Collection[str] | None = None,
        *,
        after: Passed | None = None,
    ) -> tuple[Alert, ...]:
        """The newest, newest first.

        Args:
            most: How many.
            nodes: Only of these nodes; `None` for every one.
            after: Only those behind this place.
        """
        ...


class Teller(Protocol):
    """Tells somebody of an alert."""

    async def tell(self, alert: Alert) -> bool:
        """Whether it was taken; never raises."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
