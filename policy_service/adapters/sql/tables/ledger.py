"""What it cost: the ledger and its roll-ups."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from policy_service.adapters.sql.tables.base import USD, Base

_RELIES = text("approval_id IS NOT NULL")


class Usage(Base):
    """The ledger: `ports.UsageRow`, column by column.

    Texts have no longest length: a row that a provider's odd model name made too long would be
    refused for ever, and with it the money that it stands for.

    On PostgreSQL there is a partition for each month of `at` (see `partitions`), and a partition's
    column has to be in the primary key. A decision still has one row: its `at` is the moment of the
    decision, which every report on it carries along unchanged.
    """

    __tablename__ = "usage"
    __table_args__ = (
        Index(None, "at", "decision_id"),
        Index(None, "team", "at"),
        Index(None, "project", "at"),
        Index(None, "user", "at"),
        Index(None, "application", "at"),
        Index(None, "key_id", "at"),
        Index(None, "approval_id", "at", postgresql_where=_RELIES, sqlite_where=_RELIES),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    decision_id: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    organisation: Mapped[str] = mapped_column(Text)
    department: Mapped[str] = mapped_column(Text)
    team: Mapped[str] = mapped_column(Text)
    project: Mapped[str | None] = mapped_column(Text)
    user: Mapped[str | None] = mapped_column("user_id", Text, key="user")
    application: Mapped[str | None] = mapped_column(Text)
    key_id: Mapped[str | None] = mapped_column(Text)
    operation: Mapped[str] = mapped_column(Text)
    asked_model: Mapped[str] = mapped_column(Text)
    routed_model: Mapped[str | None] = mapped_column(Text)
    served_model: Mapped[str | None] = mapped_column(Text)
    deployment_id: Mapped[str | None] = mapped_column(Text)
    provider: Mapped[str | None] = mapped_column(Text)
    region: Mapped[str | None] = mapped_column(Text)
    transport: Mapped[str] = mapped_column(Text)
    is_streaming: Mapped[bool]
    http_status: Mapped[int]
    error_class: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    input_tokens: Mapped[int | None]
    cached_input_tokens: Mapped[int | None]
    cache_write_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    reasoning_tokens: Mapped[int | None]
    usd: Mapped[Decimal] = mapped_column(USD)
    price_version: Mapped[str | None] = mapped_column(Text)
    policy_revision: Mapped[str] = mapped_column(Text)
    total_ms: Mapped[float | None]
    time_to_first_token_ms: Mapped[float | None]
    overhead_ms: Mapped[float | None]
    fallbacks: Mapped[int]
    request_digest: Mapped[str | None] = mapped_column(Text)
    response_digest: Mapped[str | None] = mapped_column(Text)
    cache: Mapped[str] = mapped_column(Text, server_default="bypass")
    saved_usd: Mapped[Decimal] = mapped_column(USD, server_default="0")
    cost_centre: Mapped[str | None] = mapped_column(Text)
    use_case: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(Text, server_default="interactive")
    request_bytes: Mapped[int | None]
    response_bytes: Mapped[int | None]
    data_labels: Mapped[str] = mapped_column(Text, server_default="")
    approval_id: Mapped[str | None] = mapped_column(Text)
    routing_saved_usd: Mapped[Decimal] = mapped_column(USD, server_default="0")
    input_audio_tokens: Mapped[int | None]
    input_image_tokens: Mapped[int | None]
    output_audio_tokens: Mapped[int | None]
    cached_audio_tokens: Mapped[int | None]


class UsageHourly(Base):
    """Sums of the ledger by hour and everything a report groups by.

    `bucket` is a digest of the columns down to `is_estimated`, so that one short key makes an
    upsert atomic. Latencies are whole microseconds, so that a correction takes out exactly what had
    been put in; each has its own count, because not every call has it.
    """

    __tablename__ = "usage_hourly"
    __table_args__ = (
        Index(None, "hour"),
        Index(None, "team", "hour"),
        Index(None, "department", "hour"),
        Index(None, "project", "hour"),
        Index(None, "user", "hour"),
        Index(None, "application", "hour"),
    )

    bucket: Mapped[str] = mapped_column(String(32), primary_key=True)
    hour: Mapped[datetime]
    organisation: Mapped[str] = mapped_column(Text)
    department: Mapped[str] = mapped_column(Text)
    team: Mapped[str] = mapped_column(Text)
    project: Mapped[str | None] = mapped_column(Text)
    user: Mapped[str | None] = mapped_column("user_id", Text, key="user")
    application: Mapped[str | None] = mapped_column(Text)
    cost_centre: Mapped[str | None] = mapped_column(Text)
    asked_model: Mapped[str] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)
    provider: Mapped[str | None] = mapped_column(Text)
    region: Mapped[str | None] = mapped_column(Text)
    operation: Mapped[str] = mapped_column(Text)
    use_case: Mapped[str | None] = mapped_column(Text)
    http_status: Mapped[int]
    error_class: Mapped[str] = mapped_column(Text)
    is_estimated: Mapped[bool]

    requests: Mapped[int]
    input_tokens: Mapped[int]
    cached_input_tokens: Mapped[int]
    cache_write_tokens: Mapped[int]
    output_tokens: Mapped[int]
    reasoning_tokens: Mapped[int]
    usd: Mapped[Decimal] = mapped_column(USD)
    fallbacks: Mapped[int]
    total_us: Mapped[int]
    total_count: Mapped[int]
    time_to_first_token_us: Mapped[int]
    time_to_first_token_count: Mapped[int]
    overhead_us: Mapped[int]
    overhead_count: Mapped[int]
    cache_hits: Mapped[int] = mapped_column(server_default="0")
    saved_usd: Mapped[Decimal] = mapped_column(USD, server_default="0")
    routing_saved_usd: Mapped[Decimal] = mapped_column(USD, server_default="0")
    input_audio_tokens: Mapped[int] = mapped_column(server_default="0")
    input_image_tokens: Mapped[int] = mapped_column(server_default="0")
    output_audio_tokens: Mapped[int] = mapped_column(server_default="0")
    cached_audio_tokens: Mapped[int] = mapped_column(server_default="0")


class UsageLatency(Base):
    """How many calls of a day (UTC) took how long, by slots of `llm_core.costs.latency`.

    By day, because by hour the slots are nearly as many as the calls. `bucket` is a digest of the
    columns down to `slot`.
    """

    __tablename__ = "usage_latency"
    __table_args__ = (
        Index(None, "day"),
        Index(None, "department", "day"),
        Index(None, "team", "day"),
    )

    bucket: Mapped[str] = mapped_column(String(32), primary_key=True)
    day: Mapped[datetime]
    organisation: Mapped[str] = mapped_column(Text)
    department: Mapped[str] = mapped_column(Text)
    team: Mapped[str] = mapped_column(Text)
    asked_model: Mapped[str] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)
    provider: Mapped[str | None] = mapped_column(Text)
    slot: Mapped[int]

    total: Mapped[int]
    time_to_first_token: Mapped[int]
    overhead: Mapped[int]


class UsageDailyCallers(Base):
    """Sums of `usage_hourly` by day (UTC) and who called; not by what they called.

    `bucket` is a digest of the columns down to `cost_centre`.
    """

    __tablename__ = "usage_daily_callers"
    __table_args__ = (
        Index(None, "day"),
        Index(None, "team", "day"),
        Index(None, "user", "day"),
        Index(None, "application", "day"),
    )

    bucket: Mapped[str] = mapped_column(String(32), primary_key=True)
    day: Mapped[datetime]
    organisation: Mapped[str] = mapped_column(Text)
    department: Mapped[str] = mapped_column(Text)
    team: Mapped[str] = mapped_column(Text)
    project: Mapped[str | None] = mapped_column(Text)
    user: Mapped[str | None] = mapped_column("user_id", Text, key="user")
    application: Mapped[str | None] = mapped_column(Text)
    cost_centre: Mapped[str | None] = mapped_column(Text)

    requests: Mapped[int]
    input_tokens: Mapped[int]
    cached_input_tokens: Mapped[int]
    cache_write_tokens: Mapped[int]
    output_tokens: Mapped[int]
    reasoning_tokens: Mapped[int]
    usd: Mapped[Decimal] = mapped_column(USD)
    fallbacks: Mapped[int]
    cache_hits: Mapped[int]
    saved_usd: Mapped[Decimal] = mapped_column(USD)
    failed: Mapped[int]
    estimated_requests: Mapped[int]
    estimated_usd: Mapped[Decimal] = mapped_column(USD)
    routing_saved_usd: Mapped[Decimal] = mapped_column(USD, server_default="0")
    input_audio_tokens: Mapped[int] = mapped_column(server_default="0")
    input_image_tokens: Mapped[int] = mapped_column(server_default="0")
    output_audio_tokens: Mapped[int] = mapped_column(server_default="0")
    cached_audio_tokens: Mapped[int] = mapped_column(server_default="0")


class UsageDailyModels(Base):
    """Sums of `usage_hourly` by day (UTC) and what was called; of who, only the department.

    `bucket` is a digest of the columns down to `error_class`.
    """

    __tablename__ = "usage_daily_models"
    __table_args__ = (Index(None, "day"),)

    bucket: Mapped[str] = mapped_column(String(32), primary_key=True)
    day: Mapped[datetime]
    organisation: Mapped[str] = mapped_column(Text)
    department: Mapped[str] = mapped_column(Text)
    asked_model: Mapped[str] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)
    provider: Mapped[str | None] = mapped_column(Text)
    region: Mapped[str | None] = mapped_column(Text)
    operation: Mapped[str] = mapped_column(Text)
    use_case: Mapped[str | None] = mapped_column(Text)
    error_class: Mapped[str] = mapped_column(Text)

    requests: Mapped[int]
    input_tokens: Mapped[int]
    cached_input_tokens: Mapped[int]
    cache_write_tokens: Mapped[int]
    output_tokens: Mapped[int]
    reasoning_tokens: Mapped[int]
    usd: Mapped[Decimal] = mapped_column(USD)
    fallbacks: Mapped[int]
    total_us: Mapped[int]
    total_count: Mapped[int]
    time_to_first_token_us: Mapped[int]
    time_to_first_token_count: Mapped[int]
    overhead_us: Mapped[int]
    overhead_count: Mapped[int]
    cache_hits: Mapped[int]
    saved_usd: Mapped[Decimal] = mapped_column(USD)
    failed: Mapped[int]
    estimated_requests: Mapped[int]
    estimated_usd: Mapped[Decimal] = mapped_column(USD)
    routing_saved_usd: Mapped[Decimal] = mapped_column(USD, server_default="0")
    input_audio_tokens: Mapped[int] = mapped_column(server_default="0")
    input_image_tokens: Mapped[int] = mapped_column(server_default="0")
    output_audio_tokens: Mapped[int] = mapped_column(server_default="0")
    cached_audio_tokens: Mapped[int] = mapped_column(server_default="0")


class UsageLatencyModels(Base):
    """Counts of `usage_latency` without department and team, for questions about all of them."""

    __tablename__ = "usage_latency_models"
    __table_args__ = (Index(None, "day"),)

    bucket: Mapped[str] = mapped_column(String(32), primary_key=True)
    day: Mapped[datetime]
    organisation: Mapped[str] = mapped_column(Text)
    asked_model: Mapped[str] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)
    provider: Mapped[str | None] = mapped_column(Text)
    slot: Mapped[int]

    total: Mapped[int]
    time_to_first_token: Mapped[int]
    overhead: Mapped[int]
