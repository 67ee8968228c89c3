"""Where limits stand: used, held by calls under way, left."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from llm_core.answer_headers import plain
from llm_core.policy.allowance import worst_case
from llm_core.policy.decision import Reservation
from llm_core.policy.limits import Limit, LimitState, Priority
from policy_service.periods import calendar_span
from policy_service.services.reserving import Reserving

_MOST_UNDER_WAY = 10_000
_LONGEST_LEASE = timedelta(days=1)
"""Leases are of minutes; whatever ends within a day is every call under way."""


@dataclass(frozen=True, slots=True)
class LimitStanding:
    """One limit, and where it stands; amounts are in its own unit.

    Args:
        scope: As in `Limit`.
        amount: Of the limit itself.
        raised: How much more there is for a while.
        used: What counts against it now, `reserved` included.
        reserved: Of that, the worst case of the calls under way.
        left: What more may be used.
        resets_at: When a calendar period ends, or when something of a sliding one is free again;
            `None` where nothing is used that could be.
    """

    node: str
    scope: str
    measure: str
    amount: Decimal
    raised: Decimal
    used: Decimal
    reserved: Decimal
    left: Decimal
    resets_at: datetime | None


async def standings(
    limits: Sequence[Limit], reserving: Reserving, now: datetime
) -> tuple[LimitStanding, ...]:
    """Where these limits stand, in their order.

    Raises:
        PolicyUnavailable: Store or ledger cannot be asked.
    """
    if not limits:
        return ()
    in_force = [_as_of_now(limit, now) for limit in limits]
    store = reserving.limits
    states = await store.states(in_force, now)
    # A counter that is not there yet reads as nothing used; nobody has to be told so.
    unused = [
        state.limit
        for state in states
        if not state.used and state.limit.measure.period.is_from_ledger
    ]
    if unused:
        await reserving.prime(unused, now)
        states = await store.states(in_force, now)
    under_way = await store.overdue(now + _LONGEST_LEASE, _MOST_UNDER_WAY)
    held = _held(under_way)
    return tuple(
        _standing(limit, state, held[limit.key], now)
        for limit, state in zip(limits, states, strict=True)
    )


def _as_of_now(limit: Limit, now: datetime) -> Limit:
    amount = limit.amount_for(Priority.INTERACTIVE, now)
    return replace(limit, amount=amount, raises=(), interactive_share=Decimal(0))


def _held(under_way: Sequence[Reservation]) -> dict[str, Decimal]:
    """What calls under way hold of each limit, by its key."""
    held: dict[str, Decimal] = defaultdict(Decimal)
    for one in under_way:
        amounts = worst_case(one.call, one.deployments, one.obligations)
        for limit in one.caller.limits:
            held[limit.key] += amounts.of(limit.measure.quantity)
    return held


def _standing(limit: Limit, state: LimitState, held: Decimal, now: datetime) -> LimitStanding:
    period = limit.measure.period
    resets_at = None
    if period.is_calendar:
        resets_at = calendar_span(period, now, limit.time_zone).ends_at
    elif state.used and state.reset_s:
        resets_at = now + timedelta(seconds=state.reset_s)
    return LimitStanding(
        node=limit.node,
        scope=limit.scope,
        measure=limit.measure.value,
        amount=_neat(limit.amount),
        raised=_neat(state.limit.amount - limit.amount),
        used=_neat(state.used),
        reserved=_neat(min(held, state.used)),
        left=_neat(state.remaining),
        resets_at=resets_at,
    )


def _neat(amount: Decimal) -> Decimal:
    """Without idle zeros and without exponent."""
    return Decimal(plain(amount))
