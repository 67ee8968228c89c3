"""How fast answers come, what fails, and what is refused."""

from collections.abc import Sequence

import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own

from dashboard.api.reliability import (
    DeploymentHealth,
    RefusalRow,
    ReliabilityRow,
    Spread,
)
from dashboard.formats import in_zone, key_text
from dashboard.frames.money import share

DURATIONS = {
    "total_ms": "Whole answer",
    "first_token_ms": "First token",
    "overhead_ms": "Gateway overhead",
}
"""What is measured, and what people call it."""


def fares_frame(rows: Sequence[ReliabilityRow]) -> pd.DataFrame:
    """One line for each provider and model, most requests first.

    Returns:
        `name`, `requests`, `failed_percent`, `fallbacks`, and `p50`, `p95` and `p99` of the whole
        answer, of the first token (`first_...`) and of the overhead (`overhead_...`), in ms.
    """
    lines = [
        (
            name_of(row),
            row.requests,
            share(row.failed, row.requests),
            row.fallbacks,
            *_percentiles(row.total_ms),
            *_percentiles(row.first_token_ms),
            *_percentiles(row.overhead_ms),
        )
        for row in sorted(rows, key=lambda row: -row.requests)
    ]
    columns = ["name", "requests", "failed_share", "fallbacks"]
    columns += [f"{kind}{p}" for kind in ("", "first_", "overhead_") for p in ("p50", "p95", "p99")]
    frame = pd.DataFrame(lines, columns=columns)
    return frame.astype(dict.fromkeys(columns[4:], "float64"))


def name_of(row: ReliabilityRow) -> str:
    """Provider and model in one."""
    return " · ".join(key_text(value) for value in row.keys.values()) or "All"


def _percentiles(spread: Spread) -> tuple[float | None, float | None, float | None]:
    return spread.p50, spread.p95, spread.p99


def latency_frame(rows: Sequence[ReliabilityRow], measured: str) -> pd.DataFrame:
    """One line for each group in which this was measured, the slowest first.

    Args:
        rows: Groups.
        measured: One of `DURATIONS`.

    Returns:
        `name`, `p50`, `p95`, `p99` in ms, `count`.
    """
    spreads = [(name_of(row), getattr(row, measured)) for row in rows]
    lines = [
        (name, *_percentiles(spread), spread.count)
        for name, spread in spreads
        if spread.p50 is not None
    ]
    lines.sort(key=lambda line: -(line[2] or 0))
    return pd.DataFrame(lines, columns=["name", "p50", "p95", "p99", "count"])


def errors_frame(rows: Sequence[ReliabilityRow]) -> pd.DataFrame:
    """Failures by group and class.

    Returns:
        `name`, `error`, `count`.
    """
    lines = [
        (name_of(row), error, count)
        for row in rows
        for error, count in sorted(row.errors.items())
        if count
    ]
    return pd.DataFrame(lines, columns=["name", "error", "count"])


def health_frame(deployments: Sequence[DeploymentHealth]) -> pd.DataFrame:
    """How each deployment fares now, those in trouble first.

    Returns:
        `deployment`, `provider`, `region`, `breaker`, `first_token_ms`, `tokens_per_s`, `samples`.
    """
    ordered = sorted(deployments, key=lambda one: (one.breaker == "closed", one.deployment_id))
    lines = [
        (
            one.deployment_id,
            one.provider,
            one.region,
            one.breaker,
            one.time_to_first_token_ms,
            one.tokens_per_s,
            one.samples,
        )
        for one in ordered
    ]
    columns = ["deployment", "provider", "region", "breaker", "first_token_ms", "tokens_per_s"]
    frame = pd.DataFrame(lines, columns=[*columns, "samples"])
    return frame.astype({"first_token_ms": "float64", "tokens_per_s": "float64"})


def refusals_frame(rows: Sequence[RefusalRow], dimensions: Sequence[str], tz: str) -> pd.DataFrame:
    """What was refused, the most frequent first.

    Returns:
        the dimensions, `count`, `last_at`, `message`.
    """
    lines = [
        (
            *(row.keys.get(one) or "" for one in dimensions),
            row.count,
            None if row.last_at is None else in_zone(row.last_at, tz).replace(tzinfo=None),
            row.message,
        )
        for row in sorted(rows, key=lambda row: -row.count)
    ]
    frame = pd.DataFrame(lines, columns=[*dimensions, "count", "last_at", "message"])
    return frame.astype({"last_at": "datetime64[ns]"})
