"""Who uses models, when, and for how much of what."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own

from dashboard.api.costs import CostRow, Sums
from dashboard.api.mine import DayUsed, ModelUsed
from dashboard.api.usage import AdoptionRow, BudgetRow, CallRow, HourRow
from dashboard.formats import in_zone, key_text
from dashboard.frames.money import share

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
BUCKETS = (
    "Input",
    "Cached input",
    "Cache write",
    "Audio input",
    "Image input",
    "Output",
    "Reasoning",
    "Audio output",
)
_SELDOM = frozenset({"Audio input", "Image input", "Audio output"})


def recent_frame(calls: Sequence[CallRow]) -> pd.DataFrame:
    """The newest calls, in the order given.

    Returns:
        `at` (UTC, without zone), `team`, `asked_model`, `served_model`, `tokens` (`None` when
        nothing was reported), `usd`, `status`, `latency_ms`.
    """
    lines = [
        (
            row.at.astimezone(UTC).replace(tzinfo=None),
            row.team,
            row.asked_model,
            row.served_model,
            _tokens(row),
            row.usd,
            row.http_status,
            row.total_ms,
        )
        for row in calls
    ]
    columns = ["at", "team", "asked_model", "served_model", "tokens", "usd", "status", "latency_ms"]
    frame = pd.DataFrame(lines, columns=columns)
    return frame.astype({"tokens": "Int64", "usd": object, "latency_ms": "float64"})


def _tokens(row: CallRow) -> int | None:
    if row.input_tokens is None and row.output_tokens is None:
        return None
    return (row.input_tokens or 0) + (row.output_tokens or 0)


def budget_frame(budgets: Sequence[BudgetRow]) -> pd.DataFrame:
    """Teams against their budgets, the most used first; those without a budget last.

    Returns:
        `department`, `team`, `used_usd`, `budget_usd` (`None`: no budget), `used_percent` (NaN:
        no budget).
    """
    lines = [
        (row.department, row.team, row.used_usd, row.budget_usd, _used_percent(row))
        for row in budgets
    ]
    lines.sort(key=lambda line: (line[4] is None, -(line[4] or 0.0), line[0], line[1]))
    columns = ["department", "team", "used_usd", "budget_usd", "used_percent"]
    frame = pd.DataFrame(lines, columns=columns)
    return frame.astype({"used_usd": object, "budget_usd": object, "used_percent": "float64"})


def _used_percent(row: BudgetRow) -> float | None:
    """Used part of the budget; a budget of nothing is used up by the first cent."""
    if row.budget_usd is None:
        return None
    if not row.budget_usd:
        return 100.0 if row.used_usd else 0.0
    return float(100 * row.used_usd / row.budget_usd)


def days_frame(rows: Sequence[CostRow], tz: str) -> pd.DataFrame:
    """One line for each interval.

    Returns:
        `start` (local, without zone), `requests`, `failed`, `prompt_cache` and `response_cache`
        (shares of input tokens and of requests, 0 to 1).
    """
    lines = [
        (
            in_zone(row.start, tz).replace(tzinfo=None),
            row.requests,
            row.failed,
            share(row.cached_input_tokens, row.input_tokens),
            share(row.cache_hits, row.requests),
        )
        for row in rows
        if row.start is not None
    ]
    columns = ["start", "requests", "failed", "prompt_cache", "response_cache"]
    return pd.DataFrame(sorted(lines), columns=columns)


def buckets_frame(rows: Sequence[CostRow], tz: str) -> pd.DataFrame:
    """Tokens by bucket over time. The service's buckets contain each other; these do not.

    Audio that was cached counts as cached. Of a sum nobody knows which of the images were: they
    count as both, and plain input is less by them. Where there are no audio and images at all, they
    have no lines.

    Returns:
        `start` (local, without zone), `bucket` (one of `BUCKETS`), `rank`, `tokens`.
    """
    lines: list[tuple[datetime, str, int, int]] = []
    for row in rows:
        if row.start is None:
            continue
        start = in_zone(row.start, tz).replace(tzinfo=None)
        counts = enumerate(_apart(row))
        lines += [(start, BUCKETS[rank], rank, tokens) for rank, tokens in counts]
    used = {bucket for _, bucket, _, tokens in lines if tokens}
    lines = [line for line in lines if line[1] in used or line[1] not in _SELDOM]
    lines.sort(key=lambda line: (line[0], line[2]))
    return pd.DataFrame(lines, columns=["start", "bucket", "rank", "tokens"])


def _apart(sums: Sums) -> tuple[int, ...]:
    """The tokens of each of `BUCKETS`; together they are those of both directions."""
    cached, written, heard, seen, read = _parts(
        sums.input_tokens,
        sums.cached_input_tokens,
        sums.cache_write_tokens,
        max(sums.input_audio_tokens - sums.cached_audio_tokens, 0),
        sums.input_image_tokens,
    )
    thought, spoken, said = _parts(
        sums.output_tokens, sums.reasoning_tokens, sums.output_audio_tokens
    )
    return read, cached, written, heard, seen, said, thought, spoken


def _parts(whole: int, *parts: int) -> list[int]:
    """Each part, as far as those before it have left something, and the rest."""
    found = []
    for part in parts:
        found.append(min(part, whole))
        whole -= found[-1]
    return [*found, whole]


def heat_frame(hours: Sequence[HourRow]) -> pd.DataFrame:
    """Every hour of a week, also those in which nothing was asked.

    Returns:
        `day` (`Mon`...), `weekday`, `hour`, `requests`, `tokens`, `usd`.
    """
    known = {(row.weekday, row.hour): row for row in hours}
    empty = HourRow(0, 0, 0, 0, CostRow().usd)
    lines = []
    for weekday, day in enumerate(DAYS):
        for hour in range(24):
            row = known.get((weekday, hour), empty)
            lines.append((day, weekday, hour, row.requests, row.tokens, row.usd))
    columns = ["day", "weekday", "hour", "requests", "tokens", "usd"]
    return pd.DataFrame(lines, columns=columns).astype({"usd": object})


def adoption_frame(rows: Sequence[AdoptionRow], tz: str) -> pd.DataFrame:
    """Who was active, a line for each interval and kind.

    Returns:
        `start` (local, without zone), `kind`, `active`.
    """
    lines = []
    for row in rows:
        start = in_zone(row.start, tz).replace(tzinfo=None)
        lines += [
            (start, "Users", row.users),
            (start, "Applications", row.applications),
            (start, "Teams", row.teams),
        ]
    return pd.DataFrame(lines, columns=["start", "kind", "active"])


def mix_frame(rows: Sequence[CostRow], dimension: str) -> pd.DataFrame:
    """What is asked for most.

    Returns:
        `name`, `requests`, `share` (0 to 100), `tokens`, `usd`; most requests first.
    """
    total = sum(row.requests for row in rows)
    ordered = sorted(rows, key=lambda row: (-row.requests, key_text(row.keys.get(dimension))))
    lines = [
        (
            key_text(row.keys.get(dimension)),
            row.requests,
            100 * share(row.requests, total),
            row.tokens,
            row.usd,
        )
        for row in ordered
    ]
    columns = ["name", "requests", "share", "tokens", "usd"]
    return pd.DataFrame(lines, columns=columns).astype({"usd": object})


def own_days_frame(days: Sequence[DayUsed]) -> pd.DataFrame:
    """A caller's days. Returns: `start`, `requests`, `errors`, `usd`."""
    lines = [
        (pd.Timestamp(one.day), one.used.requests, one.used.errors, one.used.usd) for one in days
    ]
    columns = ["start", "requests", "errors", "usd"]
    return pd.DataFrame(lines, columns=columns).astype({"usd": object})


def own_models_frame(models: Sequence[ModelUsed]) -> pd.DataFrame:
    """A caller's models. Returns: `model`, `requests`, `input_tokens`, `output_tokens`, `usd`."""
    lines = [
        (
            one.model,
            one.used.requests,
            one.used.input_tokens,
            one.used.output_tokens,
            one.used.usd,
        )
        for one in models
    ]
    columns = ["model", "requests", "input_tokens", "output_tokens", "usd"]
    return pd.DataFrame(lines, columns=columns).astype({"usd": object})
