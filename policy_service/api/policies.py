"""Policies: what administrators do with them, and what OPA servers fetch."""

import hmac
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPBearer

from llm_core.errors import InvalidKey, MalformedRequest, NotServed
from llm_core.policy.roles import Actor, Permission
from policy_service.api.admins import CurrentActor, nodes_for, require
from policy_service.api.etags import IfMatch, etag_of
from policy_service.api.idempotency import AdminRoute
from policy_service.api.paging import AskedLongPage, Pages
from policy_service.api.wire import Opened, bearer, json_answer, read_body, read_json
from policy_service.ports.policies import (
    MOST_TARBALL_BYTES,
    ActivationRecord,
    BundleRecord,
    PolicyRefused,
    Standing,
)
from policy_service.resources import Resources

T = TypeVar("T")
router = APIRouter(route_class=AdminRoute)
_BUNDLES = Pages("policies", tuple[datetime, str])
_PLACE = "/admin/v1/policies"
_GZIP = "application/gzip"
_described = HTTPBearer(
    scheme_name="bundle_token",
    description="For OPA servers: POLICY_BUNDLE_TOKEN.",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class Reason:
    """The body of a rollback, and of an activation.

    Args:
        bundle: Digest, its beginning, or revision; an activation needs it.
    """

    reason: str
    bundle: str = ""


@dataclass(frozen=True, slots=True)
class WantedShadow:
    """The body of `PUT /admin/v1/policies/shadow`; no bundle, no shadow."""

    bundle: str | None = None


@dataclass(frozen=True, slots=True)
class ListedPolicies:
    """Bundles, the newest first; what is live and what is shadow, and all that was live when."""

    rows: Sequence[BundleRecord]
    standing: Standing
    history: tuple[ActivationRecord, ...]
    next: str | None


@router.get(_PLACE)
async def list_policies(opened: Opened, actor: CurrentActor, page: AskedLongPage) -> Response:
    """What was uploaded, what is live, and since when."""
    nodes_for(actor, Permission.POLICY_READ)
    desk = opened.policies
    rows, following = _BUNDLES.page_of(
        await desk.bundles(), page, lambda one: (one.uploaded_at, one.digest), newest_first=True
    )
    found = ListedPolicies(rows, await desk.standing(), await desk.history(), following)
    return json_answer(found, headers={"etag": etag_of(_tagged(found.standing))})


@router.post(_PLACE)
async def upload(request: Request, opened: Opened, actor: CurrentActor) -> Response:
    """Keep a signed bundle: the body is its tarball. Refused unless it compiles and passes."""
    await _require_write(opened, actor)
    made = await _told(opened.policies.upload(actor, await read_body(request, MOST_TARBALL_BYTES)))
    return json_answer(made, HTTPStatus.CREATED)


@router.post(f"{_PLACE}/activate")
async def activate(
    request: Request, opened: Opened, actor: CurrentActor, match: IfMatch
) -> Response:
    """Make a bundle live, in every process within a second."""
    await _require_write(opened, actor)
    asked = await read_json(request, Reason)
    check = match.check(_tagged)
    done = await _told(opened.policies.activate(actor, asked.bundle, asked.reason, check=check))
    await opened.changes.announce()
    return json_answer(done)


@router.post(f"{_PLACE}/rollback")
async def rollback(
    request: Request, opened: Opened, actor: CurrentActor, match: IfMatch
) -> Response:
    """Make live again what was so before the live one."""
    await _require_write(opened, actor)
    asked = await read_json(request, Reason)
    check = match.check(_tagged)
    done = await _told(opened.policies.rollback(actor, asked.reason, check=check))
    await opened.changes.announce()
    return json_answer(done)


@router.get(f"{_PLACE}/shadow")
async def shadow_report(opened: Opened, actor: CurrentActor) -> Response:
    """What the shadow came to, by hour and team, with examples of where it differs."""
    nodes = nodes_for(actor, Permission.POLICY_READ)
    # Asked first: whoever sends this tag has seen a report of this shadow, or of a later one.
    standing = await opened.policies.standing()
    report = await opened.policies.shadow_report(nodes)
    return json_answer(report, headers={"etag": etag_of(_tagged(standing))})


@router.put(f"{_PLACE}/shadow")
async def shadow(request: Request, opened: Opened, actor: CurrentActor, match: IfMatch) -> Response:
    """Evaluate a bundle beside the live policy from now on, or none."""
    await _require_write(opened, actor)
    asked = await read_json(request, WantedShadow)
    check = match.check(_tagged)
    done = await _told(opened.policies.shadow(actor, asked.bundle, check=check))
    await opened.changes.announce()
    return json_answer(done)


@router.get(f"{_PLACE}/{{bundle}}")
async def show(bundle: str, opened: Opened, actor: CurrentActor) -> Response:
    """One bundle."""
    nodes_for(actor, Permission.POLICY_READ)
    try:
        return json_answer(await opened.policies.find(bundle))
    except PolicyRefused as none:
        raise NotServed(f"{str(none).capitalize()}.") from none


@router.get("/v1/policy/bundles/live.tar.gz", dependencies=[Depends(_described)])
async def live_bundle(request: Request, opened: Opened) -> Response:
    """The live bundle for OPA servers; 304 for who has it already."""
    _require_bundle_token(request, opened)
    signed = opened.policy.signed
    if signed is None:
        raise NotServed("No signed bundle is live: `gatehouse policy activate` makes one so.")
    headers = {"etag": f'"{signed.etag}"', "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(signed.tarball, headers=headers, media_type=_GZIP)


def _tagged(standing: Standing) -> Standing:
    """What the policies' one ETag is of: what is live and what is shadow, and since which change.

    That a bundle was uploaded, and what a shadow has come to, change nothing that is in force.
    """
    return standing


def _require_bundle_token(request: Request, opened: Resources) -> None:
    token = opened.settings.bundle_token
    if token is None or not hmac.compare_digest(
        bearer(request).encode(), token.get_secret_value().encode()
    ):
        raise InvalidKey(
            "This endpoint is for OPA servers: their bearer token must equal the service's "
            "POLICY_BUNDLE_TOKEN."
        )


async def _require_write(opened: Resources, actor: Actor) -> None:
    """Let nobody past who may not do it for every organisation that the policy binds."""
    nodes = nodes_for(actor, Permission.POLICY_WRITE)
    if nodes is not None:
        for organisation in await opened.policies.organisations():
            require(actor, Permission.POLICY_WRITE, (f"organisation:{organisation}",))


async def _told(doing: Awaitable[T]) -> T:
    """What cannot be is the caller's to mend, and told in words."""
    try:
        return await doing
    except PolicyRefused as fault:
        raise MalformedRequest(f"The policy was refused: {fault}.") from fault
