"""What was used, and what it costs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from llm_core.policy.limits import Limit
from llm_core.pricing.charge import ModelPrice
from policy_service.ports.limits import Spent


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One line of the ledger. Ids and numbers only: no prompt, no answer, no key.

    Args:
        source: `provider`, `counted` or `estimated`.
        error_class: See `ErrorClass`.
        usd: Charged, exact.
        price_version: What it was charged at.
        input_tokens: Buckets are inclusive, as in `TokenUsage`; `None` is "not reported".
        cache: `hit`, `miss` or `bypass`.
        routing_saved_usd: What the same tokens would have cost at the dearest deployment that was
            permitted and able, at the prices of the decision, less `usd`.
        saved_usd: What a hit would have cost at the price in force; it has no tokens of its own.
        request_digest: Keyed; `None` where policy wants nothing kept. So are the next three.
        request_bytes: How long the question was, as the client sent it.
        data_labels: Of the call, sorted, separated by commas.
        approval_id: Of the grant that the permission rested on.
    """

    decision_id: str
    at: datetime
    organisation: str
    department: str
    team: str
    project: str | None
    user: str | None
    application: str | None
    key_id: str | None
    operation: str
    asked_model: str
    routed_model: str | None
    served_model: str | None
    deployment_id: str | None
    provider: str | None
    region: str | None
    transport: str
    is_streaming: bool
    http_status: int
    error_class: str
    source: str
    input_tokens: int | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    usd: Decimal
    price_version: str | None
    policy_revision: str
    total_ms: float | None = None
    time_to_first_token_ms: float | None = None
    overhead_ms: float | None = None
    fallbacks: int = 0
    request_digest: str | None = None
    response_digest: str | None = None
    cache: str = "bypass"
    saved_usd: Decimal = Decimal(0)
    cost_centre: str | None = None
    use_case: str | None = None
    priority: str = "interactive"
    request_bytes: int | None = None
    response_bytes: int | None = None
    data_labels: str = ""
    approval_id: str | None = None
    routing_saved_usd: Decimal = Decimal(0)
    input_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_audio_tokens: int | None = None
    cached_audio_tokens: int | None = None


class Ledger(Protocol):
    """The truth about what was used: the `usage` table and its hourly roll-ups."""

    async def record(self, rows: Sequence[UsageRow]) -> None:
        """Insert, with the roll-ups, in one transaction.

        A decision id that is there already is left alone, unless the stored row is an estimate and
        the new one is not, or it only tells of a lease that ended unreported and the new one is a
        report: then it is replaced and the roll-ups are corrected.
        """
        ...

    async def spent(
        self, limit: Limit, now: datetime, without: Collection[str] = ()
    ) -> tuple[Spent, ...]:
        """What was used of a limit in its period, in its own unit.

        Args:
            limit: Its period `is_from_ledger`; node, scope and time zone choose the rows.
            now: Chooses the period.
            without: Decision ids that do not count.

        Returns:
            One sum for a calendar period; one for each bucket with something in it for a sliding
            one (`policy_service.periods.SLIDING`).
        """
        ...

    async def written(self, decision_ids: Collection[str]) -> frozenset[str]:
        """Those of these decisions whose rows are in the ledger."""
        ...

    async def ready(self) -> bool:
        """Whether the database answers and its schema is up to date."""
        ...


class Prices(Protocol):
    """Looks prices up."""

    def price(self, provider: str, model: str, at: datetime) -> ModelPrice | None:
        """The price in force at `at`; `None` when it is not known, which is not free."""
        ...
