"""What the deployments' breakers did: their steps, and when calls were kept away."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own

from dashboard.api.reliability import BreakerStep
from dashboard.formats import in_zone

OPEN = "open"
HALF_OPEN = "half-open"
"""The states in which a deployment is not called as a matter of course, in words."""

_WORDS = {"half_open": HALF_OPEN}
_FORGOTTEN_AFTER = timedelta(hours=1)
"""A deployment that nobody calls for so long counts as closed again, without a step."""

_Period = tuple[str, datetime, datetime]


def steps_frame(steps: Sequence[BreakerStep], tz: str) -> pd.DataFrame:
    """One line for each step, in the order given.

    Returns:
        `at` (to the second), `deployment`, `provider`, `model`, `change`, `reason`.
    """
    lines = [
        (
            f"{in_zone(one.at, tz):%Y-%m-%d %H:%M:%S}",
            one.deployment_id,
            one.provider,
            one.model,
            f"{_WORDS.get(one.before, one.before)} → {_WORDS.get(one.after, one.after)}",
            _reason(one),
        )
        for one in steps
    ]
    columns = ["at", "deployment", "provider", "model", "change", "reason"]
    return pd.DataFrame(lines, columns=columns)


def periods_frame(
    steps: Sequence[BreakerStep], span: tuple[datetime, datetime], tz: str
) -> pd.DataFrame:
    """When each deployment was open, or half-open: from one step to the next.

    Args:
        steps: All of a time, the newest first.
        span: The time; what began before it or goes on after it is cut there.
        tz: Where the times are told.

    Returns:
        `deployment`, `state`, `start` and `end` (of that zone, without it), `seconds`, `reason`.
    """
    by_deployment: defaultdict[str, list[BreakerStep]] = defaultdict(list)
    for one in reversed(steps):
        by_deployment[one.deployment_id].append(one)
    lines = []
    for deployment, taken in sorted(by_deployment.items()):
        if taken[0].before != "closed":
            lines.append((deployment, _words(taken[0].before), span[0], taken[0].at, ""))
        for place, one in enumerate(taken):
            following = taken[place + 1] if place + 1 < len(taken) else None
            for state, start, end in _periods(one, following, span[1]):
                lines.append((deployment, state, start, end, _reason(one)))
    rows = [
        (deployment, state, _there(start, tz), _there(end, tz), (end - start).total_seconds(), why)
        for deployment, state, start, end, why in lines
        if start < end
    ]
    columns = ["deployment", "state", "start", "end", "seconds", "reason"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"start": "datetime64[ns]", "end": "datetime64[ns]"})


def _periods(one: BreakerStep, following: BreakerStep | None, edge: datetime) -> Iterator[_Period]:
    """The state that a step led into, and where nobody saw its end, what time alone made of it."""
    if one.after == "closed":
        return
    end = edge if following is None else following.at
    if following is not None and following.before == one.after:
        yield _words(one.after), one.at, end
        return
    over = one.at
    if one.after == "open":
        over = min(one.opens_until or one.at, end)
        yield OPEN, one.at, over
    yield HALF_OPEN, over, min(over + _FORGOTTEN_AFTER, end)


def _there(at: datetime, tz: str) -> datetime:
    return in_zone(at, tz).replace(tzinfo=None)


def _words(state: str) -> str:
    return _WORDS.get(state, state)


def _reason(one: BreakerStep) -> str:
    told = one.reason.replace("_", " ")
    return f"{told}: {one.error_class.replace('_', ' ')}" if one.error_class else told
