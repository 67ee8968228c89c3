"""Limits on what a node of the organisation may use, and where each of them stands."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Measure(StrEnum):
    """What a limit counts, and over which time."""

    REQUESTS_PER_MINUTE = "requests_per_minute"
    TOKENS_PER_MINUTE = "tokens_per_minute"
    USD_PER_MONTH = "usd_per_month"

    @property
    def is_money(self) -> bool:
        """Whether the amount is USD over a calendar month, UTC."""
        return self is Measure.USD_PER_MONTH


@dataclass(frozen=True, slots=True)
class Limit:
    """One cap on one node.

    Args:
        node: Whom it binds, as `<kind>:<id>`, for example `team:search`.
        measure: What is counted.
        amount: How much may be used: whole requests, whole tokens, or USD.
    """

    node: str
    measure: Measure
    amount: Decimal

    @property
    def key(self) -> str:
        """Names the limit's counter, for example `team:search:usd_per_month`."""
        return f"{self.node}:{self.measure}"


@dataclass(frozen=True, slots=True)
class LimitState:
    """Where a limit stands, open reservations counted as used.

    Args:
        limit: Which one.
        used: In the limit's own unit; can exceed the amount when the amount was lowered.
        reset_s: Seconds until something used now is free again.
    """

    limit: Limit
    used: Decimal
    reset_s: float

    @property
    def remaining(self) -> Decimal:
        """What is left, never below zero."""
        return max(self.limit.amount - self.used, Decimal(0))

    @property
    def used_fraction(self) -> float:
        """Used part of the amount; a limit of zero counts as used up."""
        return float(self.used / self.limit.amount) if self.limit.amount else 1.0


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one call takes from every limit that binds it."""

    requests: int
    tokens: int
    usd: Decimal

    def of(self, measure: Measure) -> Decimal:
        """The amount in `measure`'s unit."""
        match measure:
            case Measure.REQUESTS_PER_MINUTE:
                return Decimal(self.requests)
            case Measure.TOKENS_PER_MINUTE:
                return Decimal(self.tokens)
            case Measure.USD_PER_MONTH:
                return self.usd
