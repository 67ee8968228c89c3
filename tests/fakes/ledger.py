"""A ledger in memory."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from llm_core.errors import PolicyUnavailable
from policy_service.ports.ledger import UsageRow


class FakeLedger:
    """Implements `Ledger`.

    Args:
        spent: USD this month by node, as if booked before.
    """

    def __init__(self, spent: dict[str, Decimal] | None = None) -> None:
        self.spent = spent or {}
        self.rows: dict[str, UsageRow] = {}
        self.is_down = False
        self.sums_asked: list[str] = []

    async def record(self, rows: Sequence[UsageRow]) -> None:
        """Keep rows; an estimate gives way to a true figure, nothing else is replaced."""
        self._reach()
        for row in rows:
            known = self.rows.get(row.decision_id)
            if known is None or (known.source == "estimated" and row.source != "estimated"):
                self.rows[row.decision_id] = row

    async def month_usd(self, node: str, now: datetime) -> Decimal:
        """What was spent before."""
        self._reach()
        self.sums_asked.append(node)
        return self.spent.get(node, Decimal(0))

    async def ready(self) -> bool:
        """Whether it is up."""
        return not self.is_down

    def _reach(self) -> None:
        if self.is_down:
            raise PolicyUnavailable("The ledger is down.")
