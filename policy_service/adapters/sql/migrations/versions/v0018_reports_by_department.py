"""Schedules that send each department its own report; a report says what it is about."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column(
        "report_schedules",
        sa.Column("per_department", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column(
        "report_schedules",
        sa.Column(
            "department_recipients",
            sa.JSON(none_as_null=True),
            nullable=False,
            server_default=sa.text("'{}'"),
        ),
    )
    op.add_column("report_runs", sa.Column("node", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop them, and the schedules that need them: an older version would send the whole to all."""
    op.execute("DELETE FROM report_schedules WHERE per_department")
    op.drop_column("report_runs", "node")
    op.drop_column("report_schedules", "department_recipients")
    op.drop_column("report_schedules", "per_department")
