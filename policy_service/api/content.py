"""The content log in the admin API: which calls' words are kept, and the words, with a reason."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response

from llm_core.errors import MalformedRequest, PermissionDenied
from llm_core.policy.roles import Permission
from policy_service.api.admins import CurrentActor, nodes_for, require
from policy_service.api.idempotency import AdminRoute
from policy_service.api.paging import AskedPage, Pages
from policy_service.api.wire import Opened, json_answer
from policy_service.ports.content import ContentRow

router = APIRouter(prefix="/admin/v1/content", route_class=AdminRoute)
_PAGES = Pages("content", tuple[datetime, str])
_UNCACHED = {"cache-control": "no-store"}


@router.get("")
async def lines(
    *,
    opened: Opened,
    actor: CurrentActor,
    team: str | None = None,
    user: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    page: AskedPage,
    before: Annotated[
        str | None, Query(deprecated=True, description="The same as `cursor`.")
    ] = None,
) -> Response:
    """The newest lines, without words."""
    page = replace(page, cursor=page.cursor or before)
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and moment.tzinfo is None:
            raise MalformedRequest(f"Write `{name}` with its zone, for example `...Z`.", param=name)
    found = await opened.content.store.facts(
        opened.clock(),
        nodes=nodes_for(actor, Permission.CONTENT_READ),
        team=team,
        user=user,
        since=since,
        until=until,
        before=_PAGES.after(page),
        limit=page.wanted,
    )
    rows, following = _PAGES.cut(found, page, lambda one: (one.at, one.decision_id))
    return json_answer({"rows": rows, "next": following})


@router.get("/{decision_id}")
async def read(
    decision_id: str, opened: Opened, actor: CurrentActor, reason: str | None = None
) -> Response:
    """What was asked and answered in one call, for an auditor who says why."""
    nodes_for(actor, Permission.CONTENT_READ)
    if actor.proof == "admin_token":
        raise PermissionDenied("An admin token reads no words: sign in as an auditor.")

    def allow(row: ContentRow) -> None:
        nodes = (
            f"decision:{row.decision_id}",  # whose it is, a refusal does not tell
            f"team:{row.team}",
            f"department:{row.department}",
            f"organisation:{row.organisation}",
            *([] if row.user is None else [f"user:{row.user}"]),
        )
        require(actor, Permission.CONTENT_READ, nodes)

    content = await opened.content.read(decision_id, actor, reason, allow)
    return json_answer(content, headers=_UNCACHED)
