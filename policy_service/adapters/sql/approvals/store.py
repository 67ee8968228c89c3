"""The steps of requests: each locks its request, so that of two who decide at once one is told."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.policy.approvals import (
    MAX_MODEL_CHARS,
    ApprovalState,
    BadTerms,
    Side,
    Step,
    Terms,
    differences,
    granted_terms,
    require_reason,
    state_after,
)
from llm_core.policy.limits import Limit
from llm_core.policy.roles import Actor, Permission, may
from policy_service.adapters.sql.approvals import notices, reading
from policy_service.adapters.sql.approvals.identities import (
    identities_of,
    is_of,
    issuers_of,
    stored,
)
from policy_service.adapters.sql.approvals.reading import GROUP, REQUESTS, record_of, state_of
from policy_service.adapters.sql.audit import Entry, record_all
from policy_service.adapters.sql.callers import utc_now
from policy_service.adapters.sql.engine import insert_into, writing
from policy_service.adapters.sql.engine import reading as reading_from
from policy_service.adapters.sql.organisation.parts import amount_text, time_text
from policy_service.adapters.sql.organisation.paths import path_of
from policy_service.adapters.sql.tables import ApprovalHistory, ApprovalIdentity
from policy_service.ids import new_id
from policy_service.ports.approvals import ApprovalNotice, ApprovalRecord, Asked, Standing
from policy_service.ports.clock import Clock
from policy_service.ports.organisation import OrganisationError

CLOCK = Actor("gatehouse", "clock")
_MAX_NAME_CHARS = 200
_MOST_LISTED = 1001
"""A page of 1,000, and one more that tells of a next page."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """A step that is being taken."""

    step: Step
    actor: Actor
    reason: str
    at: datetime
    terms: Terms | None = None


class SqlApprovals:
    """Implements `ports.Approvals` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine
        self._clock = clock

    async def ask(self, asked: Asked, *, answer_by: datetime) -> tuple[ApprovalRecord, bool]:
        """See `Approvals.ask`."""
        require_reason(asked.reason, is_needed=True)
        _require_model(asked.model)
        async with writing(self._engine) as connection:
            now = self._clock()
            if asked.model.startswith(GROUP) and not await reading.has_group(
                connection, asked.organisation, asked.model.removeprefix(GROUP)
            ):
                raise BadTerms("model", f"There is no group of models {asked.model[:200]!r}.")
            made = await self._insert(connection, asked, answer_by, now)
            if made is None:
                # One that nobody answered in time makes room for a new one.
                await self._expire(connection, 1, now, _same(asked))
                made = await self._insert(connection, asked, answer_by, now)
            if made is None:
                found = await connection.execute(
                    select(REQUESTS).where(
                        *_same(asked), REQUESTS.c.state == ApprovalState.REQUESTED.value
                    )
                )
                return record_of(dict(found.mappings().one()), now), False
            issuers = await issuers_of(connection, asked.identities)
            own = await identities_of(connection, asked.requester)
            names = stored({*asked.identities, *issuers, *own})
            rows = [{"request_id": made["id"], "identity": name} for name in names]
            await connection.execute(insert(ApprovalIdentity), rows)
            await notices.note_request(connection, made["id"], now)
            terms = Terms(asked.amount_usd, asked.until)
            taken = _Taken(Step.REQUEST, asked.requester, asked.reason, now, terms)
            await _write(connection, made, taken)
            return record_of(made, now), True

    async def grant(
        self,
        approval_id: str,
        actor: Actor,
        *,
        amount_usd: Decimal | None = None,
        until: datetime | None = None,
        reason: str = "",
    ) -> ApprovalRecord | None:
        """See `Approvals.grant`."""
        async with writing(self._engine) as connection:
            before = await reading.one(connection, approval_id, locks=True)
            if before is None:
                return None
            now = self._clock()
            taken = _Taken(Step.GRANT, actor, reason, now)
            state = await _state_after(connection, before, taken)
            asked = Terms(before["asked_usd"], before["asked_until"])
            terms = granted_terms(asked, amount_usd, until, now)
            decided = {"decided_by": _name(actor), "decided_at": now, "decision_reason": reason}
            granted = {"granted_usd": terms.amount_usd, "granted_until": terms.until}
            return await _change(
                connection,
                before,
                {"state": state.value, **decided, **granted},
                replace(taken, terms=terms),
                also=differences(asked, terms),
            )

    async def end(
        self, approval_id: str, step: Step, actor: Actor, reason: str
    ) -> ApprovalRecord | None:
        """See `Approvals.end`."""
        async with writing(self._engine) as connection:
            before = await reading.one(connection, approval_id, locks=True)
            if before is None:
                return None
            now = self._clock()
            taken = _Taken(step, actor, reason, now)
            state = await _state_after(connection, before, taken)
            values: dict[str, Any] = {"state": state.value, "ended_at": now}
            if step is Step.REFUSE:
                values |= {"decided_by": _name(actor), "decided_at": now, "decision_reason": reason}
            return await _change(connection, before, values, taken)

    async def find(self, approval_id: str) -> ApprovalRecord | None:
        """See `Approvals.find`."""
        async with reading_from(self._engine) as connection:
            row = await reading.one(connection, approval_id)
            if row is None:
                return None
            steps = await reading.history(connection, [approval_id])
            spent = await reading.spent_on(connection, [row])
            record = record_of(row, self._clock(), spent)
            return replace(record, steps=steps.get(approval_id, ()))

    async def is_of(self, approval_id: str, actor: Actor) -> bool:
        """See `Approvals.is_of`."""
        async with reading_from(self._engine) as connection:
            return await is_of(connection, approval_id, await identities_of(connection, actor))

    async def listed(
        self,
        *,
        nodes: Collection[str] | None = None,
        own: Actor | Collection[str] = (),
        holders: Collection[str] = (),
        state: ApprovalState | None = None,
        model: str | None = None,
        team: str | None = None,
        before: str | None = None,
        most: int = 100,
    ) -> tuple[ApprovalRecord, ...]:
        """See `Approvals.listed`."""
        now = self._clock()
        async with reading_from(self._engine) as connection:
            names = await identities_of(connection, own) if isinstance(own, Actor) else own
            statement = reading.listing(nodes=nodes, identities=names, holders=holders)
            if state is not None:
                statement = statement.where(reading.in_state(state, now))
            for column, wanted in (("model", model), ("team", team)):
                if wanted is not None:
                    statement = statement.where(REQUESTS.c[column] == wanted)
            if before is not None:
                statement = statement.where(REQUESTS.c.id < before)
            found = await connection.execute(statement.limit(min(max(most, 1), _MOST_LISTED)))
            rows = [dict(row) for row in found.mappings()]
            spent = await reading.spent_on(connection, rows)
            steps = await reading.history(connection, [row["id"] for row in rows])
            return tuple(
                replace(record_of(row, now, spent), steps=steps.get(row["id"], ())) for row in rows
            )

    async def standing(self) -> Standing:
        """See `Approvals.standing`."""
        async with reading_from(self._engine) as connection:
            return await reading.standing(connection, self._clock())

    async def caps(self) -> tuple[Limit, ...]:
        """See `Approvals.caps`."""
        async with reading_from(self._engine) as connection:
            return await reading.caps(connection, self._clock())

    async def expire(self, most: int) -> int:
        """See `Approvals.expire`."""
        async with writing(self._engine) as connection:
            return await self._expire(connection, most, self._clock())

    async def note(self, remind_before: datetime, ending_before: datetime) -> None:
        """See `Approvals.note`."""
        async with writing(self._engine) as connection:
            await notices.note_due(connection, remind_before, ending_before, self._clock())

    async def claim(self, most: int, again_before: datetime) -> Sequence[ApprovalNotice]:
        """See `Approvals.claim`."""
        async with writing(self._engine) as connection:
            return await notices.claim(connection, most, again_before, self._clock())

    async def told(self, notice: ApprovalNotice) -> None:
        """See `Approvals.told`."""
        async with writing(self._engine) as connection:
            await notices.told(connection, notice)

    async def _insert(
        self, connection: AsyncConnection, asked: Asked, answer_by: datetime, now: datetime
    ) -> Mapping[str, Any] | None:
        """The new row; `None` where the same request is open."""
        row = {
            "id": new_id("apr"),
            "state": ApprovalState.REQUESTED.value,
            "model": asked.model,
            "node": asked.node,
            "organisation": asked.organisation,
            "department": asked.department,
            "team": asked.team,
            "project": asked.project,
            "requester": _name(asked.requester),
            "reason": asked.reason,
            "asked_usd": asked.amount_usd,
            "asked_until": asked.until,
            "created_at": now,
            "answer_by": answer_by,
        }
        statement = insert_into(connection, REQUESTS).values(row).on_conflict_do_nothing()
        found = await connection.execute(statement.returning(*REQUESTS.c))
        return reading.first(found)

    async def _expire(
        self, connection: AsyncConnection, most: int, now: datetime, only: Sequence[Any] = ()
    ) -> int:
        found = await connection.execute(
            select(REQUESTS)
            .where(reading.is_over(now), *only)
            .order_by(REQUESTS.c.id)
            .limit(most)
            .with_for_update()
        )
        rows = [dict(row) for row in found.mappings()]
        for before in rows:
            values = {"state": ApprovalState.EXPIRED.value, "ended_at": now}
            await _change(connection, before, values, _Taken(Step.EXPIRE, CLOCK, "", now))
        return len(rows)


async def _state_after(
    connection: AsyncConnection, before: Mapping[str, Any], taken: _Taken
) -> ApprovalState:
    """What the step makes of the request, by who the actor is to it."""
    actor = taken.actor
    own = await is_of(connection, before["id"], await identities_of(connection, actor))
    sides = {Side.REQUESTER} if own else set()
    if may(actor.grants, Permission.APPROVALS_DECIDE, await _path(connection, before)):
        sides.add(Side.APPROVER)
    state = state_of(before, taken.at)
    return state_after(taken.step, state, sides=sides, is_same_person=own, reason=taken.reason)


async def _change(
    connection: AsyncConnection,
    before: Mapping[str, Any],
    values: Mapping[str, Any],
    taken: _Taken,
    also: Sequence[str] = (),
) -> ApprovalRecord:
    statement = update(REQUESTS).where(REQUESTS.c.id == before["id"]).values(**values)
    await connection.execute(statement)
    after = {**before, **values}
    await _write(connection, after, taken, before=before, also=also)
    return record_of(after, taken.at)


async def _write(
    connection: AsyncConnection,
    row: Mapping[str, Any],
    taken: _Taken,
    *,
    before: Mapping[str, Any] | None = None,
    also: Sequence[str] = (),
) -> None:
    """Into the request's history and into the audit log."""
    await connection.execute(
        insert(ApprovalHistory),
        {
            "request_id": row["id"],
            "at": taken.at,
            "actor": _name(taken.actor),
            "step": taken.step.value,
            "reason": taken.reason,
            "amount_usd": None if taken.terms is None else taken.terms.amount_usd,
            "until": None if taken.terms is None else taken.terms.until,
        },
    )
    was = None if before is None else _shown(before)
    now = {**_shown(row), "said": taken.reason}
    entries = [
        Entry(f"approval.{action}", f"approval:{row['id']}", was, now)
        for action in (taken.step.value, *also)
    ]
    organisation = row["organisation"]
    await record_all(connection, taken.actor, entries, organisation=organisation, at=taken.at)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A request in JSON's types, for the audit log."""
    shown = {name: row[name] for name in ("state", "model", "node", "team", "requester", "reason")}
    for name in ("asked_usd", "granted_usd"):
        shown[name] = None if row[name] is None else amount_text(row[name])
    for name in ("asked_until", "granted_until"):
        shown[name] = None if row[name] is None else time_text(row[name])
    return shown


async def _path(connection: AsyncConnection, row: Mapping[str, Any]) -> tuple[str, ...]:
    """Where those stand who may decide: at the project of whom it is for, or the team, or above."""
    is_narrow = row["project"] is not None and not row["node"].startswith("team:")
    place = f"project:{row['project']}" if is_narrow else f"team:{row['team']}"
    try:
        return await path_of(connection, place)
    except OrganisationError:
        return (f"organisation:{row['organisation']}",)  # the unit is gone


def _same(asked: Asked) -> tuple[Any, ...]:
    return (
        REQUESTS.c.requester == _name(asked.requester),
        REQUESTS.c.node == asked.node,
        REQUESTS.c.model == asked.model,
    )


def _require_model(model: str) -> None:
    if not 0 < len(model) <= MAX_MODEL_CHARS or not model.isprintable():
        raise BadTerms("model", "Name the model, for example gpt-4o, or a group as group:costly.")


def _name(actor: Actor) -> str:
    return actor.name[:_MAX_NAME_CHARS]
