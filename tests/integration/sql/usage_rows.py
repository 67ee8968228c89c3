"""Ledger rows for tests, and what became of them."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.rollups import (
    DAYS,
    MODEL_LATENCIES,
    Change,
    coarser,
    hourly_changes,
    latency_changes,
)
from policy_service.adapters.sql.tables import Base
from policy_service.ports.ledger import UsageRow

COARSE = (*DAYS, MODEL_LATENCIES)
NOW = datetime(2026, 11, 20, 12, 34, 56, 789012, tzinfo=UTC)

_ROW = UsageRow(
    decision_id="dec_1",
    at=NOW,
    organisation="acme",
    department="research",
    team="search",
    project="ranking",
    user="alice",
    application="ranker",
    key_id="key_1",
    operation="chat.completions",
    asked_model="gpt-4o-mini",
    routed_model="gpt-4o-mini",
    served_model="gpt-4o-mini-2024-07-18",
    deployment_id="openai-gpt-4o-mini",
    provider="openai",
    region="eu",
    transport="relay",
    is_streaming=True,
    http_status=200,
    error_class="none",
    source="provider",
    input_tokens=1000,
    cached_input_tokens=None,
    cache_write_tokens=0,
    output_tokens=500,
    reasoning_tokens=None,
    usd=Decimal("0.00045"),
    price_version="genai-prices-0.2.3/openai/gpt-4o-mini",
    policy_revision="r1",
    total_ms=1234.5678,
    time_to_first_token_ms=210.25,
    overhead_ms=2.125,
    fallbacks=0,
    request_digest="ab" * 32,
    response_digest=None,
)


def usage_row(decision_id: str = "dec_1", **changes: object) -> UsageRow:
    """A row that differs from the usual one in `changes`."""
    return replace(_ROW, decision_id=decision_id, **changes)  # type: ignore[arg-type]


async def stored_rollups(engine: AsyncEngine) -> list[dict[str, Any]]:
    """The rows of `usage_hourly`, in the order of `rollups.hourly_changes`."""
    return await _stored(engine, "usage_hourly")


async def stored_latencies(engine: AsyncEngine) -> list[dict[str, Any]]:
    """The rows of `usage_latency`, in the order of `rollups.latency_changes`."""
    return await _stored(engine, "usage_latency")


async def stored_days(engine: AsyncEngine) -> dict[str, list[dict[str, Any]]]:
    """The rows of every roll-up that is made of a finer one, by its name."""
    return {coarse.table: await _stored(engine, coarse.table) for coarse in COARSE}


def days_of(rows: Iterable[UsageRow]) -> dict[str, list[dict[str, Any]]]:
    """What they have to be, of these rows of the ledger."""
    changes = [Change(row, 1) for row in rows]
    finer = {"usage_hourly": hourly_changes(changes), "usage_latency": latency_changes(changes)}
    return {coarse.table: coarser(coarse, finer[coarse.finer]) for coarse in COARSE}


async def _stored(engine: AsyncEngine, name: str) -> list[dict[str, Any]]:
    table = Base.metadata.tables[name]
    async with reading(engine) as connection:
        found = await connection.execute(
            select(*(column.label(column.key) for column in table.c)).order_by(table.c.bucket)
        )
        return [dict(row) for row in found.mappings()]
