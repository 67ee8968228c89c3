"""The content log; sizes and data labels in the ledger."""

import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ADDED_TO_USAGE = ("request_bytes", "response_bytes", "data_labels")
_INDEXED = (["at", "decision_id"], ["team", "at"], ["user_id", "at"], ["kept_until"], ["key_id"])


def upgrade() -> None:
    """Add the table and the columns. Digests that are in the ledger by now stay as they are."""
    op.create_table(
        "content_log",
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("department", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text()),
        sa.Column("asked_model", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("kept_until", UtcDateTime(), nullable=False),
        sa.Column("error_class", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.Text()),
        sa.Column("response_digest", sa.Text()),
        sa.Column("request_bytes", sa.BigInteger()),
        sa.Column("response_bytes", sa.BigInteger()),
        sa.Column("question", sa.Text()),
        sa.Column("answer", sa.Text()),
        sa.Column("sealed_question", sa.LargeBinary()),
        sa.Column("sealed_answer", sa.LargeBinary()),
        sa.Column("key_id", sa.Text()),
        sa.Column("is_cut", sa.Boolean(), nullable=False),
        sa.Column("gap", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_content_log")),
    )
    for columns in _INDEXED:
        op.create_index(op.f(f"ix_content_log_{'_'.join(columns)}"), "content_log", columns)
    op.add_column("usage", sa.Column("request_bytes", sa.BigInteger()))
    op.add_column("usage", sa.Column("response_bytes", sa.BigInteger()))
    op.add_column("usage", sa.Column("data_labels", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Take them away."""
    for name in reversed(_ADDED_TO_USAGE):
        op.drop_column("usage", name)
    op.drop_table("content_log")
