"""API keys in the admin API."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from llm_core.errors import MalformedRequest, NotServed
from llm_core.operation import Operation
from llm_core.policy.limits import Measure, Priority
from llm_core.policy.roles import Actor, Permission
from policy_service.api.admins import CurrentActor, nodes_for, require
from policy_service.api.etags import IfMatch, etag_of
from policy_service.api.idempotency import AdminRoute
from policy_service.api.paging import AskedPage, Pages
from policy_service.api.wire import Opened, json_answer, read_json
from policy_service.ports.keys import IssuedKey, KeyRecord, Scopes
from policy_service.ports.organisation import Holder, OrganisationError
from policy_service.resources import Resources

router = APIRouter(prefix="/admin/v1/keys", route_class=AdminRoute)
_DAY_S = 86_400
_PAGES = Pages("keys", tuple[str])


@dataclass(frozen=True, slots=True)
class NewKey:
    """The body of `POST /admin/v1/keys`; see `ports.organisation.Holder` and `ports.keys.Scopes`.

    Args:
        limits: Of the key itself, by measure.
    """

    name: str
    team: str
    project: str | None = None
    user: str | None = None
    application: str | None = None
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    clearance: str | None = None
    allowed_models: tuple[str, ...] | None = None
    operations: tuple[Operation, ...] = ()
    networks: tuple[str, ...] = ()
    priority: Priority = Priority.INTERACTIVE
    expires_at: datetime | None = None
    limits: dict[Measure, Decimal] = field(default_factory=dict)

    @property
    def holder(self) -> Holder:
        """Whom it stands for."""
        return Holder(
            team=self.team,
            project=self.project,
            user=self.user,
            application=self.application,
            roles=self.roles,
            groups=self.groups,
            clearance=self.clearance,
            allowed_models=self.allowed_models,
        )


@dataclass(frozen=True, slots=True)
class Rotation:
    """The body of `POST /admin/v1/keys/{id}/rotate`.

    Args:
        overlap_s: For how long the text that the key had stays good.
        expires_at: When the key ends; by default the new text lives as long as the one before was
            to.
    """

    overlap_s: float = _DAY_S
    expires_at: datetime | None = None


@router.get("")
async def list_keys(
    opened: Opened,
    actor: CurrentActor,
    page: AskedPage,
    team: str | None = None,
    after: Annotated[str | None, Query(deprecated=True, description="A page's last id.")] = None,
) -> Response:
    """Keys that you may see, in the order of issue."""
    within = nodes_for(actor, Permission.KEYS_READ)
    place = _PAGES.after(page) or (after,)
    found = await opened.keys.list_keys(team=team, within=within, after=place[0], most=page.wanted)
    rows, following = _PAGES.cut(found, page, lambda key: (key.id,))
    return json_answer({"rows": [_shown(key, opened) for key in rows], "next": following})


@router.get("/{key_id}")
async def show_key(key_id: str, opened: Opened, actor: CurrentActor) -> Response:
    """One key: everything but the key."""
    known = await _known(opened, actor, key_id, Permission.KEYS_READ)
    headers = {"etag": etag_of(_tagged(known, opened))}
    return json_answer(_shown(known, opened), headers=headers)


@router.post("")
async def issue_key(request: Request, opened: Opened, actor: CurrentActor) -> Response:
    """Issue a key. Its text is in this answer and nowhere else."""
    asked = await read_json(request, NewKey)
    _require_zone(asked.expires_at)
    try:
        await _require_giving(opened, actor, asked.holder)
        issued = await opened.keys.issue_key(
            asked.name,
            asked.holder,
            scopes=Scopes(asked.operations, asked.networks, asked.priority),
            expires_at=asked.expires_at,
            limits=asked.limits,
            actor=actor,
        )
    except OrganisationError as fault:
        raise MalformedRequest(f"{fault}.") from fault
    return await _answer_with(issued, opened)


@router.post("/{key_id}/rotate")
async def rotate_key(
    key_id: str, request: Request, opened: Opened, actor: CurrentActor, match: IfMatch
) -> Response:
    """Give a key a new text; the one that it had is good for a while yet.

    `ended_prefix` is of a still older one, which this has ended before its time.
    """
    asked = await read_json(request, Rotation) if await request.body() else Rotation()
    _require_zone(asked.expires_at)
    known = await _known(opened, actor, key_id, Permission.KEYS_WRITE)
    try:
        await _require_giving(opened, actor, known.holder)
        issued = await opened.keys.rotate_key(
            key_id,
            overlap=timedelta(seconds=asked.overlap_s),
            expires_at=asked.expires_at,
            actor=actor,
            check=match.check(partial(_tagged, opened=opened)),
        )
    except (OrganisationError, OverflowError) as fault:
        raise MalformedRequest(f"{fault}.") from fault
    return await _answer_with(issued, opened, {"ended_prefix": issued.ended_prefix})


@router.delete("/{key_id}")
async def revoke_key(key_id: str, opened: Opened, actor: CurrentActor, match: IfMatch) -> Response:
    """Revoke a key: within a second it is refused everywhere."""
    await _known(opened, actor, key_id, Permission.KEYS_WRITE)
    check = match.check(partial(_tagged, opened=opened))
    if not await opened.keys.revoke_key(key_id, actor=actor, check=check):
        raise NotServed(f"The key {key_id!r} is revoked already.")
    await opened.changes.announce()
    return json_answer(_shown(await _known(opened, actor, key_id, Permission.KEYS_READ), opened))


async def _known(opened: Resources, actor: Actor, key_id: str, permission: Permission) -> KeyRecord:
    """The key, if it is there and the actor may: who may see no key learns nothing of ids."""
    nodes_for(actor, permission)
    found = await opened.keys.find(key_id)
    if found is None:
        raise NotServed(f"There is no key {key_id[:60]!r}.")
    # Whose key it is, a refusal does not tell.
    require(actor, permission, (f"key:{key_id}", *found.path))
    return found


async def _require_giving(opened: Resources, actor: Actor, holder: Holder) -> None:
    """Ask for what it takes to hand out a key of that holder.

    Raises:
        PermissionDenied: They may not.
        OrganisationError: See `Keys.path_of`.
    """
    path = await opened.keys.path_of(holder)
    require(actor, Permission.KEYS_WRITE, path)
    # Policy lets calls through by these: they are not a team owner's to give.
    is_policys = bool(holder.roles or holder.groups or holder.clearance)
    for kind, name in (("user", holder.user), ("application", holder.application)):
        record = None if name is None else await opened.administration.find(f"{kind}:{name}")
        if record is not None:
            whose = await opened.administration.path_of(f"{kind}:{name}")
            require(actor, Permission.KEYS_WRITE, whose)
            is_policys |= record.get("clearance") is not None
    if is_policys or (holder.allowed_models and not await _is_any_allowed(opened, path)):
        require(actor, Permission.ORGANISATION_WRITE, path)


async def _is_any_allowed(opened: Resources, path: Iterable[str]) -> bool:
    """Whether a node says which models may be used; else a key's own word would be the first."""
    for node in path:
        record = await opened.administration.find(node) or {}
        if record.get("allowed_models") is not None:
            return True
    return False


async def _answer_with(
    issued: IssuedKey, opened: Resources, more: Mapping[str, Any] = MappingProxyType({})
) -> Response:
    await opened.changes.announce()
    headers = {
        "cache-control": "no-store",
        "etag": etag_of(_tagged(issued.record, opened)),
        "location": f"{router.prefix}/{issued.record.id}",
    }
    body = {**_shown(issued.record, opened), **more, "key": issued.text}
    return json_answer(body, HTTPStatus.CREATED, headers)


def _shown(record: KeyRecord, opened: Resources) -> dict[str, Any]:
    return {**_tagged(record, opened), "last_used_at": record.last_used_at}


def _tagged(record: KeyRecord, opened: Resources) -> dict[str, Any]:
    """What a key's ETag is of: that it was used is no change."""
    return {**record.shown(), "state": record.state(opened.clock()).value}


def _require_zone(moment: datetime | None) -> None:
    if moment is not None and moment.tzinfo is None:
        raise MalformedRequest("Write `expires_at` with its zone, for example 2027-01-31T00:00Z.")
