"""More than a limit's amount for a while."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.limits import Measure
from llm_core.policy.roles import Actor
from policy_service.adapters.sql.audit import record as audit
from policy_service.adapters.sql.organisation.checks import AMOUNT_END, organisation_of_node
from policy_service.adapters.sql.organisation.parts import (
    LIMITS,
    RAISES,
    amount_text,
    limit_subject,
    time_text,
)
from policy_service.adapters.sql.tables import AMOUNT
from policy_service.ids import new_id
from policy_service.ports.organisation import OrganisationError, RaiseRecord

LONGEST = timedelta(days=366)
_MAX_REASON_CHARS = 2000
_FINEST = Decimal(1).scaleb(-AMOUNT.scale)


async def add_raise(connection: AsyncConnection, wanted: RaiseRecord, author: Actor) -> RaiseRecord:
    """Give more, in a transaction that is open already; `wanted.id` is made here.

    Raises:
        OrganisationError: There is no such limit, it is for longer than a year, not for any time,
            for nothing, or without a reason.
    """
    _require_sense(wanted)
    found = await connection.execute(
        select(LIMITS.c.amount).where(
            LIMITS.c.node == wanted.node,
            LIMITS.c.scope == wanted.scope,
            LIMITS.c.measure == wanted.measure.value,
        )
    )
    if found.first() is None:
        name = limit_subject(wanted.node, wanted.scope, wanted.measure).removeprefix("limit:")
        there = await _limits_of(connection, wanted.node)
        raise OrganisationError(f"there is no limit {name[:300]}{there}")
    row = {
        "id": new_id("raise"),
        "node": wanted.node,
        "scope": wanted.scope,
        "measure": wanted.measure.value,
        "amount": wanted.amount,
        "starts_at": wanted.starts_at,
        "until": wanted.until,
        "author": author.name[:200],
        "reason": wanted.reason,
    }
    await connection.execute(insert(RAISES), row)
    await audit(
        connection,
        author,
        "limit.raise",
        _subject(row),
        None,
        _shown(row),
        organisation=await organisation_of_node(connection, wanted.node),
        at=wanted.starts_at,
    )
    return _record(row | {"withdrawn_at": None})


async def _limits_of(connection: AsyncConnection, node: str) -> str:
    """What somebody may have meant."""
    found = await connection.execute(
        select(LIMITS.c.scope, LIMITS.c.measure)
        .where(LIMITS.c.node == node)
        .order_by(LIMITS.c.scope, LIMITS.c.measure)
        .limit(20)
    )
    named = [f"{measure} on {scope}" if scope else str(measure) for scope, measure in found]
    if not named:
        return f"; {node[:200]} has none: write a node as team:search"
    return f"; {node[:200]} has {', '.join(named)}"


async def withdraw(connection: AsyncConnection, raise_id: str, actor: Actor, now: datetime) -> bool:
    """End a raise now; false when there is none, or it is over."""
    done = await connection.execute(
        update(RAISES)
        .where(RAISES.c.id == raise_id, RAISES.c.withdrawn_at.is_(None), RAISES.c.until > now)
        .values(withdrawn_at=now)
    )
    if done.rowcount == 0:
        return False
    found = await connection.execute(select(RAISES).where(RAISES.c.id == raise_id))
    row = dict(found.mappings().one())
    await audit(
        connection,
        actor,
        "limit.withdraw",
        _subject(row),
        _shown(row),
        _shown(row) | {"withdrawn_at": time_text(now)},
        organisation=await _organisation_of(connection, row["node"]),
        at=now,
    )
    return True


async def read_raises(
    connection: AsyncConnection,
    *,
    node: str | None = None,
    raise_id: str | None = None,
    since: datetime | None = None,
) -> tuple[RaiseRecord, ...]:
    """Raises by their beginning.

    Args:
        connection: To read by.
        node: Only on this node.
        raise_id: Only this one.
        since: Only those that hold then, or will.
    """
    statement = select(RAISES).order_by(RAISES.c.starts_at, RAISES.c.id)
    if node is not None:
        statement = statement.where(RAISES.c.node == node)
    if raise_id is not None:
        statement = statement.where(RAISES.c.id == raise_id)
    if since is not None:
        statement = statement.where(RAISES.c.until > since, RAISES.c.withdrawn_at.is_(None))
    return tuple(_record(dict(row)) for row in (await connection.execute(statement)).mappings())


def _require_sense(wanted: RaiseRecord) -> None:
    amount = wanted.amount
    is_amount = amount.is_finite() and 0 < amount < AMOUNT_END
    if not is_amount or amount != amount.quantize(_FINEST):
        raise OrganisationError(f"a limit is raised by more than 0; {amount} is no amount")
    if wanted.until <= wanted.starts_at:
        raise OrganisationError("a raise ends in the future")
    if wanted.until - wanted.starts_at > LONGEST:
        raise OrganisationError("a raise ends within a year; change the limit itself instead")
    if not wanted.reason.strip() or len(wanted.reason) > _MAX_REASON_CHARS:
        raise OrganisationError(f"a raise needs a reason of up to {_MAX_REASON_CHARS} characters")


async def _organisation_of(connection: AsyncConnection, node: str) -> str | None:
    """As far as it can be told: the node may be gone, and its raises are still told of."""
    try:
        return await organisation_of_node(connection, node)
    except OrganisationError:
        return None


def _subject(row: Mapping[str, Any]) -> str:
    return limit_subject(row["node"], row["scope"], row["measure"])


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "amount": amount_text(row["amount"]),
        "starts_at": time_text(row["starts_at"]),
        "until": time_text(row["until"]),
        "author": row["author"],
        "reason": row["reason"],
    }


def _record(row: Mapping[str, Any]) -> RaiseRecord:
    return RaiseRecord(**{**row, "measure": Measure(row["measure"])})
