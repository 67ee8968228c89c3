"""A ledger in memory."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from llm_core.errors import PolicyUnavailable
from llm_core.policy.limits import Amounts, Limit
from policy_service.periods import SLIDING, calendar_span, sliding_start
from policy_service.ports.ledger import UsageRow
from policy_service.ports.limits import Spent

_MILLION = 1_000_000


class FakeLedger:
    """Implements `Ledger`.

    Args:
        spent: USD by node, as if booked before in whatever calendar period.

    Attributes:
        rows: What was recorded, by decision.
        sums_asked: Nodes that were summed, in order.
        is_down: Whether it raises `PolicyUnavailable`.
    """

    def __init__(self, spent: dict[str, Decimal] | None = None) -> None:
        self.before = spent or {}
        self.rows: dict[str, UsageRow] = {}
        self.is_down = False
        self.sums_asked: list[str] = []

    async def record(self, rows: Sequence[UsageRow]) -> None:
        """Keep rows; a lease's end gives way to a report, an estimate to a true figure."""
        self._reach()
        for row in rows:
            known = self.rows.get(row.decision_id)
            if known is None or _trust(row) > _trust(known):
                self.rows[row.decision_id] = row

    async def spent(
        self, limit: Limit, now: datetime, without: Collection[str] = ()
    ) -> tuple[Spent, ...]:
        """What was spent before, and what was recorded."""
        self._reach()
        self.sums_asked.append(limit.node)
        rows = [
            row
            for row in self.rows.values()
            if row.decision_id not in without and _belongs(row, limit)
        ]
        if not limit.measure.period.is_calendar:
            return _by_bucket(rows, limit, now)
        span = calendar_span(limit.measure.period, now, limit.time_zone)
        total = self.before.get(limit.node, Decimal(0)) if limit.measure.is_money else Decimal(0)
        total += sum(_amount(row, limit) for row in rows if span.starts_at <= row.at < span.ends_at)
        return (Spent(span.starts_at, total),)

    async def written(self, decision_ids: Collection[str]) -> frozenset[str]:
        """Those that were recorded."""
        self._reach()
        return frozenset(decision_ids) & self.rows.keys()

    async def ready(self) -> bool:
        """Whether it is up."""
        return not self.is_down

    def _reach(self) -> None:
        if self.is_down:
            raise PolicyUnavailable("The ledger is down.")


def _trust(row: UsageRow) -> int:
    if row.source != "estimated":
        return 2
    return int(row.error_class != "unreported")


def _belongs(row: UsageRow, limit: Limit) -> bool:
    kind, _, node_id = limit.node.partition(":")
    return getattr(row, "key_id" if kind == "key" else kind) == node_id and limit.binds(
        row.asked_model
    )


def _amount(row: UsageRow, limit: Limit) -> Decimal:
    took = Amounts(1, row.input_tokens or 0, row.output_tokens or 0, row.usd)
    return took.of(limit.measure.quantity)


def _by_bucket(rows: Iterable[UsageRow], limit: Limit, now: datetime) -> tuple[Spent, ...]:
    bucket_s = SLIDING[limit.measure.period].bucket_s
    start = sliding_start(limit.measure.period, now)
    sums: dict[int, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.at > start:
            at_us = int(row.at.timestamp()) * _MILLION + row.at.microsecond
            sums[-(-at_us // (bucket_s * _MILLION)) - 1] += _amount(row, limit)
    return tuple(
        Spent(datetime.fromtimestamp(before * bucket_s, UTC), amount)
        for before, amount in sorted(sums.items())
        if amount
    )
