"""The audit chain in the admin API: its events, its checkpoints, and an export to verify."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from llm_core.audit.event import Checkpoint, chain_of
from llm_core.errors import MalformedRequest, PermissionDenied
from llm_core.policy.roles import Actor, Permission
from policy_service.api.admins import CurrentActor, nodes_for
from policy_service.api.idempotency import AdminRoute
from policy_service.api.paging import MOST_SEQ, AskedPage, Pages
from policy_service.api.wire import Opened, json_answer
from policy_service.ports.audit import AuditFilter
from policy_service.services.audit_export import exported

router = APIRouter(prefix="/admin/v1/audit", route_class=AdminRoute)
_CHAIN = Query(description="`org:<organisation>` or `platform`; all that you may see by default.")
_ORGANISATION = "organisation"
_EVENTS = Pages("audit-chain", tuple[str, int])
_SEALS = Pages("checkpoints", tuple[datetime, int, str])


@router.get("/chain")
async def chain(
    *,
    opened: Opened,
    actor: CurrentActor,
    chain: Annotated[str | None, _CHAIN] = None,
    kind: Annotated[
        str | None, Query(description="Such as `decision`; `key.` for all that begin so.")
    ] = None,
    by: Annotated[str | None, Query(description="The actor, such as `user:alice`.")] = None,
    subject: str | None = None,
    since: datetime | None = None,
    event: Annotated[
        str | None, Query(alias="id", description="Only the event of this id, `evt_...`.")
    ] = None,
    before_seq: Annotated[int | None, Query(ge=1, le=MOST_SEQ, deprecated=True)] = None,
    page: AskedPage,
) -> Response:
    """Events, chain by chain, the newest of each first."""
    wanted = AuditFilter(_chains(actor, chain), kind, by, subject, _zoned(since), event)
    found = await opened.auditing.chain.rows(
        wanted, before_seq=before_seq, after=_EVENTS.after(page), limit=page.wanted
    )
    rows, following = _EVENTS.cut(found, page, lambda one: (one.chain, one.seq))
    return json_answer({"rows": rows, "next": following})


@router.get("/checkpoints")
async def checkpoints(
    *,
    opened: Opened,
    actor: CurrentActor,
    chain: Annotated[str | None, _CHAIN] = None,
    page: AskedPage,
) -> Response:
    """Signed checkpoints, the newest first. Keep some elsewhere: they show a chain cut short."""
    found = await opened.auditing.chain.checkpoints(
        _chains(actor, chain), before=_SEALS.after(page), limit=page.wanted
    )
    rows, following = _SEALS.cut(found, page, _sealed_at)
    return json_answer({"rows": rows, "next": following})


@router.get("/export")
async def export(
    *,
    opened: Opened,
    actor: CurrentActor,
    chain: Annotated[str | None, _CHAIN] = None,
    since: datetime | None = None,
) -> Response:
    """The chains as JSON Lines, for `gatehouse audit verify`. That it was made is an event too."""
    chains = _chains(actor, chain)
    pieces = exported(opened.auditing.chain, opened.clock(), chains, _zoned(since))
    for one in chains or (chain,):
        organisation = one.removeprefix("org:") if one and one.startswith("org:") else None
        payload = {"since": None if since is None else since.isoformat()}
        opened.auditing.recorder.note_event(
            "audit.export", organisation, payload, actor=actor.name, subject=f"chain:{one or '*'}"
        )

    async def lines() -> AsyncIterator[bytes]:
        async for _, piece in pieces:
            yield piece

    return StreamingResponse(lines(), media_type="application/x-ndjson")


def _sealed_at(one: Checkpoint) -> tuple[datetime, int, str]:
    return datetime.fromisoformat(one.at), one.seq, one.chain


def _chains(actor: Actor, asked: str | None) -> frozenset[str] | None:
    """The chains that the actor may read, of those that were asked for; `None` for all.

    Raises:
        PermissionDenied: None of them.
    """
    nodes = nodes_for(actor, Permission.AUDIT_READ)
    if nodes is None:
        return None if asked is None else frozenset({asked})
    kinds = (node.partition(":") for node in nodes)
    readable = frozenset(chain_of(name) for kind, _, name in kinds if kind == _ORGANISATION)
    wanted = readable if asked is None else readable & {asked}
    if not wanted:
        raise PermissionDenied(
            "The audit chain is read by organisation, and your roles permit `audit.read` on "
            "another, or on a part of one only."
        )
    return wanted


def _zoned(since: datetime | None) -> datetime | None:
    if since is not None and since.tzinfo is None:
        raise MalformedRequest("Write `since` with its zone, for example `...Z`.", param="since")
    return since
