"""The decision log."""

import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("department", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text()),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("asked_model", sa.Text(), nullable=False),
        sa.Column("allow", sa.Boolean(), nullable=False),
        sa.Column("codes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("duration_ms", sa.Double(), nullable=False),
        sa.Column("input_digest", sa.Text(), nullable=False),
        sa.Column("input", sa.JSON(none_as_null=True)),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_at_decision_id"), "decisions", ["at", "decision_id"])
    op.create_index(op.f("ix_decisions_team_at"), "decisions", ["team", "at"])
    op.create_index(op.f("ix_decisions_user_id_at"), "decisions", ["user_id", "at"])


def downgrade() -> None:
    """Take it away."""
    op.drop_table("decisions")
