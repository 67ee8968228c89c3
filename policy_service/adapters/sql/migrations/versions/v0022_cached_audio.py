"""Tokens that are both cached and audio; calls from before have none."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_SUMS = ("usage_hourly", "usage_daily_callers", "usage_daily_models")
_BUCKET = "cached_audio_tokens"


def upgrade() -> None:
    """Add the column: null in a row is "not reported", and a sum begins at 0."""
    op.add_column("usage", sa.Column(_BUCKET, sa.BigInteger(), nullable=True))
    for table in _SUMS:
        counted = sa.Column(_BUCKET, sa.BigInteger(), nullable=False, server_default="0")
        op.add_column(table, counted)


def downgrade() -> None:
    """Drop it."""
    for table in reversed(("usage", *_SUMS)):
        op.drop_column(table, _BUCKET)
