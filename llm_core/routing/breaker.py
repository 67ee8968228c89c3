"""The circuit breaker of one deployment, as data: how it stands, and how it stands after a call.

```
            failures in a row, or their share in the window,
            or the provider's Retry-After
   closed ───────────────────────────────────────────────▶ open
      ▲                                                     │ its time is over
      │ one success                                         ▼
      └───────────────────────────────────────────────── half-open ──▶ open again, twice as long
                                                                 failure
```

Nothing here reads a clock: whoever asks says what time it is.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from llm_core.routing.facts import BreakerState

_BUCKETS = 6
"""The window moves in steps of a sixth."""

_MOST_DOUBLINGS = 20
"""More would pass any cap, and a timedelta's range in the end."""


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a breaker opens, and for how long.

    Args:
        failures_in_a_row: So many open it.
        failure_share: This share of the window's calls opens it, 0 to 1.
        min_calls: A share says nothing before the window holds so many.
        window_s: How far back the share looks.
        open_s: How long it stays open the first time; twice as long after each failed trial.
        max_open_s: Never longer than this.
        max_retry_after_s: A provider's Retry-After is heeded up to this.
    """

    failures_in_a_row: int = 5
    failure_share: float = 0.5
    min_calls: int = 20
    window_s: float = 30.0
    open_s: float = 5.0
    max_open_s: float = 300.0
    max_retry_after_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """The calls of a sixth of a window.

    Args:
        number: Counts sixths since 1970.
    """

    number: int
    good: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True)
class Breaker:
    """How a breaker stands.

    Args:
        failures_in_a_row: Since the last success.
        times_opened: Without a success between; sets how long it stays open.
        opens_until: `None` while closed; half-open from then on.
        window: The recent calls, oldest first.
    """

    failures_in_a_row: int = 0
    times_opened: int = 0
    opens_until: datetime | None = None
    window: tuple[Bucket, ...] = ()


CLOSED = Breaker()
"""Nothing is held against the deployment."""


def state_of(breaker: Breaker, now: datetime) -> BreakerState:
    """The state at `now`; time alone turns open into half-open."""
    if breaker.opens_until is None:
        return BreakerState.CLOSED
    return BreakerState.OPEN if now < breaker.opens_until else BreakerState.HALF_OPEN


def after_call(
    breaker: Breaker,
    at: datetime,
    rules: BreakerRules,
    *,
    is_failure: bool,
    retry_after_s: float | None = None,
) -> Breaker:
    """The breaker after one call has ended.

    While it is open, calls that began before it opened still end; they neither close it nor keep it
    open longer, unless the provider asks for more time.

    Args:
        breaker: As it stood before.
        at: When the call ended.
        rules: When it opens, and for how long.
        is_failure: The deployment is to blame.
        retry_after_s: It asked to be left alone for so long.
    """
    asked_s = _heeded(retry_after_s, rules)
    match state_of(breaker, at):
        case BreakerState.OPEN:
            return _left_alone(breaker, at, asked_s)
        case BreakerState.HALF_OPEN:
            if is_failure:
                return _opened(breaker, at, rules, asked_s)
            return _left_alone(breaker, at, asked_s) if asked_s else CLOSED
        case BreakerState.CLOSED:
            counted = _counted(breaker, at, rules, is_failure=is_failure)
            if is_failure and _is_too_much(counted, rules):
                return _opened(counted, at, rules, asked_s)
            return _left_alone(counted, at, asked_s) if asked_s else counted


def _heeded(retry_after_s: float | None, rules: BreakerRules) -> float:
    if retry_after_s is None or not retry_after_s > 0:
        return 0.0
    return min(retry_after_s, rules.max_retry_after_s)


def _left_alone(breaker: Breaker, at: datetime, asked_s: float) -> Breaker:
    until = at + timedelta(seconds=asked_s)
    return replace(breaker, opens_until=max(until, breaker.opens_until or until))


def _opened(breaker: Breaker, at: datetime, rules: BreakerRules, asked_s: float) -> Breaker:
    doublings = min(breaker.times_opened, _MOST_DOUBLINGS)
    open_s = min(rules.open_s * 2**doublings, rules.max_open_s)
    return Breaker(
        times_opened=breaker.times_opened + 1,
        opens_until=at + timedelta(seconds=max(open_s, asked_s)),
    )


def _counted(breaker: Breaker, at: datetime, rules: BreakerRules, *, is_failure: bool) -> Breaker:
    number = int(at.timestamp() * _BUCKETS / rules.window_s)
    buckets = {bucket.number: bucket for bucket in breaker.window}
    bucket = buckets.get(number, Bucket(number))
    buckets[number] = replace(
        bucket, good=bucket.good + (not is_failure), bad=bucket.bad + is_failure
    )
    oldest = max(buckets) - _BUCKETS + 1
    return replace(
        breaker,
        failures_in_a_row=breaker.failures_in_a_row + 1 if is_failure else 0,
        window=tuple(buckets[one] for one in sorted(buckets) if one >= oldest),
    )


def _is_too_much(breaker: Breaker, rules: BreakerRules) -> bool:
    if breaker.failures_in_a_row >= rules.failures_in_a_row:
        return True
    bad = sum(bucket.bad for bucket in breaker.window)
    calls = bad + sum(bucket.good for bucket in breaker.window)
    return calls >= rules.min_calls and bad >= rules.failure_share * calls
