"""Tokens of audio and images; calls from before have none."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_SUMS = ("usage_hourly", "usage_daily_callers", "usage_daily_models")
_BUCKETS = ("input_audio_tokens", "input_image_tokens", "output_audio_tokens")


def upgrade() -> None:
    """Add the columns: null in a row is "not reported", and a sum begins at 0."""
    for name in _BUCKETS:
        op.add_column("usage", sa.Column(name, sa.BigInteger(), nullable=True))
    for table in _SUMS:
        for name in _BUCKETS:
            counted = sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
            op.add_column(table, counted)


def downgrade() -> None:
    """Drop them."""
    for table in reversed(("usage", *_SUMS)):
        for name in reversed(_BUCKETS):
            op.drop_column(table, name)
