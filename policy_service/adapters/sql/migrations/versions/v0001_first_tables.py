"""The organisation, its keys and limits, the ledger and its hourly roll-ups."""

import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import ExactDecimal, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.String(length=120)
_JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "limits",
        sa.Column("node", sa.String(length=160), nullable=False),
        sa.Column("measure", sa.String(length=40), nullable=False),
        sa.Column("amount", ExactDecimal(20, 6), nullable=False),
        sa.PrimaryKeyConstraint("node", "measure", name=op.f("pk_limits")),
    )
    op.create_table(
        "organisations",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("allowed_models", _JSON, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisations")),
    )
    op.create_table(
        "usage",
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("department", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("application", sa.Text(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("asked_model", sa.Text(), nullable=False),
        sa.Column("routed_model", sa.Text(), nullable=True),
        sa.Column("served_model", sa.Text(), nullable=True),
        sa.Column("deployment_id", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("is_streaming", sa.Boolean(), nullable=False),
        sa.Column("http_status", sa.BigInteger(), nullable=False),
        sa.Column("error_class", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cached_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=True),
        sa.Column("usd", ExactDecimal(24, 12), nullable=False),
        sa.Column("price_version", sa.Text(), nullable=True),
        sa.Column("policy_revision", sa.Text(), nullable=False),
        sa.Column("total_ms", sa.Double(), nullable=True),
        sa.Column("time_to_first_token_ms", sa.Double(), nullable=True),
        sa.Column("overhead_ms", sa.Double(), nullable=True),
        sa.Column("fallbacks", sa.BigInteger(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=True),
        sa.Column("response_digest", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_usage")),
    )
    op.create_index(op.f("ix_usage_at_decision_id"), "usage", ["at", "decision_id"])
    op.create_index(op.f("ix_usage_key_id_at"), "usage", ["key_id", "at"])
    op.create_index(op.f("ix_usage_user_id_at"), "usage", ["user_id", "at"])
    op.create_table(
        "usage_hourly",
        sa.Column("bucket", sa.String(length=32), nullable=False),
        sa.Column("hour", UtcDateTime(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("department", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("asked_model", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("error_class", sa.Text(), nullable=False),
        sa.Column("is_estimated", sa.Boolean(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=False),
        sa.Column("usd", ExactDecimal(24, 12), nullable=False),
        sa.Column("fallbacks", sa.BigInteger(), nullable=False),
        sa.Column("total_us", sa.BigInteger(), nullable=False),
        sa.Column("total_count", sa.BigInteger(), nullable=False),
        sa.Column("time_to_first_token_us", sa.BigInteger(), nullable=False),
        sa.Column("time_to_first_token_count", sa.BigInteger(), nullable=False),
        sa.Column("overhead_us", sa.BigInteger(), nullable=False),
        sa.Column("overhead_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_usage_hourly")),
    )
    op.create_index(op.f("ix_usage_hourly_department_hour"), "usage_hourly", ["department", "hour"])
    op.create_index(op.f("ix_usage_hourly_hour"), "usage_hourly", ["hour"])
    op.create_index(op.f("ix_usage_hourly_project_hour"), "usage_hourly", ["project", "hour"])
    op.create_index(op.f("ix_usage_hourly_team_hour"), "usage_hourly", ["team", "hour"])
    op.create_table(
        "departments",
        sa.Column("id", _ID, nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("allowed_models", _JSON, nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_departments_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_departments")),
    )
    op.create_index(op.f("ix_departments_organisation_id"), "departments", ["organisation_id"])
    op.create_table(
        "teams",
        sa.Column("id", _ID, nullable=False),
        sa.Column("department_id", _ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("allowed_models", _JSON, nullable=True),
        sa.ForeignKeyConstraint(
            ["department_id"], ["departments.id"], name=op.f("fk_teams_department_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams")),
    )
    op.create_index(op.f("ix_teams_department_id"), "teams", ["department_id"])
    op.create_table(
        "projects",
        sa.Column("id", _ID, nullable=False),
        sa.Column("team_id", _ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("allowed_models", _JSON, nullable=True),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_projects_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
    )
    op.create_index(op.f("ix_projects_team_id"), "projects", ["team_id"])
    op.create_table(
        "api_keys",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("prefix", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("team_id", _ID, nullable=False),
        sa.Column("project_id", _ID, nullable=True),
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("application", _ID, nullable=True),
        sa.Column("roles", _JSON, nullable=False),
        sa.Column("groups", _JSON, nullable=False),
        sa.Column("clearance", _ID, nullable=True),
        sa.Column("allowed_models", _JSON, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_api_keys_project_id")
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_api_keys_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )
    op.create_index(op.f("ix_api_keys_name"), "api_keys", ["name"])
    op.create_index(op.f("ix_api_keys_project_id"), "api_keys", ["project_id"])
    op.create_index(op.f("ix_api_keys_team_id"), "api_keys", ["team_id"])
    op.create_table(
        "kong_consumers",
        sa.Column("id", _ID, nullable=False),
        sa.Column("username", sa.String(length=200), nullable=True),
        sa.Column("custom_id", sa.String(length=200), nullable=True),
        sa.Column("team_id", _ID, nullable=False),
        sa.Column("project_id", _ID, nullable=True),
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("application", _ID, nullable=True),
        sa.Column("roles", _JSON, nullable=False),
        sa.Column("groups", _JSON, nullable=False),
        sa.Column("clearance", _ID, nullable=True),
        sa.Column("allowed_models", _JSON, nullable=True),
        sa.CheckConstraint(
            "username IS NOT NULL OR custom_id IS NOT NULL", name=op.f("ck_kong_consumers_named")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_kong_consumers_project_id")
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_kong_consumers_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kong_consumers")),
        sa.UniqueConstraint("custom_id", name=op.f("uq_kong_consumers_custom_id")),
        sa.UniqueConstraint("username", name=op.f("uq_kong_consumers_username")),
    )
    op.create_index(op.f("ix_kong_consumers_project_id"), "kong_consumers", ["project_id"])
    op.create_index(op.f("ix_kong_consumers_team_id"), "kong_consumers", ["team_id"])


def downgrade() -> None:
    """Drop every table, and the data with it."""
    for table in (
        "kong_consumers",
        "api_keys",
        "projects",
        "teams",
        "departments",
        "organisations",
        "limits",
        "usage_hourly",
        "usage",
    ):
        op.drop_table(table)
