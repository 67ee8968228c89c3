"""What ledger rows add to the roll-ups; pure, so that a correction is the same sum taken out.

Coarser roll-ups are sums of finer ones: those by day of what is added to the hours.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter
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
    "input_audio_tokens",
    "input_image_tokens",
    "output_tokens",
    "reasoning_tokens",
    "output_audio_tokens",
    "cached_audio_tokens",
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
    """

    table: str
    finer: str
    group: tuple[str, ...]
    sums: tuple[str, ...]


_COUNTED = (*(name for name in SUMS if not name.endswith(("_us", "_count"))), *CONDITIONAL)
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
)
MODEL_LATENCIES = Coarse(
    "usage_latency_models",
    "usage_latency",
    ("day", "organisation", "asked_model", "model", "provider", "slot"),
    LATENCIES,
)
DAYS = (CALLERS, MODELS)
"""Sums by day of UTC: of who called without what, and of what was called without who."""


_NO_ERROR = ErrorClass.NONE.value
_Groups = dict[tuple[Any, ...], dict[str, Any]]
"""What is added to every group, by the group's values."""


@dataclass(frozen=True, slots=True)
class Change:
    """A row that enters the ledger (`sign` 1) or leaves it (-1)."""

    row: UsageRow
    sign: int


def hourly_changes(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Rows for `usage_hourly`: every group once, with what is to be added to its sums.

    They come in the order of `bucket`, so that two transactions take their locks in the same order.
    """
    groups: _Groups = {}
    for change in changes:
        sums = _sums_of(groups, GROUP, _group_of(change.row), SUMS)
        for name, amount in _amounts_of(change.row).items():
            sums[name] += change.sign * amount
    return _by_bucket(groups)


def latency_changes(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """The same for `usage_latency`: every slot once, with what is to be added to its counts."""
    slots: _Groups = {}
    for change in changes:
        row = change.row
        shared = _latency_group_of(row)
        for name in LATENCIES:
            milliseconds = getattr(row, f"{name}_ms")
            if milliseconds is None:
                continue
            group = (*shared, slot_of(_microseconds(milliseconds)))
            _sums_of(slots, LATENCY_GROUP, group, LATENCIES)[name] += change.sign
    return _by_bucket(slots)


def coarser(coarse: Coarse, finer: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same for a coarser roll-up, from the rows of the finer one."""
    groups: _Groups = {}
    values_of = itemgetter(*coarse.group[1:])
    whole = [name for name in coarse.sums if name not in CONDITIONAL]
    partial = [name for name in coarse.sums if name in CONDITIONAL]
    for row in finer:
        day = day_of(row["hour"]) if "hour" in row else row["day"]
        sums = _sums_of(groups, coarse.group, (day, *values_of(row)), coarse.sums)
        for name in whole:
            sums[name] += row[name]
        for name in partial:
            sums[name] += _part_of(row, name)
    return _by_bucket(groups)


def _sums_of(
    groups: _Groups, names: Sequence[str], group: tuple[Any, ...], sums: Sequence[str]
) -> dict[str, Any]:
    """The sums of a group; its digest is made when it comes for the first time."""
    found = groups.get(group)
    if found is None:
        found = {"bucket": _digest(group), **dict(zip(names, group, strict=True))}
        found |= dict.fromkeys(sums, 0)
        groups[group] = found
    return found


def _by_bucket(groups: _Groups) -> list[dict[str, Any]]:
    return sorted(groups.values(), key=itemgetter("bucket"))


def _part_of(row: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - a count or money
    """What a row adds to a conditional sum."""
    inner, condition = CONDITIONAL[name]
    is_met = row["is_estimated"] if condition == "estimated" else row["error_class"] != _NO_ERROR
    amount = row[inner]
    return amount if is_met else type(amount)()


def _latency_group_of(row: UsageRow) -> tuple[Any, ...]:
    """As `LATENCY_GROUP`, without the slot."""
    return (
        day_of(row.at),
        row.organisation,
        row.department,
        row.team,
        row.asked_model,
        row.served_model or row.routed_model,
        row.provider,
    )


def _group_of(row: UsageRow) -> tuple[Any, ...]:
    """As `GROUP`."""
    return (
        hour_of(row.at),
        row.organisation,
        row.department,
        row.team,
        row.project,
        row.user,
        row.application,
        row.cost_centre,
        row.asked_model,
        row.served_model or row.routed_model,
        row.provider,
        row.region,
        row.operation,
        row.use_case,
        row.http_status,
        row.error_class,
        row.source == UsageSource.ESTIMATED,
    )


def bucket_of(group: Mapping[str, Any]) -> str:
    """The key of a group: a digest of its values, in the order of the roll-up's key."""
    return _digest(tuple(group.values()))


def _digest(values: tuple[Any, ...]) -> str:
    return hashlib.blake2b(msgspec.json.encode(values), digest_size=16).hexdigest()


def _amounts_of(row: UsageRow) -> dict[str, int | Decimal]:
    return {
        "requests": 1,
        "input_tokens": row.input_tokens or 0,
        "cached_input_tokens": row.cached_input_tokens or 0,
        "cache_write_tokens": row.cache_write_tokens or 0,
        "input_audio_tokens": row.input_audio_tokens or 0,
        "input_image_tokens": row.input_image_tokens or 0,
        "output_tokens": row.output_tokens or 0,
        "reasoning_tokens": row.reasoning_tokens or 0,
        "output_audio_tokens": row.output_audio_tokens or 0,
        "cached_audio_tokens": row.cached_audio_tokens or 0,
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
