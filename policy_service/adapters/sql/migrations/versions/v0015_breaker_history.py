"""The history of breakers."""

import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_NAME = "breaker_transitions"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        _NAME,
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("from_state", sa.String(length=40), nullable=False),
        sa.Column("to_state", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("error_class", sa.String(length=40), nullable=False),
        sa.Column("opens_until", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breaker_transitions")),
    )
    for columns in (["at", "id"], ["deployment_id", "at"], ["provider", "at"]):
        op.create_index(op.f(f"ix_{_NAME}_{'_'.join(columns)}"), _NAME, columns)


def downgrade() -> None:
    """Take it away."""
    op.drop_table(_NAME)
