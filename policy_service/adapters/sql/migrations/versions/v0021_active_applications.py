"""An index by which the applications of a long time are found."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_TABLE = "usage_daily_callers"
_NAME = "ix_usage_daily_callers_application_day"


def upgrade() -> None:
    """Add it; processes of the version before wait with what they add to the sums meanwhile."""
    op.create_index(op.f(_NAME), _TABLE, ["application", "day"])


def downgrade() -> None:
    """Take it away."""
    op.drop_index(op.f(_NAME), table_name=_TABLE)
