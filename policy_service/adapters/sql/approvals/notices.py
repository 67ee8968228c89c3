"""Who is to be told of a request or a grant: each thing once, over all processes."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.approvals import ApprovalState
from policy_service.adapters.sql.approvals.reading import REQUESTS, record_of
from policy_service.adapters.sql.engine import insert_into
from policy_service.adapters.sql.tables import Base
from policy_service.ports.approvals import ApprovalNotice, NoticeKind

NOTICES = Base.metadata.tables["approval_notices"]
_COLUMNS = ["request_id", "kind", "at"]


async def note_request(connection: AsyncConnection, approval_id: str, now: datetime) -> None:
    """A request that was made in this transaction is to be told of."""
    row = {"request_id": approval_id, "kind": NoticeKind.REQUESTED.value, "at": now}
    await connection.execute(NOTICES.insert(), row)


async def note_due(
    connection: AsyncConnection, remind_before: datetime, ending_before: datetime, now: datetime
) -> None:
    """Note what has become due; see `Approvals.note`.

    A grant that was made less than the notice's lead ago is not told of: whoever made it knows.
    """
    lead = ending_before - now
    due = {
        NoticeKind.REMINDER: and_(
            REQUESTS.c.state == ApprovalState.REQUESTED.value,
            REQUESTS.c.created_at < remind_before,
            REQUESTS.c.answer_by > now,
        ),
        NoticeKind.ENDING: and_(
            REQUESTS.c.state == ApprovalState.GRANTED.value,
            REQUESTS.c.granted_until < ending_before,
            REQUESTS.c.granted_until > now,
            REQUESTS.c.decided_at < now - lead,
        ),
    }
    for kind, condition in due.items():
        noted = select(NOTICES.c.request_id).where(NOTICES.c.kind == kind.value)
        found = select(REQUESTS.c.id, literal(kind.value), literal(now, NOTICES.c.at.type)).where(
            condition, REQUESTS.c.id.not_in(noted)
        )
        statement = insert_into(connection, NOTICES).from_select(_COLUMNS, found)
        await connection.execute(statement.on_conflict_do_nothing())


async def claim(
    connection: AsyncConnection, most: int, again_before: datetime, now: datetime
) -> Sequence[ApprovalNotice]:
    """See `Approvals.claim`: rows that another process is just claiming are passed over."""
    free = or_(NOTICES.c.claimed_at.is_(None), NOTICES.c.claimed_at < again_before)
    found = await connection.execute(
        select(NOTICES.c.request_id, NOTICES.c.kind, NOTICES.c.at)
        .where(NOTICES.c.is_told.is_(False), free)
        .order_by(NOTICES.c.at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    claimed = found.all()
    if not claimed:
        return ()
    keys = [(row.request_id, row.kind) for row in claimed]
    await connection.execute(
        update(NOTICES)
        .where(tuple_(NOTICES.c.request_id, NOTICES.c.kind).in_(keys))
        .values(claimed_at=now)
    )
    rows = await connection.execute(
        select(REQUESTS).where(REQUESTS.c.id.in_(sorted({row.request_id for row in claimed})))
    )
    records = {row["id"]: record_of(dict(row), now) for row in rows.mappings()}
    return [
        ApprovalNotice(NoticeKind(row.kind), records[row.request_id], row.at) for row in claimed
    ]


async def told(connection: AsyncConnection, notice: ApprovalNotice) -> None:
    """See `Approvals.told`."""
    await connection.execute(
        update(NOTICES)
        .where(NOTICES.c.request_id == notice.approval.id, NOTICES.c.kind == notice.kind.value)
        .values(is_told=True)
    )
