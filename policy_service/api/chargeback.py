"""Chargeback in the admin API: rules, previews, closed months, files, invoices.

Who may read the usage of a part of an organisation sees the lines of that part.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Annotated, TypeVar

import msgspec
from fastapi import APIRouter, Query, Request, Response

from llm_core.chargeback.rules import Currency, Rules, SharedCost
from llm_core.chargeback.statement import Document
from llm_core.errors import Conflict, MalformedRequest, NotServed, PermissionDenied
from llm_core.policy.roles import Actor, Permission
from policy_service.api.admins import CurrentActor, nodes_for, require
from policy_service.api.etags import IfMatch, etag_of
from policy_service.api.idempotency import AdminRoute
from policy_service.api.paging import AskedLongPage, Pages
from policy_service.api.wire import Opened, json_answer, json_of, read_body
from policy_service.ports.chargeback import AlreadyClosed, ChargebackRefused, ClosedMonth
from policy_service.ports.organisation import OrganisationError
from policy_service.resources import Resources
from policy_service.services.chargeback import File, FileFormat, NotOver, exported

T = TypeVar("T")
router = APIRouter(prefix="/admin/v1/chargebacks", route_class=AdminRoute)
MOST_INVOICE_BYTES = 32 * 1024 * 1024
_MOST_BODY_BYTES = 1024 * 1024
_CLOSED = Pages("chargebacks", tuple[str, str])
_Period = Annotated[str, Query(description="A month of the organisation's clocks: `2026-11`.")]


class NewRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /admin/v1/chargebacks/rules`."""

    shared: tuple[SharedCost, ...] = ()
    currency: Currency | None = None
    organisation: str | None = None


class ShownRules(msgspec.Struct, frozen=True):
    """How an organisation charges."""

    organisation: str
    shared: tuple[SharedCost, ...]
    currency: Currency | None


class WantedClosing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /admin/v1/chargebacks`."""

    organisation: str
    period: str


class WantedReconciliation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /admin/v1/chargebacks/reconcile`.

    Args:
        provider: As deployments name it: `openai`, `anthropic`, `azure_openai`, `bedrock` ...
        invoice_csv: The provider's cost export of that month.
        columns: Its heads for `model`, `usd` and `currency`, where they are not guessed.
    """

    organisation: str
    period: str
    provider: str
    invoice_csv: str
    columns: dict[str, str] = {}


class ListedChargebacks(msgspec.Struct, frozen=True):
    """Closed months, the newest first."""

    rows: list[ClosedMonth]
    next: str | None


@router.get("")
async def listed(
    opened: Opened, actor: CurrentActor, page: AskedLongPage, organisation: str | None = None
) -> Response:
    """Closed months, the newest first; totals are of what you may see."""
    if organisation is not None:
        await _seen(opened, actor, organisation)
    organisations = {organisation} if organisation else await _organisations(opened, actor)
    found = await opened.chargebacks.store.listed(
        organisations, most=page.wanted, after=_CLOSED.after(page)
    )
    months, following = _CLOSED.cut(found, page, lambda one: (one.period, one.organisation))
    rows = []
    for row in months:
        nodes = await _seen(opened, actor, row.organisation)
        if nodes is None:
            rows.append(row)
        elif document := await opened.chargebacks.store.find(row.id):
            seen = await opened.chargebacks.with_adjustments(document, nodes)
            rows.append(replace(row, total_usd=seen.statement.total_usd))
    return json_answer(ListedChargebacks(rows, following))


@router.get("/rules")
async def rules(organisation: str, opened: Opened, actor: CurrentActor) -> Response:
    """How an organisation divides shared costs, and in which currency it is shown beside USD."""
    require(actor, Permission.USAGE_READ, (f"organisation:{organisation}",))
    with told_refusals():
        found = await opened.chargebacks.store.rules(organisation)
    return _with_tag(organisation, found)


@router.put("/rules")
async def put_rules(
    organisation: str, request: Request, opened: Opened, actor: CurrentActor, match: IfMatch
) -> Response:
    """Divide shared costs so from now on; closed months stay as they are."""
    require(actor, Permission.CHARGEBACK_CLOSE, (f"organisation:{organisation}",))
    asked = await _read(request, NewRules, _MOST_BODY_BYTES)
    if asked.organisation not in {None, organisation}:
        raise MalformedRequest("The body names another organisation than the address.")
    made = Rules(asked.shared, asked.currency)
    with told_refusals():
        kept = await opened.chargebacks.put_rules(
            actor, organisation, made, check=match.check(partial(_shown, organisation))
        )
    return _with_tag(organisation, kept)


@router.get("/preview")
async def preview(
    organisation: str, period: _Period, opened: Opened, actor: CurrentActor
) -> Response:
    """A month as it would be closed now, as far as your roles reach."""
    found = await _previewed(opened, actor, organisation, period, lines_only=True)
    return json_answer(found.statement)


@router.get("/preview/export")
async def export_preview(
    *,
    organisation: str,
    period: _Period,
    form: Annotated[FileFormat, Query(alias="format")] = FileFormat.CSV,
    opened: Opened,
    actor: CurrentActor,
) -> Response:
    """The same as a file: CSV, an Excel workbook, or FOCUS."""
    return _handed_out(await exported(await _previewed(opened, actor, organisation, period), form))


@router.post("")
async def close(request: Request, opened: Opened, actor: CurrentActor) -> Response:
    """Freeze a month that is over, once; it is audited with it."""
    asked = await _read(request, WantedClosing, _MOST_BODY_BYTES)
    require(actor, Permission.CHARGEBACK_CLOSE, (f"organisation:{asked.organisation}",))
    with told_refusals():
        made = await opened.chargebacks.close(actor, asked.organisation, asked.period)
    return json_answer(made.statement, HTTPStatus.CREATED)


@router.post("/reconcile")
async def reconcile(request: Request, opened: Opened, actor: CurrentActor) -> Response:
    """Compare a provider's cost export of a month with the ledger, by model."""
    asked = await _read(request, WantedReconciliation, MOST_INVOICE_BYTES)
    require(actor, Permission.USAGE_READ, (f"organisation:{asked.organisation}",))
    with told_refusals():
        found = await opened.chargebacks.reconcile(
            asked.organisation, asked.period, asked.provider, asked.invoice_csv, asked.columns
        )
    return json_answer(found)


@router.get("/{chargeback_id}")
async def show(chargeback_id: str, opened: Opened, actor: CurrentActor) -> Response:
    """A closed month as it was closed, as far as your roles reach."""
    return json_answer((await _found(opened, actor, chargeback_id)).statement)


@router.get("/{chargeback_id}/export")
async def export(
    *,
    chargeback_id: str,
    form: Annotated[FileFormat, Query(alias="format")] = FileFormat.CSV,
    opened: Opened,
    actor: CurrentActor,
) -> Response:
    """The same as a file: CSV, an Excel workbook, or FOCUS."""
    return _handed_out(await exported(await _found(opened, actor, chargeback_id), form))


@contextmanager
def told_refusals() -> Iterator[None]:
    """What cannot be is the caller's to mend, and told in words."""
    try:
        yield
    except (AlreadyClosed, NotOver) as fault:
        raise Conflict(f"{str(fault)[:1].upper()}{str(fault)[1:]}.") from fault
    except ChargebackRefused as fault:
        raise MalformedRequest(f"{str(fault)[:1].upper()}{str(fault)[1:]}.") from fault


def _shown(organisation: str, rules: Rules) -> ShownRules:
    return ShownRules(organisation, rules.shared, rules.currency)


def _with_tag(organisation: str, rules: Rules) -> Response:
    shown = _shown(organisation, rules)
    return json_answer(shown, headers={"etag": etag_of(shown)})


async def _previewed(
    opened: Resources, actor: Actor, organisation: str, period: str, *, lines_only: bool = False
) -> Document:
    nodes = await _seen(opened, actor, organisation)
    with told_refusals():
        return await opened.chargebacks.preview(organisation, period, nodes, lines_only=lines_only)


async def _found(opened: Resources, actor: Actor, chargeback_id: str) -> Document:
    """A closed month; for who sees nothing of its organisation it is not there."""
    nodes_for(actor, Permission.USAGE_READ)
    document = await opened.chargebacks.store.find(chargeback_id)
    try:
        if document is not None:
            nodes = await _seen(opened, actor, document.statement.organisation)
            return await opened.chargebacks.with_adjustments(document, nodes)
    except PermissionDenied:
        pass
    raise NotServed("There is no closed month of that id, or none that you may see.")


async def _seen(opened: Resources, actor: Actor, organisation: str) -> frozenset[str] | None:
    """The actor's nodes in an organisation; `None`: they see the whole of it.

    Raises:
        PermissionDenied: They have none there.
    """
    whole = f"organisation:{organisation}"
    nodes = nodes_for(actor, Permission.USAGE_READ)
    if nodes is None or whole in nodes:
        return None
    theirs = frozenset([node for node in nodes if whole in await _path(opened, node)])
    if not theirs:
        raise PermissionDenied(f"None of your roles permits `usage.read` on `{whole}` or below.")
    return theirs


async def _organisations(opened: Resources, actor: Actor) -> frozenset[str] | None:
    nodes = nodes_for(actor, Permission.USAGE_READ)
    if nodes is None:
        return None
    paths = [(node, *await _path(opened, node)) for node in nodes]
    above = {one for path in paths for one in path if one.startswith("organisation:")}
    return frozenset(one.partition(":")[2] for one in above)


async def _path(opened: Resources, node: str) -> tuple[str, ...]:
    try:
        return await opened.administration.path_of(node)
    except OrganisationError:
        return ()


async def _read(request: Request, kind: type[T], most: int) -> T:
    return json_of(await read_body(request, most), kind)


def _handed_out(file: File) -> Response:
    headers = {"content-disposition": f'attachment; filename="{file.name}"'}
    return Response(file.content, media_type=file.media_type, headers=headers)
