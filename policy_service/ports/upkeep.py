"""What keeps the ledger in shape: room for what comes, and an end for what is old."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

FEWEST_MONTHS = 2
"""Two months before the current one, because a budget of 30 days looks back into them: the last
days of January count on the first of March."""


@dataclass(frozen=True, slots=True)
class Remade:
    """A month's roll-ups, made anew.

    Args:
        rows: How many calls the ledger has in the month.
        before: How many the roll-ups counted.
        is_changed: Whether they were written; not so when the ledger has fewer calls than they
            count and nobody said that they may shrink.
    """

    rows: int
    before: int
    is_changed: bool


class Upkeep(Protocol):
    """Looks after the ledger's tables. Every method raises `PolicyUnavailable` on an outage.

    Any number of processes may do it at once.
    """

    async def make_room(self, now: datetime) -> tuple[str, ...]:
        """See to it that this month and the next two have a place of their own.

        Returns:
            The months that got one now, written `2026-11`.
        """
        ...

    async def drop_old(self, now: datetime, kept_months: int) -> tuple[str, ...]:
        """Drop the rows of old months; the roll-ups stay.

        Args:
            now: Its month, UTC, is kept.
            kept_months: And so many before it, `FEWEST_MONTHS` at least.

        Returns:
            The months that were dropped, written `2026-11`, oldest first.

        Raises:
            ValueError: `kept_months` is too small.
        """
        ...

    async def remake_rollups(self, month: str, *, may_shrink: bool = False) -> Remade:
        """Make a month's roll-ups from its rows, in one transaction; writers wait meanwhile.

        Args:
            month: Such as `2026-11`, UTC.
            may_shrink: Also when the ledger has fewer calls than the roll-ups count, as is so for
                months whose rows were dropped.

        Raises:
            ValueError: `month` is not written so.
        """
        ...

    async def months(self) -> tuple[str, ...]:
        """The months that rows or roll-ups are there for, oldest first."""
        ...
