"""Chargeback: rules, and closed months."""

import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import ExactDecimal, UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "chargeback_rules",
        sa.Column("organisation", sa.String(120), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", name=op.f("pk_chargeback_rules")),
    )
    op.create_table(
        "chargebacks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("total_usd", ExactDecimal(24, 12), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("kept", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chargebacks")),
        sa.UniqueConstraint(
            "organisation", "period", name=op.f("uq_chargebacks_organisation_period")
        ),
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("chargebacks")
    op.drop_table("chargeback_rules")
