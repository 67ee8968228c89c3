"""Users, applications, roles, scopes of keys, limits by model, raises, and who changed what."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import ExactDecimal, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.String(length=120)
_NODE = sa.String(length=160)
_NAME = sa.String(length=200)
_WORD = sa.String(length=40)
_JSON = sa.JSON(none_as_null=True)
_AMOUNT = ExactDecimal(20, 6)
_USD = ExactDecimal(24, 12)


def upgrade() -> None:
    """Make the tables, and add the columns."""
    _make_tables_of_changes()
    _make_tables_of_people()
    _add_columns()
    # A key outlives its team: what it did is told by it, and it stays revoked.
    with op.batch_alter_table("api_keys") as keys:
        keys.drop_constraint(op.f("fk_api_keys_team_id"), type_="foreignkey")
        keys.drop_constraint(op.f("fk_api_keys_project_id"), type_="foreignkey")
    _make_limits_anew(
        *_limits_before(),
        sa.Column("scope", _NAME, server_default="", nullable=False),
        sa.Column("interactive_share", _AMOUNT, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("node", "scope", "measure", name=op.f("pk_limits")),
    )


def downgrade() -> None:
    """Undo it; limits by model are lost with their column, and keys of teams that are gone."""
    op.execute("DELETE FROM limits WHERE scope <> ''")
    op.execute("DELETE FROM api_keys WHERE team_id NOT IN (SELECT id FROM teams)")
    op.execute(
        "UPDATE api_keys SET project_id = NULL WHERE project_id NOT IN (SELECT id FROM projects)"
    )
    with op.batch_alter_table("api_keys") as keys:
        keys.create_foreign_key(op.f("fk_api_keys_team_id"), "teams", ["team_id"], ["id"])
        keys.create_foreign_key(op.f("fk_api_keys_project_id"), "projects", ["project_id"], ["id"])
    _make_limits_anew(
        *_limits_before(),
        sa.PrimaryKeyConstraint("node", "measure", name=op.f("pk_limits")),
    )
    op.drop_column("teams", "cost_centre")
    op.drop_column("projects", "cost_centre")
    op.drop_column("organisations", "time_zone")
    op.drop_column("departments", "cost_centre")
    op.drop_index(op.f("ix_api_keys_former_digest"), table_name="api_keys")
    op.drop_column("api_keys", "last_used_at")
    op.drop_column("api_keys", "revoked_by")
    op.drop_column("api_keys", "created_by")
    op.drop_column("api_keys", "rotated_at")
    op.drop_column("api_keys", "former_until")
    op.drop_column("api_keys", "former_prefix")
    op.drop_column("api_keys", "former_digest")
    op.drop_column("api_keys", "priority")
    op.drop_column("api_keys", "networks")
    op.drop_column("api_keys", "operations")
    op.drop_index(op.f("ix_users_team_id"), table_name="users")
    op.drop_index(op.f("ix_users_project_id"), table_name="users")
    op.drop_index(op.f("ix_users_organisation_id"), table_name="users")
    op.drop_table("users")
    op.drop_index(op.f("ix_group_bindings_team_id"), table_name="group_bindings")
    op.drop_index(op.f("ix_group_bindings_project_id"), table_name="group_bindings")
    op.drop_table("group_bindings")
    op.drop_index(op.f("ix_applications_team_id"), table_name="applications")
    op.drop_index(op.f("ix_applications_project_id"), table_name="applications")
    op.drop_table("applications")
    op.drop_table("model_groups")
    op.drop_index(op.f("ix_cost_centres_organisation_id"), table_name="cost_centres")
    op.drop_table("cost_centres")
    op.drop_index(op.f("ix_threshold_events_node"), table_name="threshold_events")
    op.drop_index(op.f("ix_threshold_events_at"), table_name="threshold_events")
    op.drop_table("threshold_events")
    op.drop_table("role_grants")
    op.drop_index(op.f("ix_limit_raises_node_until"), table_name="limit_raises")
    op.drop_table("limit_raises")
    op.drop_index(op.f("ix_audit_log_subject"), table_name="audit_log")
    op.drop_index(op.f("ix_audit_log_organisation"), table_name="audit_log")
    op.drop_index(op.f("ix_audit_log_at"), table_name="audit_log")
    op.drop_table("audit_log")
    op.drop_index(op.f("ix_admin_tokens_name"), table_name="admin_tokens")
    op.drop_table("admin_tokens")


def _limits_before() -> list[sa.Column[Any]]:
    return [
        sa.Column("node", _NODE, nullable=False),
        sa.Column("measure", _WORD, nullable=False),
        sa.Column("amount", _AMOUNT, nullable=False),
    ]


def _make_limits_anew(*parts: Any) -> None:  # noqa: ANN401 - columns and constraints
    """Change the primary key, which SQLite cannot, by making the table again with its rows."""
    old = sa.table("limits", *(sa.column(column.name, column.type) for column in _limits_before()))
    rows = op.get_bind().execute(sa.select(old)).mappings().all()
    op.drop_table("limits")
    table = op.create_table("limits", *parts)
    op.bulk_insert(table, [dict(row) for row in rows])


def _make_tables_of_changes() -> None:
    op.create_table(
        "admin_tokens",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("prefix", _WORD, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("grants", _JSON, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", _NAME, nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_admin_tokens_digest")),
    )
    op.create_index(op.f("ix_admin_tokens_name"), "admin_tokens", ["name"], unique=False)
    op.create_table(
        "audit_log",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", _ID, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", _NAME, nullable=False),
        sa.Column("proof", _WORD, nullable=False),
        sa.Column("action", _WORD, nullable=False),
        sa.Column("subject", sa.String(length=400), nullable=False),
        sa.Column("organisation", _ID, nullable=True),
        sa.Column("before", _JSON, nullable=True),
        sa.Column("after", _JSON, nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_log")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_log_id")),
    )
    op.create_index(op.f("ix_audit_log_at"), "audit_log", ["at"], unique=False)
    op.create_index(op.f("ix_audit_log_organisation"), "audit_log", ["organisation"], unique=False)
    op.create_index(op.f("ix_audit_log_subject"), "audit_log", ["subject"], unique=False)
    op.create_table(
        "limit_raises",
        sa.Column("id", _ID, nullable=False),
        sa.Column("node", _NODE, nullable=False),
        sa.Column("scope", _NAME, server_default="", nullable=False),
        sa.Column("measure", _WORD, nullable=False),
        sa.Column("amount", _AMOUNT, nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("author", _NAME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("withdrawn_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_limit_raises")),
    )
    op.create_index(
        op.f("ix_limit_raises_node_until"), "limit_raises", ["node", "until"], unique=False
    )
    op.create_table(
        "role_grants",
        sa.Column("subject", sa.String(length=240), nullable=False),
        sa.Column("role", _WORD, nullable=False),
        sa.Column("node", _NODE, nullable=False),
        sa.PrimaryKeyConstraint("subject", "role", "node", name=op.f("pk_role_grants")),
    )
    op.create_table(
        "threshold_events",
        sa.Column("limit_key", sa.Text(), nullable=False),
        sa.Column("period", sa.String(length=80), nullable=False),
        sa.Column("percent", sa.BigInteger(), nullable=False),
        sa.Column("node", _NODE, nullable=False),
        sa.Column("measure", _WORD, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("used", _AMOUNT, nullable=False),
        sa.Column("amount", _AMOUNT, nullable=False),
        sa.Column("is_told", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("limit_key", "period", "percent", name=op.f("pk_threshold_events")),
    )
    op.create_index(op.f("ix_threshold_events_at"), "threshold_events", ["at"], unique=False)
    op.create_index(op.f("ix_threshold_events_node"), "threshold_events", ["node"], unique=False)


def _make_tables_of_people() -> None:
    op.create_table(
        "cost_centres",
        sa.Column("id", _ID, nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_cost_centres_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cost_centres")),
    )
    op.create_index(
        op.f("ix_cost_centres_organisation_id"), "cost_centres", ["organisation_id"], unique=False
    )
    op.create_table(
        "model_groups",
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("models", _JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_model_groups_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_model_groups")),
    )
    op.create_table(
        "applications",
        sa.Column("id", _ID, nullable=False),
        sa.Column("team_id", _ID, nullable=False),
        sa.Column("project_id", _ID, nullable=True),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_applications_project_id")
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_applications_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_applications")),
    )
    op.create_index(
        op.f("ix_applications_project_id"), "applications", ["project_id"], unique=False
    )
    op.create_index(op.f("ix_applications_team_id"), "applications", ["team_id"], unique=False)
    op.create_table(
        "group_bindings",
        sa.Column("source", sa.String(length=400), nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("team_id", _ID, nullable=False),
        sa.Column("project_id", _ID, nullable=True),
        sa.Column("roles", _JSON, nullable=False),
        sa.Column("clearance", _ID, nullable=True),
        sa.Column("allowed_models", _JSON, nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_group_bindings_project_id")
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_group_bindings_team_id")),
        sa.PrimaryKeyConstraint("source", "name", name=op.f("pk_group_bindings")),
    )
    op.create_index(
        op.f("ix_group_bindings_project_id"), "group_bindings", ["project_id"], unique=False
    )
    op.create_index(op.f("ix_group_bindings_team_id"), "group_bindings", ["team_id"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", _ID, nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("email", _NAME, nullable=True),
        sa.Column("subject", sa.String(length=400), nullable=True),
        sa.Column("team_id", _ID, nullable=True),
        sa.Column("project_id", _ID, nullable=True),
        sa.Column("clearance", _ID, nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_users_organisation_id")
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_users_project_id")),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_users_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("subject", name=op.f("uq_users_subject")),
    )
    op.create_index(op.f("ix_users_organisation_id"), "users", ["organisation_id"], unique=False)
    op.create_index(op.f("ix_users_project_id"), "users", ["project_id"], unique=False)
    op.create_index(op.f("ix_users_team_id"), "users", ["team_id"], unique=False)


def _add_columns() -> None:
    op.add_column("api_keys", sa.Column("operations", _JSON, nullable=True))
    op.add_column("api_keys", sa.Column("networks", _JSON, nullable=True))
    op.add_column(
        "api_keys", sa.Column("priority", _WORD, server_default="interactive", nullable=False)
    )
    op.add_column("api_keys", sa.Column("former_digest", sa.String(length=64), nullable=True))
    op.add_column("api_keys", sa.Column("former_prefix", _WORD, nullable=True))
    op.add_column("api_keys", sa.Column("former_until", UtcDateTime(), nullable=True))
    op.add_column("api_keys", sa.Column("rotated_at", UtcDateTime(), nullable=True))
    op.add_column("api_keys", sa.Column("created_by", _NAME, nullable=True))
    op.add_column("api_keys", sa.Column("revoked_by", _NAME, nullable=True))
    op.add_column("api_keys", sa.Column("last_used_at", UtcDateTime(), nullable=True))
    op.create_index(op.f("ix_api_keys_former_digest"), "api_keys", ["former_digest"], unique=True)
    op.add_column("departments", sa.Column("cost_centre", _ID, nullable=True))
    op.add_column(
        "organisations",
        sa.Column("time_zone", sa.String(length=60), server_default="UTC", nullable=False),
    )
    op.add_column("projects", sa.Column("cost_centre", _ID, nullable=True))
    op.add_column("teams", sa.Column("cost_centre", _ID, nullable=True))
