"""Requests as they stand now: a state that the clock has changed is told so at once."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Result, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.approvals import (
    LONGEST_CAPPED_LIFE,
    ApprovalGrant,
    ApprovalState,
    Step,
    cap_of,
    in_order,
)
from llm_core.policy.limits import Limit
from policy_service.adapters.sql.organisation.parts import amount_text
from policy_service.adapters.sql.tables import (
    ApprovalHistory,
    ApprovalIdentity,
    Base,
    ModelGroup,
)
from policy_service.adapters.sql.within import within
from policy_service.ports.approvals import ApprovalRecord, ApprovalStep, OpenRequest, Standing

USAGE = Base.metadata.tables["usage"]
REQUESTS = Base.metadata.tables["approval_requests"]
GROUP = "group:"
_AT_ONCE = 200
_STANDING = tuple(
    REQUESTS.c[name]
    for name in (
        "id", "node", "model", "organisation", "granted_until", "granted_usd", "created_at",
    )
)  # fmt: skip
_PLACES = {
    "organisation": REQUESTS.c.organisation,
    "department": REQUESTS.c.department,
    "team": REQUESTS.c.team,
    "project": REQUESTS.c.project,
}


def record_of(
    row: Mapping[str, Any], now: datetime, spent: Mapping[str, Decimal] = MappingProxyType({})
) -> ApprovalRecord:
    """A row as it stands at a moment, with what was spent by id."""
    # As people write them: databases give amounts back with idle zeros.
    amounts = {name: row[name] for name in ("asked_usd", "granted_usd")}
    neat = {
        name: None if usd is None else Decimal(amount_text(usd)) for name, usd in amounts.items()
    }
    spent_usd = Decimal(amount_text(spent.get(row["id"], Decimal(0))))
    return ApprovalRecord(**{**row, **neat, "state": state_of(row, now), "spent_usd": spent_usd})


async def spent_on(
    connection: AsyncConnection, rows: Iterable[Mapping[str, Any]]
) -> dict[str, Decimal]:
    """What the ledger has of calls that relied on those of these requests that were granted."""
    ids = [row["id"] for row in rows if row["granted_until"] is not None]
    if not ids:
        return {}
    found = await connection.execute(
        select(USAGE.c.approval_id, func.sum(USAGE.c.usd))
        .where(USAGE.c.approval_id.in_(ids))
        .group_by(USAGE.c.approval_id)
    )
    return {approval_id: Decimal(usd) for approval_id, usd in found}


def state_of(row: Mapping[str, Any], now: datetime) -> ApprovalState:
    """The state, with what the clock has made of it by now."""
    state = ApprovalState(row["state"])
    ends = {
        ApprovalState.REQUESTED: row["answer_by"],
        ApprovalState.GRANTED: row["granted_until"],
    }.get(state)
    return ApprovalState.EXPIRED if ends is not None and ends <= now else state


def is_over(now: datetime) -> ColumnElement[bool]:
    """Whether the clock has ended a request that its row does not call ended."""
    return or_(
        and_(REQUESTS.c.state == ApprovalState.REQUESTED.value, REQUESTS.c.answer_by <= now),
        and_(REQUESTS.c.state == ApprovalState.GRANTED.value, REQUESTS.c.granted_until <= now),
    )


def in_state(state: ApprovalState, now: datetime) -> ColumnElement[bool]:
    """Whether a request is in a state now."""
    stored: ColumnElement[bool] = REQUESTS.c.state == state.value
    if state is ApprovalState.EXPIRED:
        return or_(stored, is_over(now))
    return and_(stored, ~is_over(now))


async def one(
    connection: AsyncConnection, approval_id: str, *, locks: bool = False
) -> dict[str, Any] | None:
    """A request's row; locked until the transaction's end if asked for."""
    statement = select(REQUESTS).where(REQUESTS.c.id == approval_id)
    if locks:
        statement = statement.with_for_update()
    return first(await connection.execute(statement))


def first(found: Result[Any]) -> dict[str, Any] | None:
    """What was found, if anything."""
    row = found.mappings().first()
    return None if row is None else dict(row)


async def history(
    connection: AsyncConnection, approval_ids: Collection[str]
) -> Mapping[str, tuple[ApprovalStep, ...]]:
    """The steps of some requests in their order, by the request's id."""
    found = await connection.execute(
        select(ApprovalHistory.__table__)
        .where(ApprovalHistory.request_id.in_(approval_ids))
        .order_by(ApprovalHistory.request_id, ApprovalHistory.seq)
    )
    steps: defaultdict[str, list[ApprovalStep]] = defaultdict(list)
    for row in found:
        steps[row.request_id].append(
            ApprovalStep(
                at=row.at,
                actor=row.actor,
                step=Step(row.step),
                reason=row.reason,
                amount_usd=row.amount_usd,
                until=row.until,
            )
        )
    return {approval_id: tuple(taken) for approval_id, taken in steps.items()}


def listing(
    *,
    nodes: Collection[str] | None,
    identities: Collection[str],
    holders: Collection[str],
) -> Select[Any]:
    """Requests at or below some nodes, of a requester, or for some nodes; the newest first."""
    statement = select(REQUESTS).order_by(REQUESTS.c.id.desc())
    if nodes is None:
        return statement
    own = select(ApprovalIdentity.request_id).where(
        ApprovalIdentity.identity.in_(sorted(identities))
    )
    return statement.where(
        or_(within(nodes, _PLACES), REQUESTS.c.id.in_(own), REQUESTS.c.node.in_(sorted(holders)))
    )


async def standing(connection: AsyncConnection, now: datetime) -> Standing:
    """Grants that hold, and requests that wait, with the models that they are for."""
    groups = await _groups(connection)
    # In portions: calls are decided meanwhile.
    found = await connection.stream(
        select(*_STANDING).where(
            REQUESTS.c.state.in_([ApprovalState.REQUESTED.value, ApprovalState.GRANTED.value]),
            ~is_over(now),
        )
    )
    grants, waiting = [], []
    async for rows in found.partitions(_AT_ONCE):
        for row in rows:
            models: tuple[str, ...] = (row.model,)
            if row.model.startswith(GROUP):
                models = groups.get((row.organisation, row.model), ())
            if row.granted_until is not None:
                grants.append(
                    ApprovalGrant(row.id, row.node, models, row.granted_until, row.granted_usd)
                )
            else:
                waiting.append(OpenRequest(row.id, row.node, models, row.created_at))
    return Standing(in_order(grants), tuple(waiting))


async def caps(connection: AsyncConnection, now: datetime) -> tuple[Limit, ...]:
    """The limits of grants that were capped, as long as their counters can be there."""
    found = await connection.execute(
        select(REQUESTS.c.id, REQUESTS.c.granted_usd)
        .where(
            REQUESTS.c.granted_usd.is_not(None),
            REQUESTS.c.granted_until > now - LONGEST_CAPPED_LIFE,
        )
        .order_by(REQUESTS.c.id)
    )
    limits = (cap_of(approval_id, amount) for approval_id, amount in found)
    return tuple(limit for limit in limits if limit is not None)


async def has_group(connection: AsyncConnection, organisation: str, name: str) -> bool:
    """Whether an organisation has a group of models of this name."""
    found = await connection.execute(
        select(ModelGroup.id).where(
            ModelGroup.organisation_id == organisation, ModelGroup.id == name
        )
    )
    return found.first() is not None


async def _groups(connection: AsyncConnection) -> dict[tuple[str, str], tuple[str, ...]]:
    """Every group of models, by its organisation and as a request names it."""
    found = await connection.execute(select(ModelGroup.__table__))
    return {(row.organisation_id, f"{GROUP}{row.id}"): tuple(row.models) for row in found}
