"""Asking for an approval: with nothing but a key, or as somebody who is signed in."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from llm_core.catalogue import Catalogue
from llm_core.chat.encoding import TOO_DEEP
from llm_core.errors import (
    BodyTooLarge,
    Conflict,
    MalformedRequest,
    NotServed,
    PermissionDenied,
)
from llm_core.nesting import is_too_deep
from llm_core.operation import Operation
from llm_core.policy.approvals import (
    HOLDER_KINDS,
    ApprovalState,
    BadTerms,
    Step,
    StepFault,
    StepRefused,
    holders,
    terms_of,
)
from llm_core.policy.caller import Caller
from llm_core.policy.decision import DecisionRequest
from llm_core.policy.roles import Actor
from policy_service.ports.approvals import ApprovalRecord, Approvals, ApprovalStep, Asked
from policy_service.ports.clock import Clock

MAX_BODY_BYTES = 16 * 1024
_GROUP = "group:"
_MOST_SHOWN = 100


class Wanted(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"node": "for"}
):
    """The body of a request for approval.

    Args:
        model: An alias, or `group:<name>`.
        reason: Why; approvers and the audit log read it.
        amount_usd: Most that may be spent in all; left out: no cap of its own.
        until: With a zone; left out: a week from now.
        node: `for` in JSON: whom it is for.
    """

    model: str
    reason: str
    amount_usd: Decimal | None = None
    until: datetime | None = None
    node: str | None = None


class Withdrawal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body that takes a request back.

    Args:
        withdraw: The request's id.
    """

    withdraw: str
    reason: str = ""


class ShownApproval(msgspec.Struct, frozen=True, kw_only=True, rename={"node": "for"}):
    """A request as the APIs and the webhook show it: `ApprovalRecord`, but for one name.

    Args:
        node: `for` in JSON: whom it is for.
    """

    object: str = "gatehouse.approval"
    id: str
    state: ApprovalState
    model: str
    node: str
    organisation: str
    department: str
    team: str
    project: str | None
    requester: str
    reason: str
    asked_usd: Decimal | None
    asked_until: datetime
    created_at: datetime
    answer_by: datetime
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str
    granted_usd: Decimal | None
    granted_until: datetime | None
    ended_at: datetime | None
    spent_usd: Decimal
    steps: tuple[ApprovalStep, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody stands who asks.

    Args:
        nodes: Those that an approval may be for, the usual one first.
    """

    organisation: str
    department: str
    team: str
    project: str | None
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApprovalDesk:
    """Takes requests.

    Args:
        answer_within: How long a request waits for its answer before it expires.
        announce: Tells all processes that something was changed.
    """

    store: Approvals
    catalogue: Catalogue
    clock: Clock
    answer_within: timedelta
    announce: Callable[[], Awaitable[None]]

    async def answer(self, request: DecisionRequest) -> dict[str, Any]:
        """Answer a caller, by the operation that it asks for; raises as the two below."""
        if request.call.operation is Operation.APPROVALS:
            return await self.mine(request.caller)
        return await self.ask_as_caller(request.caller, request.body)

    async def ask_as_caller(self, caller: Caller, body: bytes) -> dict[str, Any]:
        """Answer `POST /v1/approvals`, which takes a request, or takes one back.

        Raises:
            MalformedRequest: The body is no request.
            BodyTooLarge: It is longer than anybody's reason.
            UnknownModel: No such model is configured.
            PermissionDenied: Nobody can tell who asks.
            NotServed: They have no such request.
            Conflict: It has been answered.
            PolicyUnavailable: The database cannot be asked.
        """
        identities = identities_of(caller)
        if not identities:
            raise PermissionDenied(
                "Nobody can tell who asks, so that somebody else could decide: ask with a key, or "
                "as a user."
            )
        actor = Actor(identities[0], caller.proof.value)
        asked = wanted_in(body)
        if isinstance(asked, Withdrawal):
            return await self._take_back(actor, asked)
        place = Place(
            caller.organisation,
            caller.department,
            caller.team,
            caller.project,
            holders(caller),
        )
        record, is_new = await self.ask(actor, identities, place, asked)
        return shown(record) | {"is_new": is_new}

    async def ask(
        self, actor: Actor, identities: tuple[str, ...], place: Place, wanted: Wanted
    ) -> tuple[ApprovalRecord, bool]:
        """Ask, or be told of the same request that is open; whether it is new.

        Args:
            actor: Who asks.
            identities: All that they are known by.
            place: Where they stand.
            wanted: What they want.

        Raises:
            MalformedRequest: The terms make no sense, or it is for somebody else.
            UnknownModel: No such model is configured.
        """
        if not wanted.model.startswith(_GROUP):
            self.catalogue.model(wanted.model)
        node = wanted.node or place.nodes[0]
        if node not in place.nodes:
            kinds = ", ".join(place.nodes)
            raise MalformedRequest(f"An approval of yours is for one of {kinds}.", param="for")
        now = self.clock()
        with told_refusals():
            terms = terms_of(wanted.amount_usd, wanted.until, now)
            record, is_new = await self.store.ask(
                Asked(
                    model=wanted.model,
                    node=node,
                    organisation=place.organisation,
                    department=place.department,
                    team=place.team,
                    project=place.project,
                    reason=wanted.reason,
                    amount_usd=terms.amount_usd,
                    until=terms.until,
                    requester=actor,
                    identities=identities,
                ),
                answer_by=now + self.answer_within,
            )
        if is_new:
            await self.announce()
        return record, is_new

    async def _take_back(self, actor: Actor, asked: Withdrawal) -> dict[str, Any]:
        if not await self.store.is_of(asked.withdraw, actor):
            raise NotServed("You have no request of that id.")
        with told_refusals():
            record = await self.store.end(asked.withdraw, Step.WITHDRAW, actor, asked.reason)
        if record is None:
            raise NotServed("You have no request of that id.")
        await self.announce()
        return shown(record) | {"is_new": False}

    async def mine(self, caller: Caller) -> dict[str, Any]:
        """Answer `GET /v1/approvals`: what the caller asked for, and what is for it."""
        found = await self.store.listed(
            nodes=(),
            own=identities_of(caller),
            holders=holders(caller),
            most=_MOST_SHOWN,
        )
        return {"object": "list", "data": [shown(one) for one in found]}


@contextmanager
def told_refusals() -> Iterator[None]:
    """What a step cannot do becomes the error that says why."""
    try:
        yield
    except StepRefused as refused:
        if refused.fault is StepFault.NOT_NOW:
            raise Conflict(str(refused)) from refused
        raise PermissionDenied(str(refused)) from refused
    except BadTerms as fault:
        raise MalformedRequest(str(fault), param=fault.field) from fault


def wanted_in(body: bytes) -> Wanted | Withdrawal:
    """Read a request's body.

    Raises:
        MalformedRequest: It is none; the message says where.
        BodyTooLarge: It is too long.
    """
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"A request for approval has {MAX_BODY_BYTES} bytes at most.")
    if is_too_deep(body):
        raise MalformedRequest(TOO_DEEP)
    try:
        given = msgspec.json.decode(body)
        if isinstance(given, dict) and "withdraw" in given:
            return msgspec.convert(given, Withdrawal)
        return msgspec.json.decode(body, type=Wanted)  # anew: floats are no amounts
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise MalformedRequest(
            f"The body is no request for approval: {fault}. It takes `model` and `reason`, and may "
            "have `amount_usd`, `until` and `for`; or `withdraw`, the id of a request of yours."
        ) from fault


def identities_of(caller: Caller) -> tuple[str, ...]:
    """All that a caller is known by, the name that the audit log has first."""
    named = {"user": caller.user, "application": caller.application, "key": caller.key_id}
    return tuple(f"{kind}:{name}" for kind, name in named.items() if name)


def shown(record: ApprovalRecord) -> dict[str, Any]:
    """A request as JSON's types: money as text, times as RFC 3339."""
    told = ShownApproval(**{field.name: getattr(record, field.name) for field in fields(record)})
    answer: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(told))
    return answer


def may_be_for(nodes: tuple[str, ...]) -> tuple[str, ...]:
    """Of a path upwards, the nodes that an approval can be for."""
    return tuple(node for node in nodes if node.partition(":")[0] in HOLDER_KINDS)
