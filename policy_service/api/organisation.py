"""The organisation in the admin API: its parts, the whole company, and the audit log."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from llm_core.errors import MalformedRequest, NotServed, PermissionDenied
from llm_core.policy.roles import PLATFORM, Actor, Permission, Role, may
from policy_service.api.admins import (
    CurrentActor,
    nodes_for,
    require,
    require_grantable,
    require_other,
)
from policy_service.api.etags import IfMatch, etag_of
from policy_service.api.idempotency import AdminRoute
from policy_service.api.paging import MOST_SEQ, AskedLongPage, AskedPage, Pages
from policy_service.api.wire import Opened, json_answer, read_json
from policy_service.ports.organisation import OrganisationError
from policy_service.resources import Resources

router = APIRouter(prefix="/admin/v1", route_class=AdminRoute)
_WHOLE_COMPANY = (
    Permission.ORGANISATION_WRITE,
    Permission.LIMITS_WRITE,
    Permission.KEYS_WRITE,
    Permission.ROLES_GRANT,
)
_ABOVE = ("project", "team", "department", "organisation")
_TOP = "organisation"
_PARTS = Pages("organisation", tuple[str])
_ENTRIES = Pages("audit", tuple[int])
_IDENTITY = {"email": None, "subject": None, "is_active": True}
"""By what somebody is known, and what it is when nobody says."""


@contextmanager
def told_faults() -> Iterator[None]:
    """What cannot be is the caller's to mend, and told in words."""
    try:
        yield
    except OrganisationError as fault:
        raise MalformedRequest(f"{fault}.") from fault


# --- the whole company ---------------------------------------------------------------------------


@router.get("/organisation/company")
async def export(opened: Opened, actor: CurrentActor, organisation: str | None = None) -> Response:
    """The company's file as JSON; `PUT` takes it back. There are no secrets in it."""
    nodes = nodes_for(actor, Permission.ORGANISATION_READ)
    if nodes is not None:
        organisation = organisation or _only_organisation(nodes)
    path = () if organisation is None else (f"organisation:{organisation}",)
    # Before anybody looks: who may not see a company is not told whether it is there.
    for permission in (Permission.ORGANISATION_READ, Permission.KEYS_READ):
        require(actor, permission, path)
    with told_faults():
        document = await opened.companies.export(organisation)
    if not may(actor.grants, Permission.ROLES_GRANT, ()):
        document.pop("platform_roles", None)
    return json_answer(document)


def _only_organisation(nodes: frozenset[str]) -> str:
    found = [name for kind, _, name in (one.partition(":") for one in nodes) if kind == _TOP]
    if not found:
        raise PermissionDenied("A company is exported whole: your roles are on parts of one only.")
    if len(found) > 1:
        raise MalformedRequest("Say which organisation is meant.", param=_TOP)
    return found[0]


@router.put("/organisation/company")
async def apply(
    request: Request,
    opened: Opened,
    actor: CurrentActor,
    prune: bool = False,
    dry_run: bool = False,
) -> Response:
    """Make the company what the body says, all of it or nothing.

    The texts of new keys are in this answer and nowhere else. `left_alone` is what the body does
    not name and only `prune` takes away.
    """
    document = await read_json(request, dict[str, Any])
    organisation = document.get("id")
    subject = f"organisation:{organisation}"
    path = (subject,) if await opened.administration.find(subject) is not None else ()
    for permission in _WHOLE_COMPANY:
        require(actor, permission, path)
    if document.get("platform_roles") is not None:
        require(actor, Permission.ROLES_GRANT, ())
    require_other(actor, _roles_in(document))
    with told_faults():
        if not may(actor.grants, Permission.ROLES_GRANT, ()):
            # Who is given another address, or goes, may hold more than whoever wants that.
            planned = await opened.companies.apply(document, actor, prune=prune, dry_run=True)
            for change in planned.changes:
                if change.before is not None and _is_known_anew(change.before, change.after or {}):
                    await _require_their_roles(opened, actor, change.subject)
        applied = await opened.companies.apply(document, actor, prune=prune, dry_run=dry_run)
    if applied.changes and not dry_run:
        await opened.changes.announce()
    return json_answer(applied, headers={"cache-control": "no-store"})


def _roles_in(part: object, user: object = None) -> Iterator[tuple[Role, str]]:
    """Every role that a company's document gives to a user; those of a user's own entry too."""
    if isinstance(part, dict):
        role = part.get("role")
        if isinstance(role, str) and role in set(Role):
            yield Role(role), f"user:{part.get('user', user)}"
        for inner in part.values():
            yield from _roles_in(inner, part.get("id"))
    elif isinstance(part, list):
        for inner in part:
            yield from _roles_in(inner, user)


# --- one part ------------------------------------------------------------------------------------


@router.get("/organisation")
async def parts(
    opened: Opened, actor: CurrentActor, page: AskedLongPage, organisation: str | None = None
) -> Response:
    """Every part that you may see: units, people, groups, consumers, roles; by subject."""
    within = nodes_for(actor, Permission.ORGANISATION_READ)
    found = await opened.administration.parts(organisation, within=within)
    shown, following = _PARTS.page_of(found, page, lambda one: (one[0],))
    rows = [{"subject": subject, "record": record} for subject, record in shown]
    return json_answer({"rows": rows, "next": following})


@router.get("/organisation/parts/{subject:path}")
async def part(subject: str, opened: Opened, actor: CurrentActor) -> Response:
    """One part, such as `team:search`."""
    record = await opened.administration.find(subject)
    if record is None:
        nodes_for(actor, Permission.ORGANISATION_READ)
        raise NotServed(f"There is no `{subject[:200]}`.")
    path = await opened.administration.path_of(subject)
    require(actor, Permission.ORGANISATION_READ, path)
    headers = {"etag": etag_of(record)}
    return json_answer({"subject": subject, "record": record, "path": path}, headers=headers)


@router.put("/organisation/parts/{subject:path}")
async def put(
    subject: str, request: Request, opened: Opened, actor: CurrentActor, match: IfMatch
) -> Response:
    """Make one part, or change it to what the body says; fields left out have their defaults."""
    record = await read_json(request, dict[str, Any])
    with told_faults():
        await _require_write(opened, actor, subject, record)
        change = await opened.administration.put(subject, record, actor, check=match.check(dict))
    if change is not None:
        await opened.changes.announce()
    return json_answer({"change": change})


@router.delete("/organisation/parts/{subject:path}")
async def remove(subject: str, opened: Opened, actor: CurrentActor, match: IfMatch) -> Response:
    """Take one part away with everything below it. Its keys are revoked, its usage stays."""
    with told_faults():
        path = await opened.administration.path_of(subject)
        require(actor, Permission.ORGANISATION_WRITE, path)
        await _require_their_roles(opened, actor, subject)
        changes = await opened.administration.remove(subject, actor, check=match.check(dict))
    await opened.changes.announce()
    return json_answer({"changes": changes})


async def _require_write(
    opened: Resources, actor: Actor, subject: str, record: dict[str, Any]
) -> None:
    """Ask for the permission where the part is, and where it is to be."""
    before = await opened.administration.find(subject)
    if before is not None:
        path = await opened.administration.path_of(subject)
        require(actor, Permission.ORGANISATION_WRITE, path)
        if _is_known_anew(before, record):
            await _require_their_roles(opened, actor, subject)
    if before is None or _above(before) != _above(record):
        above = _above(record)
        place = () if above is None else await opened.administration.path_of(above)
        require(actor, Permission.ORGANISATION_WRITE, place)


def _is_known_anew(before: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether somebody is known by something else from now on; an empty record is nobody."""
    told = record or dict.fromkeys(_IDENTITY, "")
    return any(
        before[field] != told.get(field, usual)
        for field, usual in _IDENTITY.items()
        if field in before
    )


async def _require_their_roles(opened: Resources, actor: Actor, subject: str) -> None:
    """Whoever says by which address somebody is known could become them, roles and all."""
    for grant in await opened.administration.grants_of(subject):
        require_grantable(actor, Permission.ROLES_GRANT, grant, await path_of(opened, grant.node))


async def path_of(opened: Resources, node: str) -> tuple[str, ...]:
    """A node that roles can be given on, and every node above it; none above the platform."""
    return () if node == PLATFORM else await opened.administration.path_of(node)


def _above(record: dict[str, Any]) -> str | None:
    """What a part stands below; `None` for an organisation."""
    return next((f"{one}:{record[one]}" for one in _ABOVE if record.get(one) is not None), None)


# --- who changed what ----------------------------------------------------------------------------


@router.get("/audit")
async def audit(
    *,
    opened: Opened,
    actor: CurrentActor,
    action: str | None = None,
    subject: str | None = None,
    by: Annotated[str | None, Query(description="The actor, such as `user:alice`.")] = None,
    since: datetime | None = None,
    before_seq: Annotated[int | None, Query(ge=1, le=MOST_SEQ, deprecated=True)] = None,
    page: AskedPage,
) -> Response:
    """Who changed what, the newest first.

    A `subject` with a colon at its end stands for every one that begins so: `key:`, `team:`.
    """
    if since is not None and since.tzinfo is None:
        raise MalformedRequest("Write `since` with its zone, for example `...Z`.", param="since")
    nodes = nodes_for(actor, Permission.AUDIT_READ)
    organisations = None if nodes is None else audited_organisations(nodes)
    place = _ENTRIES.after(page) or (before_seq,)
    found = await opened.audit.entries(
        action=action,
        subject=subject,
        actor=by,
        since=since,
        before_seq=place[0],
        organisations=organisations,
        limit=page.wanted,
    )
    rows, following = _ENTRIES.cut(found, page, lambda one: (one.seq,))
    return json_answer({"rows": rows, "next": following})


def audited_organisations(nodes: frozenset[str]) -> frozenset[str]:
    """The audit log is read by organisation: what lies below is not told apart in it.

    Raises:
        PermissionDenied: No node is one.
    """
    kinds = (node.partition(":") for node in nodes)
    found = frozenset(name for kind, _, name in kinds if kind == "organisation")
    if not found:
        raise PermissionDenied(
            "The audit log is read by organisation: your role there is on a part of one only."
        )
    return found
