"""What managers read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from policy_service.ports.ledger import UsageRow


@dataclass(frozen=True, slots=True)
class SpendRow:
    """What a team used of a model in a month.

    Args:
        cache_hits: Of the requests, those that the response cache answered.
        saved_usd: What they would have cost.
    """

    department: str
    team: str
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    usd: Decimal
    cache_hits: int = 0
    saved_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A team's budget and what is used of it; `None` when no budget is set."""

    department: str
    team: str
    budget_usd: Decimal | None
    used_usd: Decimal


class Reports(Protocol):
    """What managers read. Months are calendar months, UTC, written `2026-11`.

    `nodes` are those that the reader may see, each with all that stands below it; `None` for all.
    What somebody used counts where they stood at that time.
    """

    async def spend(self, month: str, *, nodes: frozenset[str] | None = None) -> Sequence[SpendRow]:
        """By department, team and asked model; from the roll-ups only."""
        ...

    async def recent(
        self,
        limit: int,
        *,
        nodes: frozenset[str] | None = None,
        after: tuple[datetime, str] | None = None,
    ) -> Sequence[UsageRow]:
        """The newest rows of the ledger, or those behind a row: its time and its decision."""
        ...

    async def budgets(
        self, month: str, *, nodes: frozenset[str] | None = None
    ) -> Sequence[BudgetRow]:
        """Every team; the month is the one of its organisation's clocks."""
        ...
