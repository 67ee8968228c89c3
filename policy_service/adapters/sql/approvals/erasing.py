"""A person is taken out of approvals: of what they asked for, and of what was asked for them.

Whoever decided stays, as does what they decided: that is evidence about the approver. A request
that is open, or a grant that holds, goes on under the pseudonym until it ends, and helps nobody.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, Text, case, cast, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy_service.adapters.sql.tables import Base

_TABLES = Base.metadata.tables
REQUESTS = _TABLES["approval_requests"]
_IDENTITIES, _STEPS = _TABLES["approval_identities"], _TABLES["approval_steps"]
_AUDIT = _TABLES["audit_log"]
_ACTIONS = "approval."
_SAID = frozenset({"reason", "said"})
"""What somebody wrote, in an entry of the audit log."""


def of_user(user: str) -> ColumnElement[bool]:
    """Requests that a user made, and those that are for them."""
    named = _named(user)
    return or_(REQUESTS.c.requester == named, REQUESTS.c.node == named)


def names(document: Any, user: str) -> ColumnElement[bool]:  # noqa: ANN401 - any JSON column
    """Whether a JSON column holds the user's name, as an approval's entries have it."""
    return cast(document, Text).contains(json.dumps(_named(user)), autoescape=True)


async def count(connection: AsyncConnection, user: str) -> Mapping[str, int]:
    """How many rows name the user, by table; the history counts with its request."""
    conditions: dict[Table, ColumnElement[bool]] = {REQUESTS: of_user(user), _AUDIT: _told_of(user)}
    found: dict[str, int] = {}
    for table, is_theirs in conditions.items():
        query = select(func.count()).select_from(table).where(is_theirs)
        found[table.name] = int((await connection.execute(query)).scalar_one())
    return found


async def erase(connection: AsyncConnection, user: str, pseudonym: str) -> Mapping[str, int]:
    """Let the pseudonym stand for the user, and delete what was written about their requests."""
    named, instead = _named(user), _named(pseudonym)
    theirs = select(REQUESTS.c.id).where(of_user(user))
    asked = select(REQUESTS.c.id).where(REQUESTS.c.requester == named)
    await connection.execute(
        update(_STEPS)
        .where(_STEPS.c.request_id.in_(theirs), _STEPS.c.actor == named)
        .values(actor=instead)
    )
    await connection.execute(
        update(_STEPS).where(_STEPS.c.request_id.in_(theirs)).values(reason="")
    )
    # By what else their sign-in and their machine know them; a key's id says nothing of anybody.
    also = or_(
        _IDENTITIES.c.identity.startswith("subject:", autoescape=True),
        _IDENTITIES.c.identity.startswith("command_line:", autoescape=True),
    )
    await connection.execute(delete(_IDENTITIES).where(_IDENTITIES.c.request_id.in_(asked), also))
    await connection.execute(
        update(_IDENTITIES).where(_IDENTITIES.c.identity == named).values(identity=instead)
    )
    changed = await connection.execute(
        update(REQUESTS)
        .where(of_user(user))
        .values(
            requester=case((REQUESTS.c.requester == named, instead), else_=REQUESTS.c.requester),
            node=case((REQUESTS.c.node == named, instead), else_=REQUESTS.c.node),
            reason="",
            decision_reason="",
        )
    )
    return {REQUESTS.name: changed.rowcount, _AUDIT.name: await _audited(connection, user, instead)}


async def _audited(connection: AsyncConnection, user: str, instead: str) -> int:
    """Rewrite the entries about their requests; who granted what stays."""
    named = _named(user)
    columns = (_AUDIT.c.seq, _AUDIT.c.actor, _AUDIT.c.before, _AUDIT.c.after)
    found = (await connection.execute(select(*columns).where(_told_of(user)))).all()
    for row in found:
        values = {
            "actor": instead if row.actor == named else row.actor,
            "before": _without(row.before, named, instead),
            "after": _without(row.after, named, instead),
        }
        await connection.execute(update(_AUDIT).where(_AUDIT.c.seq == row.seq).values(values))
    return len(found)


def _without(shown: Mapping[str, Any] | None, named: str, instead: str) -> dict[str, Any] | None:
    if shown is None:
        return None
    return {
        field: "" if field in _SAID else instead if value == named else value
        for field, value in shown.items()
    }


def _told_of(user: str) -> ColumnElement[bool]:
    """Entries of the audit log about their requests."""
    is_told = or_(names(_AUDIT.c.before, user), names(_AUDIT.c.after, user))
    return _AUDIT.c.action.startswith(_ACTIONS, autoescape=True) & is_told


def _named(user: str) -> str:
    return f"user:{user}"
