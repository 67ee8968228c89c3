"""What the response cache answered, and what that saved; rows from before it had no cache."""

import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import ExactDecimal

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_USD = ExactDecimal(24, 12)


def upgrade() -> None:
    """Add the columns."""
    op.add_column("usage", sa.Column("cache", sa.Text(), nullable=False, server_default="bypass"))
    op.add_column("usage", sa.Column("saved_usd", _USD, nullable=False, server_default="0"))
    op.add_column(
        "usage_hourly", sa.Column("cache_hits", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.add_column("usage_hourly", sa.Column("saved_usd", _USD, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop them."""
    for table, column in (
        ("usage_hourly", "saved_usd"),
        ("usage_hourly", "cache_hits"),
        ("usage", "saved_usd"),
        ("usage", "cache"),
    ):
        op.drop_column(table, column)
