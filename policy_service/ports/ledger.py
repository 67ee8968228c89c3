"""Who calls, what was used, and what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from llm_core.policy.caller import Caller
from llm_core.pricing.charge import ModelPrice


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One line of the ledger. Ids and numbers only: no prompt, no answer, no key.

    Args:
        source: `provider`, `counted` or `estimated`.
        error_class: See `ErrorClass`.
        usd: Charged, exact.
        price_version: What it was charged at.
        cache: `hit`, `miss` or `bypass`.
        saved_usd: What a hit would have cost at the price in force; it has no tokens of its own.
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


class Callers(Protocol):
    """Finds who stands behind a credential; `PolicyUnavailable` when the database is gone."""

    async def by_key(self, api_key: str) -> Caller | None:
        """The caller of a key that is known, not revoked and not expired; else `None`."""
        ...

    async def by_consumer(self, *, username: str | None, custom_id: str | None) -> Caller | None:
        """The caller that a Kong consumer is bound to; `custom_id` wins over `username`."""
        ...


class Ledger(Protocol):
    """The truth about what was used: the `usage` table and its hourly roll-ups."""

    async def record(self, rows: Sequence[UsageRow]) -> None:
        """Insert, with the roll-ups, in one transaction.

        A decision id that is there already is left alone, unless the stored row is an estimate and
        the new one is not: then it is replaced and the roll-ups are corrected.
        """
        ...

    async def month_usd(self, node: str, now: datetime) -> Decimal:
        """USD charged this calendar month (UTC) to a node, `<kind>:<id>` as in `Limit.node`."""
        ...

    async def ready(self) -> bool:
        """Whether the database answers and its schema is up to date."""
        ...


class Prices(Protocol):
    """Looks prices up."""

    def price(self, provider: str, model: str, at: datetime) -> ModelPrice | None:
        """The price in force at `at`; `None` when it is not known, which is not free."""
        ...
