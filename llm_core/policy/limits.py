"""Limits on what a node of the organisation may use, and where each of them stands."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Priority(StrEnum):
    """How urgent a call is: somebody waits for it, or nobody does."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class Quantity(StrEnum):
    """What a limit counts."""

    REQUESTS = "requests"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    TOKENS = "tokens"
    """Input and output together."""
    USD = "usd"


class Period(StrEnum):
    """Over which time a limit counts."""

    UNDER_WAY = "under_way"
    """As long as a call lasts."""
    MINUTE = "minute"
    """The last 60 s at every moment: it slides, so that no edge lets a double burst through."""
    DAY = "day"
    """A calendar day in the organisation's time zone."""
    MONTH = "month"
    """A calendar month in the organisation's time zone."""
    LAST_24_HOURS = "24_hours"
    LAST_30_DAYS = "30_days"

    @property
    def is_calendar(self) -> bool:
        """Whether it begins anew at a date, rather than slide."""
        return self in (Period.DAY, Period.MONTH)

    @property
    def is_from_ledger(self) -> bool:
        """Whether what was used before is known from the ledger when a store has lost it."""
        return self not in (Period.UNDER_WAY, Period.MINUTE)


class Measure(StrEnum):
    """What a limit counts, and over which time."""

    REQUESTS_PER_MINUTE = "requests_per_minute"
    CONCURRENT_REQUESTS = "concurrent_requests"
    TOKENS_PER_MINUTE = "tokens_per_minute"
    INPUT_TOKENS_PER_MINUTE = "input_tokens_per_minute"
    OUTPUT_TOKENS_PER_MINUTE = "output_tokens_per_minute"
    TOKENS_PER_DAY = "tokens_per_day"
    TOKENS_PER_24_HOURS = "tokens_per_24_hours"
    USD_PER_DAY = "usd_per_day"
    USD_PER_24_HOURS = "usd_per_24_hours"
    USD_PER_MONTH = "usd_per_month"
    USD_PER_30_DAYS = "usd_per_30_days"

    @property
    def quantity(self) -> Quantity:
        """What is counted."""
        return _KINDS[self][0]

    @property
    def period(self) -> Period:
        """Over which time."""
        return _KINDS[self][1]

    @property
    def is_money(self) -> bool:
        """Whether the amount is USD."""
        return self.quantity is Quantity.USD

    @property
    def words(self) -> str:
        """As people write it: `USD per month`, `tokens per day`."""
        return self.value.replace("_", " ").replace("usd", "USD")


_KINDS = {
    Measure.REQUESTS_PER_MINUTE: (Quantity.REQUESTS, Period.MINUTE),
    Measure.CONCURRENT_REQUESTS: (Quantity.REQUESTS, Period.UNDER_WAY),
    Measure.TOKENS_PER_MINUTE: (Quantity.TOKENS, Period.MINUTE),
    Measure.INPUT_TOKENS_PER_MINUTE: (Quantity.INPUT_TOKENS, Period.MINUTE),
    Measure.OUTPUT_TOKENS_PER_MINUTE: (Quantity.OUTPUT_TOKENS, Period.MINUTE),
    Measure.TOKENS_PER_DAY: (Quantity.TOKENS, Period.DAY),
    Measure.TOKENS_PER_24_HOURS: (Quantity.TOKENS, Period.LAST_24_HOURS),
    Measure.USD_PER_DAY: (Quantity.USD, Period.DAY),
    Measure.USD_PER_24_HOURS: (Quantity.USD, Period.LAST_24_HOURS),
    Measure.USD_PER_MONTH: (Quantity.USD, Period.MONTH),
    Measure.USD_PER_30_DAYS: (Quantity.USD, Period.LAST_30_DAYS),
}


@dataclass(frozen=True, slots=True)
class Raise:
    """More than a limit's amount, for a while.

    Args:
        amount: How much more, in the limit's own unit.
        starts_at: From then on, UTC-aware.
        until: And no longer than that.
    """

    amount: Decimal
    starts_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Limit:
    """One cap on one node.

    Args:
        node: Whom it binds, as `<kind>:<id>`, for example `team:search`.
        measure: What is counted.
        amount: How much may be used: whole requests, whole tokens, or USD.
        scope: Which models it is about, `model:<alias>` or `group:<name>`; empty for every one.
            Calls to other models neither meet it nor count.
        models: The aliases that `scope` stands for; empty for every one.
        interactive_share: The part of the amount that batch calls leave alone, 0 to 1.
        time_zone: IANA name; where calendar days and months begin.
        raises: More for a while.
    """

    node: str
    measure: Measure
    amount: Decimal
    scope: str = ""
    models: tuple[str, ...] = ()
    interactive_share: Decimal = Decimal(0)
    time_zone: str = "UTC"
    raises: tuple[Raise, ...] = ()

    @property
    def key(self) -> str:
        """Names the limit's counter, for example `team:search:usd_per_month`."""
        scope = f":{self.scope}" if self.scope else ""
        return f"{self.node}{scope}:{self.measure}"

    def binds(self, asked_model: str) -> bool:
        """Whether a call that asks for this model meets the limit."""
        return not self.scope or asked_model in self.models

    def amount_for(self, priority: Priority, now: datetime) -> Decimal:
        """How much a call of this priority may fill: raised as of now, less what is kept."""
        raised = sum(
            (more.amount for more in self.raises if more.starts_at <= now < more.until), Decimal(0)
        )
        whole = self.amount + raised
        if priority is Priority.BATCH:
            return whole * (1 - self.interactive_share)
        return whole


def in_force(
    limits: Iterable[Limit], *, asked_model: str, priority: Priority, now: datetime
) -> tuple[Limit, ...]:
    """The limits that one call meets, each with the amount that holds for it, in their order.

    What comes out has no raises and no share any more: they are worked in. Scope and models stay,
    because a counter that is set up from the ledger needs to know which rows are its own.
    """
    return tuple(
        replace(
            limit,
            amount=limit.amount_for(priority, now),
            raises=(),
            interactive_share=Decimal(0),
        )
        for limit in limits
        if limit.binds(asked_model)
    )


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
    input_tokens: int
    output_tokens: int
    usd: Decimal

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def of(self, quantity: Quantity) -> Decimal:
        """The amount in the quantity's unit."""
        match quantity:
            case Quantity.REQUESTS:
                return Decimal(self.requests)
            case Quantity.INPUT_TOKENS:
                return Decimal(self.input_tokens)
            case Quantity.OUTPUT_TOKENS:
                return Decimal(self.output_tokens)
            case Quantity.TOKENS:
                return Decimal(self.tokens)
            case Quantity.USD:
                return self.usd
