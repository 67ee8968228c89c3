"""Approvals: requests, their history, what people were told; which calls relied on which grant."""

import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import ExactDecimal, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_AMOUNT = ExactDecimal(20, 6)
_ID = sa.String(length=120)
_NAME = sa.String(length=200)
_WORD = sa.String(length=40)


def upgrade() -> None:
    """Add the tables, and the ledger's column."""
    op.create_table(
        "approval_requests",
        sa.Column("id", _ID, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("node", sa.String(length=160), nullable=False),
        sa.Column("organisation", _ID, nullable=False),
        sa.Column("department", _ID, nullable=False),
        sa.Column("team", _ID, nullable=False),
        sa.Column("project", _ID),
        sa.Column("requester", _NAME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_usd", _AMOUNT),
        sa.Column("asked_until", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("answer_by", UtcDateTime(), nullable=False),
        sa.Column("decided_by", _NAME),
        sa.Column("decided_at", UtcDateTime()),
        sa.Column("decision_reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("granted_usd", _AMOUNT),
        sa.Column("granted_until", UtcDateTime()),
        sa.Column("ended_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_requests")),
    )
    is_open = sa.text("state = 'requested'")
    op.create_index(
        "uq_approval_requests_open",
        "approval_requests",
        ["requester", "node", "model"],
        unique=True,
        postgresql_where=is_open,
        sqlite_where=is_open,
    )
    _index("approval_requests", "state", "granted_until")
    _index("approval_requests", "team", "id")
    _index("approval_requests", "node")
    op.create_table(
        "approval_identities",
        sa.Column("request_id", _ID, nullable=False),
        sa.Column("identity", _NAME, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "identity", name=op.f("pk_approval_identities")),
        _of_request("approval_identities"),
    )
    _index("approval_identities", "identity")
    op.create_table(
        "approval_steps",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("request_id", _ID, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", _NAME, nullable=False),
        sa.Column("step", _WORD, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("amount_usd", _AMOUNT),
        sa.Column("until", UtcDateTime()),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_approval_steps")),
        _of_request("approval_steps"),
    )
    _index("approval_steps", "request_id", "seq")
    op.create_table(
        "approval_notices",
        sa.Column("request_id", _ID, nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("claimed_at", UtcDateTime()),
        sa.Column("is_told", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("request_id", "kind", name=op.f("pk_approval_notices")),
        _of_request("approval_notices"),
    )
    _index("approval_notices", "is_told", "claimed_at")
    if op.get_bind().dialect.name == "postgresql":
        # The step that read the ledger's rows in portions leaves its cursor open on them.
        op.execute("CLOSE ALL")
    op.add_column("usage", sa.Column("approval_id", sa.Text()))
    relies = sa.text("approval_id IS NOT NULL")
    op.create_index(
        "ix_usage_approval_id_at",
        "usage",
        ["approval_id", "at"],
        postgresql_where=relies,
        sqlite_where=relies,
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_index("ix_usage_approval_id_at", table_name="usage")
    op.drop_column("usage", "approval_id")
    for table in ("notices", "steps", "identities", "requests"):
        op.drop_table(f"approval_{table}")


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def _of_request(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["request_id"], ["approval_requests.id"], name=op.f(f"fk_{table}_request_id")
    )
