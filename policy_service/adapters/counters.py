"""Which counter a limit has, and in what amounts it counts: the same for every store.

There are three kinds of counter: a window that slides, a sum for a period of the calendar, and the
list of calls that are under way.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from functools import lru_cache

from llm_core.policy.caller import Caller
from llm_core.policy.limits import Amounts, Limit, Measure, Period, Quantity
from policy_service.adapters.pico_usd import limit_usd, taken_usd
from policy_service.adapters.windows import BUCKETS, Buckets, epoch_ms
from policy_service.periods import Span, calendar_span
from policy_service.ports.limits import Spent

MAX_COUNT = 2**52
"""No limit is higher; one more and twice that are still exact in a double."""

RETRY_UNDER_WAY_S = 1.0
"""When to come again if too many calls are under way: nobody knows when one of them ends."""

PERIOD_KEPT_MS = 7 * 86_400_000
"""How long the sum of a period of the calendar is kept after its end."""

_GROUP = "group:"


class Kind(StrEnum):
    """What a counter is."""

    WINDOW = "window"
    PERIOD = "period"
    PAST = "past"
    """The sum of a period that was over when a call came that was decided in it: the call is added
    if the sum is still there, and refused by nobody."""
    UNDER_WAY = "under_way"


@dataclass(frozen=True, slots=True)
class Counter:
    """One limit's counter.

    Args:
        name: Tells it from all others, for example `period:2026-11:team:search:usd_per_month`.
        buckets: Of a window.
        span: Of a period.
    """

    limit: Limit
    kind: Kind
    name: str
    buckets: Buckets | None = None
    span: Span | None = None

    @property
    def needs_priming(self) -> bool:
        """Whether it must be there before anything can be taken."""
        return self.limit.measure.period.is_from_ledger and self.kind is not Kind.PAST

    @property
    def amount(self) -> Decimal:
        """How much may be used, as counters see it."""
        if self.limit.measure.is_money:
            return limit_usd(self.limit.amount)
        return Decimal(limit_count(self.limit.amount))

    def ends_in_s(self, now: datetime) -> float:
        """Until the period is over; 0 for what has none."""
        return (self.span.ends_at - now).total_seconds() if self.span else 0.0

    def kept_ms(self, now: datetime) -> int:
        """How long a counter from the ledger is kept, if nothing is taken from it."""
        if self.buckets:
            return 2 * self.buckets.window_ms
        return int(self.ends_in_s(now) * 1000) + PERIOD_KEPT_MS

    def part_of(self, at_ms: int, now_ms: int) -> int | None:
        """Where something counts that was decided at `at_ms`.

        Returns:
            A window's bucket, or 0 for the only part of a period; `None` when it does not count.
        """
        if self.buckets:
            bucket = self.buckets.number(at_ms)
            return bucket if self.buckets.leaves_at_ms(bucket) > now_ms else None
        if self.span is None:
            return None
        is_within = epoch_ms(self.span.starts_at) <= at_ms < epoch_ms(self.span.ends_at)
        return 0 if is_within else None

    def parts(self, spent: Sequence[Spent]) -> list[tuple[int, Decimal]]:
        """What the ledger has, as `part_of` names the places.

        Raises:
            ValueError: An amount is negative.
        """
        return [
            (self.buckets.beginning_at(epoch_ms(one.at)) if self.buckets else 0, self.taken(one))
            for one in spent
        ]

    def taken(self, spent: Spent) -> Decimal:
        """The ledger's amount, as counters see it."""
        if self.limit.measure.is_money:
            return taken_usd(spent.amount)
        return Decimal(taken_count(int(spent.amount)))


class Calendar:
    """Remembers the periods that are running: to ask for them takes longer than all the rest."""

    def __init__(self) -> None:
        """Know none yet."""
        self._running: dict[tuple[Period, str], Span] = {}

    def span(self, limit: Limit, at: datetime) -> Span:
        """The day or month of the limit that `at` lies in."""
        which = (limit.measure.period, limit.time_zone)
        known = self._running.get(which)
        if known is None or not known.starts_at <= at < known.ends_at:
            known = self._running[which] = calendar_span(which[0], at, which[1])
        return known


_CALENDAR = Calendar()


def counter_of(limit: Limit, now: datetime, decided_at: datetime | None = None) -> Counter:
    """The counter of a limit for what is decided now, or was `decided_at`.

    Raises:
        ValueError: There is no such time zone.
    """
    period, key = limit.measure.period, _key_of(limit)
    if period is Period.UNDER_WAY:
        return Counter(limit, Kind.UNDER_WAY, f"under_way:{key}")
    buckets = BUCKETS.get(period)
    if buckets:
        return Counter(limit, Kind.WINDOW, f"window:{key}", buckets=buckets)
    span, kind = _CALENDAR.span(limit, now), Kind.PERIOD
    if decided_at is not None and decided_at < span.starts_at:
        span, kind = calendar_span(period, decided_at, limit.time_zone), Kind.PAST
    return Counter(limit, kind, f"period:{span.label}:{key}", span=span)


def _key_of(limit: Limit) -> str:
    """The limit's key, of a group's limit with a digest of the members.

    So a group that has changed gets a new counter, with the sums of the models that are in it now.
    """
    if not limit.scope.startswith(_GROUP):
        return limit.key
    return f"{limit.key}:{_digest(limit.models)}"


@lru_cache(maxsize=4096)
def _digest(models: tuple[str, ...]) -> str:
    """The same for the same models in any order; no alias holds a zero byte."""
    members = "\0".join(sorted(set(models)))
    return hashlib.blake2b(members.encode(), digest_size=6).hexdigest()


def primable(limit: Limit, now: datetime) -> Counter:
    """The counter of a limit that the ledger knows.

    Raises:
        ValueError: The ledger does not know this measure.
    """
    if not limit.measure.period.is_from_ledger:
        raise ValueError(f"{limit.key} is not in the ledger and needs no priming")
    return counter_of(limit, now)


def to_prime(limit: Limit, now: datetime) -> Counter:
    """The counter of a limit that is to be made from the ledger.

    Raises:
        ValueError: The ledger does not know this measure, or the limit does not say which models
            its scope stands for.
    """
    if limit.scope and not limit.models:
        raise ValueError(f"{limit.key} does not say which models it is about")
    return primable(limit, now)


def binding(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """One limit for each counter: where a key stands twice, the smallest amount binds.

    The counter is then checked and charged once, in the place where its key first stood.
    """
    smallest: dict[str, Limit] = {}
    for limit in limits:
        key = _key_of(limit)
        held = smallest.get(key)
        if held is None or limit.amount < held.amount:
            smallest[key] = limit
    return tuple(smallest.values())


def limit_count(amount: Decimal) -> int:
    """A limit's amount in whole requests or tokens: rounded down, no higher than counters go."""
    capped = min(max(amount, Decimal(0)), Decimal(MAX_COUNT))
    return int(capped.to_integral_value(rounding=ROUND_FLOOR))


def taken_count(wanted: int) -> int:
    """What a call takes; absurdly many stay more than any limit, so that they are refused.

    Raises:
        ValueError: The number is negative.
    """
    if wanted < 0:
        raise ValueError(f"nobody can take {wanted} requests or tokens")
    return min(wanted, MAX_COUNT + 1)


def taken(amounts: Amounts) -> Amounts:
    """What a call takes, as counters see it.

    Raises:
        ValueError: A number is negative.
    """
    return Amounts(
        requests=taken_count(amounts.requests),
        input_tokens=taken_count(amounts.input_tokens),
        output_tokens=taken_count(amounts.output_tokens),
        usd=taken_usd(amounts.usd),
    )


def retry_after_s(
    counter: Counter, amounts: Amounts, fits_in_ms: int | None, now: datetime
) -> float | None:
    """What to tell a caller whom a limit refused.

    Args:
        counter: Which one was exceeded.
        amounts: From `taken`.
        fits_in_ms: What a window, or the calls under way, say of themselves.
        now: When it was refused.
    """
    measure = counter.limit.measure
    if amounts.of(measure.quantity) > counter.amount:
        return None
    if counter.kind is Kind.PERIOD:
        return None if measure.is_money else counter.ends_in_s(now)
    return None if fits_in_ms is None else fits_in_ms / 1000


def nodes_of(caller: Caller, approval: str | None = None) -> tuple[str, ...]:
    """The nodes that a call by this caller counts for, and the approval that it rests on."""
    path = (
        ("organisation", caller.organisation),
        ("department", caller.department),
        ("team", caller.team),
        ("project", caller.project),
        ("user", caller.user),
        ("application", caller.application),
        ("key", caller.key_id),
        ("approval", approval),
    )
    return tuple(f"{kind}:{name}" for kind, name in path if name is not None)


def correctable(measure: Measure) -> bool:
    """Whether settling changes what a counter of this measure says."""
    return measure.quantity is not Quantity.REQUESTS
