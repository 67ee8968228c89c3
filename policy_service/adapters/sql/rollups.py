"""What ledger rows add to the roll-ups; pure, so that a correction is the same sum taken out.

Coarser roll-ups are sums of finer ones: those by day of what is added to the hours.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from llm_core.costs.latency import slot_of
from llm_core.policy.decision import CacheUse, ErrorClass
from llm_core.tokens.usage import UsageSource
from policy_service.adapters.sql.months import day_of, hour_of
from policy_service.ports.ledger import UsageRow

GROUP = (
    "hour",
    "organisation",
    "department",
    "team",
    "project",
    "user",
    "application",
    "cost_centre",
    "asked_model",
    "model",
    "provider",
    "region",
    "operation",
    "use_case",
    "http_status",
    "error_class",
    "is_estimated",
)
SUMS = (
    "requests",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "usd",
    "fallbacks",
    "total_us",
    "total_count",
    "time_to_first_token_us",
    "time_to_first_token_count",
    "overhead_us",
    "overhead_count",
    "cache_hits",
    "saved_usd",
    "routing_saved_usd",
)
MONEY = ("usd", "saved_usd", "routing_saved_usd")
"""Of what a ledger row adds, what is USD."""
LATENCY_GROUP = (
    "day",
    "organisation",
    "department",
    "team",
    "asked_model",
    "model",
    "provider",
    "slot",
)
LATENCIES = ("total", "time_to_first_token", "overhead")
"""What is measured: each is a column of counts, of a row's milliseconds in `<name>_ms`."""

CONDITIONAL = {
    "failed": ("requests", "failed"),
    "estimated_requests": ("requests", "estimated"),
    "estimated_usd": ("usd", "estimated"),
}
"""What days sum of which amount of the hours, and under which condition."""


@dataclass(frozen=True, slots=True)
class Coarse:
    """A roll-up made of a finer one.

    Args:
        table: Its name.
        finer: The name of the other.
        group: Its key, the moment first; `bucket` is a digest of it.
        sums: What is added up.
        counts: Of these; where all are 0, nothing is left of a group.
    """

    table: str
    finer: str
    group: tuple[str, ...]
    sums: tuple[str, ...]
    counts: tuple[str, ...]


_COUNTED = (*SUMS[:8], *SUMS[-3:], *CONDITIONAL)
CALLERS = Coarse(
    "usage_daily_callers",
    "usage_hourly",
    (
        "day",
        "organisation",
        "department",
        "team",
        "project",
        "user",
        "application",
        "cost_centre",
    ),
    _COUNTED,
    ("requests",),
)
MODELS = Coarse(
    "usage_daily_models",
    "usage_hourly",
    (
        "day",
        "organisation",
        "department",
        "asked_model",
        "model",
        "provider",
        "region",
        "operation",
        "use_case",
        "error_class",
    ),
    (*SUMS, *CONDITIONAL),
    ("requests",),
)
MODEL_LATENCIES = Coarse(
    "usage_latency_models",
    "usage_latency",
    ("day", "organisation", "asked_model", "model", "provider", "slot"),
    LATENCIES,
    LATENCIES,
)
DAYS = (CALLERS, MODELS)
"""Sums by day of UTC: of who called without what, and of what was called without who."""


@dataclass(frozen=True, slots=True)
class Change:
    """A row that enters the ledger (`sign` 1) or leaves it (-1)."""

    row: UsageRow
    sign: int


def hourly_changes(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Rows for `usage_hourly`: every group once, with what is to be added to its sums.

    They come in the order of `bucket`, so that two transactions take their locks in the same order.
    """
    groups: dict[str, dict[str, Any]] = {}
    for change in changes:
        group = _group_of(change.row)
        bucket = bucket_of(group)
        sums = groups.setdefault(bucket, {"bucket": bucket, **group, **dict.fromkeys(SUMS, 0)})
        for name, amount in _amounts_of(change.row).items():
            sums[name] += change.sign * amount
    return [groups[bucket] for bucket in sorted(groups)]


def latency_changes(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """The same for `usage_latency`: every slot once, with what is to be added to its counts."""
    slots: dict[str, dict[str, Any]] = {}
    for change in changes:
        row = change.row
        for name in LATENCIES:
            milliseconds = getattr(row, f"{name}_ms")
            if milliseconds is None:
                continue
            group = _latency_group_of(row, slot_of(_microseconds(milliseconds)))
            bucket = bucket_of(group)
            counts = slots.setdefault(
                bucket, {"bucket": bucket, **group, **dict.fromkeys(LATENCIES, 0)}
            )
            counts[name] += change.sign
    return [slots[bucket] for bucket in sorted(slots)]


def coarser(coarse: Coarse, finer: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same for a coarser roll-up, from the rows of the finer one."""
    groups: dict[str, dict[str, Any]] = {}
    moment, *names = coarse.group
    for row in finer:
        group = {moment: day_of(row["hour"]) if "hour" in row else row["day"]}
        group |= {name: row[name] for name in names}
        bucket = bucket_of(group)
        sums = groups.setdefault(
            bucket, {"bucket": bucket, **group, **dict.fromkeys(coarse.sums, 0)}
        )
        for name in coarse.sums:
            sums[name] += _amount_of(row, name)
    return [groups[bucket] for bucket in sorted(groups)]


def _amount_of(row: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - a count or money
    if name not in CONDITIONAL:
        return row[name]
    inner, condition = CONDITIONAL[name]
    is_met = {"failed": row["error_class"] != ErrorClass.NONE, "estimated": row["is_estimated"]}
    amount = row[inner]
    return amount if is_met[condition] else type(amount)()


def _latency_group_of(row: UsageRow, slot: int) -> dict[str, Any]:
    return {
        "day": day_of(row.at),
        "organisation": row.organisation,
        "department": row.department,
        "team": row.team,
        "asked_model": row.asked_model,
        "model": row.served_model or row.routed_model,
        "provider": row.provider,
        "slot": slot,
    }


def _group_of(row: UsageRow) -> dict[str, Any]:
    return {
        "hour": hour_of(row.at),
        "organisation": row.organisation,
        "department": row.department,
        "team": row.team,
        "project": row.project,
        "user": row.user,
        "application": row.application,
        "cost_centre": row.cost_centre,
        "asked_model": row.asked_model,
        "model": row.served_model or row.routed_model,
        "provider": row.provider,
        "region": row.region,
        "operation": row.operation,
        "use_case": row.use_case,
        "http_status": row.http_status,
        "error_class": row.error_class,
        "is_estimated": row.source == UsageSource.ESTIMATED,
    }


def bucket_of(group: Mapping[str, Any]) -> str:
    """The key of a group: a digest of its values, in the order of the roll-up's key."""
    canonical = msgspec.json.encode(list(group.values()))
    return hashlib.blake2b(canonical, digest_size=16).hexdigest()


def _amounts_of(row: UsageRow) -> dict[str, int | Decimal]:
    return {
        "requests": 1,
        "input_tokens": row.input_tokens or 0,
        "cached_input_tokens": row.cached_input_tokens or 0,
        "cache_write_tokens": row.cache_write_tokens or 0,
        "output_tokens": row.output_tokens or 0,
        "reasoning_tokens": row.reasoning_tokens or 0,
        "usd": row.usd,
        "fallbacks": row.fallbacks,
        "total_us": _microseconds(row.total_ms),
        "total_count": row.total_ms is not None,
        "time_to_first_token_us": _microseconds(row.time_to_first_token_ms),
        "time_to_first_token_count": row.time_to_first_token_ms is not None,
        "overhead_us": _microseconds(row.overhead_ms),
        "overhead_count": row.overhead_ms is not None,
        "cache_hits": row.cache == CacheUse.HIT,
        "saved_usd": row.saved_usd,
        "routing_saved_usd": row.routing_saved_usd,
    }


def _microseconds(milliseconds: float | None) -> int:
    return 0 if milliseconds is None else round(milliseconds * 1000)
