"""What the way that a call took saved against the dearest one; older calls have nothing."""

from decimal import Decimal

import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import ExactDecimal

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_TABLES = ("usage", "usage_hourly", "usage_daily_callers", "usage_daily_models")
_COLUMN = "routing_saved_usd"


def upgrade() -> None:
    """Add the column."""
    for table in _TABLES:
        column: sa.Column[Decimal] = sa.Column(
            _COLUMN, ExactDecimal(24, 12), nullable=False, server_default="0"
        )
        op.add_column(table, column)


def downgrade() -> None:
    """Drop it."""
    for table in reversed(_TABLES):
        op.drop_column(table, _COLUMN)
