"""Who belongs where, who may use and administer what, and who changed it."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    false,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from policy_service.adapters.sql.tables.base import AMOUNT, ID, NAME, NODE, WORD, Base


class OrganisationUnit(Base):
    """A company. Its days and months begin where its clocks say so."""

    __tablename__ = "organisations"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(NAME)
    allowed_models: Mapped[list[str] | None]
    time_zone: Mapped[str] = mapped_column(String(60), server_default="UTC")


class CostCentre(Base):
    """Who pays, in the words of accounting."""

    __tablename__ = "cost_centres"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ID, ForeignKey("organisations.id"), index=True)
    name: Mapped[str] = mapped_column(NAME)


class DepartmentUnit(Base):
    """A department."""

    __tablename__ = "departments"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ID, ForeignKey("organisations.id"), index=True)
    name: Mapped[str] = mapped_column(NAME)
    allowed_models: Mapped[list[str] | None]
    cost_centre: Mapped[str | None] = mapped_column(ID)


class TeamUnit(Base):
    """A team; every caller belongs to one."""

    __tablename__ = "teams"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    department_id: Mapped[str] = mapped_column(ID, ForeignKey("departments.id"), index=True)
    name: Mapped[str] = mapped_column(NAME)
    allowed_models: Mapped[list[str] | None]
    cost_centre: Mapped[str | None] = mapped_column(ID)


class ProjectUnit(Base):
    """A team's project."""

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    team_id: Mapped[str] = mapped_column(ID, ForeignKey("teams.id"), index=True)
    name: Mapped[str] = mapped_column(NAME)
    allowed_models: Mapped[list[str] | None]
    cost_centre: Mapped[str | None] = mapped_column(ID)


class User(Base):
    """A person. `email` and `subject` are how an identity provider names them."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ID, ForeignKey("organisations.id"), index=True)
    name: Mapped[str] = mapped_column(NAME)
    email: Mapped[str | None] = mapped_column(NAME, unique=True)
    subject: Mapped[str | None] = mapped_column(String(400), unique=True)
    team_id: Mapped[str | None] = mapped_column(ID, ForeignKey("teams.id"), index=True)
    project_id: Mapped[str | None] = mapped_column(ID, ForeignKey("projects.id"), index=True)
    clearance: Mapped[str | None] = mapped_column(ID)
    is_active: Mapped[bool] = mapped_column(server_default=true())


class Application(Base):
    """A service account: software that calls in its own name."""

    __tablename__ = "applications"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    team_id: Mapped[str] = mapped_column(ID, ForeignKey("teams.id"), index=True)
    project_id: Mapped[str | None] = mapped_column(ID, ForeignKey("projects.id"), index=True)
    name: Mapped[str] = mapped_column(NAME)
    is_active: Mapped[bool] = mapped_column(server_default=true())


class RoleGrant(Base):
    """A role on a node and below. `subject`: `user:<id>`, `group:<name>`, `application:<id>`."""

    __tablename__ = "role_grants"

    subject: Mapped[str] = mapped_column(String(240), primary_key=True)
    role: Mapped[str] = mapped_column(WORD, primary_key=True)
    node: Mapped[str] = mapped_column(NODE, primary_key=True)


class GroupBinding(Base):
    """Where the members of a group belong. `source`: `kong`, or an issuer's URL."""

    __tablename__ = "group_bindings"

    source: Mapped[str] = mapped_column(String(400), primary_key=True)
    name: Mapped[str] = mapped_column(NAME, primary_key=True)
    team_id: Mapped[str] = mapped_column(ID, ForeignKey("teams.id"), index=True)
    project_id: Mapped[str | None] = mapped_column(ID, ForeignKey("projects.id"), index=True)
    roles: Mapped[list[str]]
    clearance: Mapped[str | None] = mapped_column(ID)
    allowed_models: Mapped[list[str] | None]


class ApiKey(Base):
    """A key: its digest, never its text. `id` sorts by the time of issue.

    A key outlives the team and the project that it was issued to, revoked. `former_digest` is of
    the text that it had before it was rotated, which is good until `former_until`.
    """

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(NAME, index=True)
    prefix: Mapped[str] = mapped_column(WORD)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    team_id: Mapped[str] = mapped_column(ID, index=True)
    project_id: Mapped[str | None] = mapped_column(ID, index=True)
    user: Mapped[str | None] = mapped_column("user_id", ID, key="user")
    application: Mapped[str | None] = mapped_column(ID)
    roles: Mapped[list[str]]
    groups: Mapped[list[str]]
    clearance: Mapped[str | None] = mapped_column(ID)
    allowed_models: Mapped[list[str] | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    operations: Mapped[list[str] | None]
    networks: Mapped[list[str] | None]
    priority: Mapped[str] = mapped_column(WORD, server_default="interactive")
    former_digest: Mapped[str | None] = mapped_column(String(64), unique=True, index=True)
    former_prefix: Mapped[str | None] = mapped_column(WORD)
    former_until: Mapped[datetime | None]
    rotated_at: Mapped[datetime | None]
    created_by: Mapped[str | None] = mapped_column(NAME)
    revoked_by: Mapped[str | None] = mapped_column(NAME)
    last_used_at: Mapped[datetime | None]


class KongConsumer(Base):
    """Whom a consumer that Kong has authenticated stands for."""

    __tablename__ = "kong_consumers"
    __table_args__ = (
        CheckConstraint("username IS NOT NULL OR custom_id IS NOT NULL", name="named"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    username: Mapped[str | None] = mapped_column(NAME, unique=True)
    custom_id: Mapped[str | None] = mapped_column(NAME, unique=True)
    team_id: Mapped[str] = mapped_column(ID, ForeignKey("teams.id"), index=True)
    project_id: Mapped[str | None] = mapped_column(ID, ForeignKey("projects.id"), index=True)
    user: Mapped[str | None] = mapped_column("user_id", ID, key="user")
    application: Mapped[str | None] = mapped_column(ID)
    roles: Mapped[list[str]]
    groups: Mapped[list[str]]
    clearance: Mapped[str | None] = mapped_column(ID)
    allowed_models: Mapped[list[str] | None]


class ModelGroup(Base):
    """Models that limits name together."""

    __tablename__ = "model_groups"

    organisation_id: Mapped[str] = mapped_column(
        ID, ForeignKey("organisations.id"), primary_key=True
    )
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    models: Mapped[list[str]]


class LimitRow(Base):
    """One cap on one node, `<kind>:<id>`; see `llm_core.policy.limits.Limit`."""

    __tablename__ = "limits"

    node: Mapped[str] = mapped_column(NODE, primary_key=True)
    scope: Mapped[str] = mapped_column(NAME, primary_key=True, server_default="")
    measure: Mapped[str] = mapped_column(WORD, primary_key=True)
    amount: Mapped[Decimal] = mapped_column(AMOUNT)
    interactive_share: Mapped[Decimal] = mapped_column(AMOUNT, server_default="0")


class LimitRaise(Base):
    """More than a limit's amount for a while, and who said so; nothing without that limit."""

    __tablename__ = "limit_raises"
    __table_args__ = (Index(None, "node", "until"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    node: Mapped[str] = mapped_column(NODE)
    scope: Mapped[str] = mapped_column(NAME, server_default="")
    measure: Mapped[str] = mapped_column(WORD)
    amount: Mapped[Decimal] = mapped_column(AMOUNT)
    starts_at: Mapped[datetime]
    until: Mapped[datetime]
    author: Mapped[str] = mapped_column(NAME)
    reason: Mapped[str] = mapped_column(Text)
    withdrawn_at: Mapped[datetime | None]


class ThresholdEvent(Base):
    """A limit passed a soft threshold in a period: told once, which the key sees to."""

    __tablename__ = "threshold_events"

    limit_key: Mapped[str] = mapped_column(Text, primary_key=True)
    period: Mapped[str] = mapped_column(String(80), primary_key=True)
    percent: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(NODE, index=True)
    measure: Mapped[str] = mapped_column(WORD)
    at: Mapped[datetime] = mapped_column(index=True)
    used: Mapped[Decimal] = mapped_column(AMOUNT)
    amount: Mapped[Decimal] = mapped_column(AMOUNT)
    is_told: Mapped[bool] = mapped_column(server_default=false())


class AdminToken(Base):
    """A token for automation: its digest, never its text. `grants`: `<role> <node>` each."""

    __tablename__ = "admin_tokens"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(NAME, index=True)
    prefix: Mapped[str] = mapped_column(WORD)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    grants: Mapped[list[str]]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(NAME)
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
    id: Mapped[str] = mapped_column(ID, unique=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(NAME)
    proof: Mapped[str] = mapped_column(WORD)
    action: Mapped[str] = mapped_column(WORD)
    subject: Mapped[str] = mapped_column(String(400), index=True)
    organisation: Mapped[str | None] = mapped_column(ID, index=True)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
