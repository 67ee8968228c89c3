"""Incidents and the channels that tell of them.

What is about a part of the organisation is for whoever may read its usage. What is about the
platform, such as a provider that is down, is for whoever may read the audit log or the organisation
of a whole organisation, or of the platform.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Response

from llm_core.alerts.incident import Incident
from llm_core.errors import NotDelivered, PermissionDenied
from llm_core.policy.roles import PLATFORM, Actor, Permission, granted_on
from policy_service.api.admins import CurrentActor, nodes_for, require
from policy_service.api.idempotency import AdminRoute
from policy_service.api.paging import AskedPage, Pages
from policy_service.api.wire import Opened, json_answer
from policy_service.ports.incidents import ChannelFailed
from policy_service.services.alerting.desk import ShownChannel

router = APIRouter(prefix="/admin/v1", route_class=AdminRoute)
_INCIDENTS = Pages("incidents", tuple[str])
_READS_PLATFORM = (Permission.AUDIT_READ, Permission.ORGANISATION_READ)


@dataclass(frozen=True, slots=True)
class ListedIncidents:
    """Some incidents; `next` is the cursor of the next page, null on the last."""

    rows: Sequence[Incident]
    next: str | None


@dataclass(frozen=True, slots=True)
class ListedChannels:
    """Every channel."""

    rows: list[ShownChannel]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a test."""

    delivered: bool


@router.get("/incidents")
async def incidents(
    opened: Opened,
    actor: CurrentActor,
    *,
    state: Literal["open", "all"] = "open",
    page: AskedPage,
) -> Response:
    """Incidents that you may see, the newest first."""
    sees_platform = _sees_platform(actor)
    nodes: Iterable[str] | None
    if sees_platform and not granted_on(actor.grants, Permission.USAGE_READ):
        nodes = ()
    else:
        nodes = nodes_for(actor, Permission.USAGE_READ)
    after = _INCIDENTS.after(page)
    found = await opened.alerting.incidents.listed(
        is_open=state == "open",
        nodes=None if nodes is None else frozenset(nodes),
        sees_platform=sees_platform,
        before=None if after is None else after[0],
        most=page.wanted,
    )
    rows, following = _INCIDENTS.cut(found, page, lambda one: (one.id,))
    return json_answer(ListedIncidents(rows, following))


@router.get("/alerts/channels")
async def channels(opened: Opened, actor: CurrentActor) -> Response:
    """Where people are told of what, and how much waits; no addresses."""
    if not _sees_platform(actor):
        raise PermissionDenied(
            "Channels are for whoever may read the audit log, or a whole organisation."
        )
    return json_answer(ListedChannels(list(await opened.alerting.shown_channels())))


@router.post("/alerts/channels/{name}/test")
async def test_channel(name: str, opened: Opened, actor: CurrentActor) -> Response:
    """Send a test message to a channel, now."""
    require(actor, Permission.ORGANISATION_WRITE, ())
    try:
        await opened.alerting.test(name)
    except ChannelFailed as fault:
        raise NotDelivered(f"The channel `{name}` failed: {fault}.") from fault
    return json_answer(Delivered(delivered=True))


def _sees_platform(actor: Actor) -> bool:
    nodes = {node for one in _READS_PLATFORM for node in granted_on(actor.grants, one)}
    return any(node == PLATFORM or node.startswith("organisation:") for node in nodes)
