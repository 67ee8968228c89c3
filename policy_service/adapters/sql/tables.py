"""What the database holds: the organisation, its keys, who did what, the ledger and its roll-ups.

Ids of organisational units are the company's own short names and unique per kind, because limits
name a unit as `<kind>:<id>`. `allowed_models` is a list of aliases, or null for "no word on it".
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    false,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from policy_service.adapters.sql.columns import ExactDecimal, UtcDateTime

_ID = String(120)
_NAME = String(200)
_WORD = String(40)
_NODE = String(160)
USD = ExactDecimal(24, 12)
AMOUNT = ExactDecimal(20, 6)


class Base(DeclarativeBase):
    """All tables, with constraint names that migrations can refer to on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        datetime: UtcDateTime(),
        list[str]: JSON(none_as_null=True),
        float: Double(),
        int: BigInteger(),
    }


# --- who -----------------------------------------------------------------------------------------


class OrganisationUnit(Base):
    """A company. Its days and months begin where its clocks say so."""

    __tablename__ = "organisations"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    name: Mapped[str] = mapped_column(_NAME)
    allowed_models: Mapped[list[str] | None]
    time_zone: Mapped[str] = mapped_column(String(60), server_default="UTC")


class CostCentre(Base):
    """Who pays, in the words of accounting."""

    __tablename__ = "cost_centres"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    organisation_id: Mapped[str] = mapped_column(_ID, ForeignKey("organisations.id"), index=True)
    name: Mapped[str] = mapped_column(_NAME)


class DepartmentUnit(Base):
    """A department."""

    __tablename__ = "departments"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    organisation_id: Mapped[str] = mapped_column(_ID, ForeignKey("organisations.id"), index=True)
    name: Mapped[str] = mapped_column(_NAME)
    allowed_models: Mapped[list[str] | None]
    cost_centre: Mapped[str | None] = mapped_column(_ID)


class TeamUnit(Base):
    """A team; every caller belongs to one."""

    __tablename__ = "teams"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    department_id: Mapped[str] = mapped_column(_ID, ForeignKey("departments.id"), index=True)
    name: Mapped[str] = mapped_column(_NAME)
    allowed_models: Mapped[list[str] | None]
    cost_centre: Mapped[str | None] = mapped_column(_ID)


class ProjectUnit(Base):
    """A team's project."""

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    team_id: Mapped[str] = mapped_column(_ID, ForeignKey("teams.id"), index=True)
    name: Mapped[str] = mapped_column(_NAME)
    allowed_models: Mapped[list[str] | None]
    cost_centre: Mapped[str | None] = mapped_column(_ID)


class User(Base):
    """A person. `email` and `subject` are how an identity provider names them."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    organisation_id: Mapped[str] = mapped_column(_ID, ForeignKey("organisations.id"), index=True)
    name: Mapped[str] = mapped_column(_NAME)
    email: Mapped[str | None] = mapped_column(_NAME, unique=True)
    subject: Mapped[str | None] = mapped_column(String(400), unique=True)
    team_id: Mapped[str | None] = mapped_column(_ID, ForeignKey("teams.id"), index=True)
    project_id: Mapped[str | None] = mapped_column(_ID, ForeignKey("projects.id"), index=True)
    clearance: Mapped[str | None] = mapped_column(_ID)
    is_active: Mapped[bool] = mapped_column(server_default=true())


class Application(Base):
    """A service account: software that calls in its own name."""

    __tablename__ = "applications"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    team_id: Mapped[str] = mapped_column(_ID, ForeignKey("teams.id"), index=True)
    project_id: Mapped[str | None] = mapped_column(_ID, ForeignKey("projects.id"), index=True)
    name: Mapped[str] = mapped_column(_NAME)
    is_active: Mapped[bool] = mapped_column(server_default=true())


class RoleGrant(Base):
    """A role on a node and below. `subject`: `user:<id>`, `group:<name>`, `application:<id>`."""

    __tablename__ = "role_grants"

    subject: Mapped[str] = mapped_column(String(240), primary_key=True)
    role: Mapped[str] = mapped_column(_WORD, primary_key=True)
    node: Mapped[str] = mapped_column(_NODE, primary_key=True)


class GroupBinding(Base):
    """Where the members of a group belong. `source`: `kong`, or an issuer's URL."""

    __tablename__ = "group_bindings"

    source: Mapped[str] = mapped_column(String(400), primary_key=True)
    name: Mapped[str] = mapped_column(_NAME, primary_key=True)
    team_id: Mapped[str] = mapped_column(_ID, ForeignKey("teams.id"), index=True)
    project_id: Mapped[str | None] = mapped_column(_ID, ForeignKey("projects.id"), index=True)
    roles: Mapped[list[str]]
    clearance: Mapped[str | None] = mapped_column(_ID)
    allowed_models: Mapped[list[str] | None]


class ApiKey(Base):
    """A key: its digest, never its text. `id` sorts by the time of issue.

    A key outlives the team and the project that it was issued to, revoked. `former_digest` is of
    the text that it had before it was rotated, which is good until `former_until`.
    """

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    name: Mapped[str] = mapped_column(_NAME, index=True)
    prefix: Mapped[str] = mapped_column(_WORD)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    team_id: Mapped[str] = mapped_column(_ID, index=True)
    project_id: Mapped[str | None] = mapped_column(_ID, index=True)
    user: Mapped[str | None] = mapped_column("user_id", _ID, key="user")
    application: Mapped[str | None] = mapped_column(_ID)
    roles: Mapped[list[str]]
    groups: Mapped[list[str]]
    clearance: Mapped[str | None] = mapped_column(_ID)
    allowed_models: Mapped[list[str] | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    operations: Mapped[list[str] | None]
    networks: Mapped[list[str] | None]
    priority: Mapped[str] = mapped_column(_WORD, server_default="interactive")
    former_digest: Mapped[str | None] = mapped_column(String(64), unique=True, index=True)
    former_prefix: Mapped[str | None] = mapped_column(_WORD)
    former_until: Mapped[datetime | None]
    rotated_at: Mapped[datetime | None]
    created_by: Mapped[str | None] = mapped_column(_NAME)
    revoked_by: Mapped[str | None] = mapped_column(_NAME)
    last_used_at: Mapped[datetime | None]


class KongConsumer(Base):
    """Whom a consumer that Kong has authenticated stands for."""

    __tablename__ = "kong_consumers"
    __table_args__ = (
        CheckConstraint("username IS NOT NULL OR custom_id IS NOT NULL", name="named"),
    )

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    username: Mapped[str | None] = mapped_column(_NAME, unique=True)
    custom_id: Mapped[str | None] = mapped_column(_NAME, unique=True)
    team_id: Mapped[str] = mapped_column(_ID, ForeignKey("teams.id"), index=True)
    project_id: Mapped[str | None] = mapped_column(_ID, ForeignKey("projects.id"), index=True)
    user: Mapped[str | None] = mapped_column("user_id", _ID, key="user")
    application: Mapped[str | None] = mapped_column(_ID)
    roles: Mapped[list[str]]
    groups: Mapped[list[str]]
    clearance: Mapped[str | None] = mapped_column(_ID)
    allowed_models: Mapped[list[str] | None]


class ModelGroup(Base):
    """Models that limits name together."""

    __tablename__ = "model_groups"

    organisation_id: Mapped[str] = mapped_column(
        _ID, ForeignKey("organisations.id"), primary_key=True
    )
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    models: Mapped[list[str]]


class LimitRow(Base):
    """One cap on one node, `<kind>:<id>`; see `llm_core.policy.limits.Limit`."""

    __tablename__ = "limits"

    node: Mapped[str] = mapped_column(_NODE, primary_key=True)
    scope: Mapped[str] = mapped_column(_NAME, primary_key=True, server_default="")
    measure: Mapped[str] = mapped_column(_WORD, primary_key=True)
    amount: Mapped[Decimal] = mapped_column(AMOUNT)
    interactive_share: Mapped[Decimal] = mapped_column(AMOUNT, server_default="0")


class LimitRaise(Base):
    """More than a limit's amount for a while, and who said so; nothing without that limit."""

    __tablename__ = "limit_raises"
    __table_args__ = (Index(None, "node", "until"),)

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    node: Mapped[str] = mapped_column(_NODE)
    scope: Mapped[str] = mapped_column(_NAME, server_default="")
    measure: Mapped[str] = mapped_column(_WORD)
    amount: Mapped[Decimal] = mapped_column(AMOUNT)
    starts_at: Mapped[datetime]
    until: Mapped[datetime]
    author: Mapped[str] = mapped_column(_NAME)
    reason: Mapped[str] = mapped_column(Text)
    withdrawn_at: Mapped[datetime | None]


class ThresholdEvent(Base):
    """A limit passed a soft threshold in a period: told once, which the key sees to."""

    __tablename__ = "threshold_events"

    limit_key: Mapped[str] = mapped_column(Text, primary_key=True)
    period: Mapped[str] = mapped_column(String(80), primary_key=True)
    percent: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(_NODE, index=True)
    measure: Mapped[str] = mapped_column(_WORD)
    at: Mapped[datetime] = mapped_column(index=True)
    used: Mapped[Decimal] = mapped_column(AMOUNT)
    amount: Mapped[Decimal] = mapped_column(AMOUNT)
    is_told: Mapped[bool] = mapped_column(server_default=false())


class AdminToken(Base):
    """A token for automation: its digest, never its text. `grants`: `<role> <node>` each."""

    __tablename__ = "admin_tokens"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    name: Mapped[str] = mapped_column(_NAME, index=True)
    prefix: Mapped[str] = mapped_column(_WORD)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    grants: Mapped[list[str]]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(_NAME)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class AuditEntry(Base):
    """Who changed what, and when: written in the change's own transaction, never changed.

    `seq` is handed out by the database; transactions may commit in another order. Every process
    follows the newest entries to forget what it remembers of callers that changed.
    """

    __tablename__ = "audit_log"

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    id: Mapped[str] = mapped_column(_ID, unique=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(_NAME)
    proof: Mapped[str] = mapped_column(_WORD)
    action: Mapped[str] = mapped_column(_WORD)
    subject: Mapped[str] = mapped_column(String(400), index=True)
    organisation: Mapped[str | None] = mapped_column(_ID, index=True)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


# --- what it cost --------------------------------------------------------------------------------


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
