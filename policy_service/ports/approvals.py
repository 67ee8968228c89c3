"""Requests for approval, the grants that come of them, and who is to be told."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from llm_core.policy.approvals import ApprovalGrant, ApprovalState, Step
from llm_core.policy.limits import Limit
from llm_core.policy.roles import Actor


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for.

    Args:
        model: An alias, or `group:<name>`.
        node: Whom it is to be for: `user:`, `application:`, `project:` or `team:` and an id.
        organisation: Where they stand; as are the next three.
        amount_usd: Most that may be spent; `None` for no cap.
        until: UTC-aware.
        requester: Who asks, as the audit log names them.
        identities: All that they are known by, for four eyes.
    """

    model: str
    node: str
    organisation: str
    department: str
    team: str
    project: str | None
    reason: str
    amount_usd: Decimal | None
    until: datetime
    requester: Actor
    identities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApprovalStep:
    """One step of a request's history.

    Args:
        amount_usd: What was asked or granted with it; `None` for no cap, and for other steps.
    """

    at: datetime
    actor: str
    step: Step
    reason: str
    amount_usd: Decimal | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApprovalRecord:
    """A request, and what became of it. Times are UTC.

    Args:
        node: Whom it is for.
        asked_usd: `null` for no cap.
        answer_by: Nobody having answered by then, it expires.
        granted_usd: With `granted_until`: what was granted, cut or extended.
        spent_usd: What calls that relied on the grant have cost, as far as the ledger has them; 0
            for what was never granted.
        steps: The history, oldest first, where requests are shown.
    """

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
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""
    granted_usd: Decimal | None = None
    granted_until: datetime | None = None
    ended_at: datetime | None = None
    spent_usd: Decimal = Decimal(0)
    steps: tuple[ApprovalStep, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A request that waits for an answer, as a denied caller is told of it."""

    id: str
    node: str
    models: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """All that processes remember of approvals.

    Args:
        grants: Those that hold.
        open: Those that wait for an answer.
    """

    grants: tuple[ApprovalGrant, ...] = ()
    open: tuple[OpenRequest, ...] = ()


class NoticeKind(StrEnum):
    """What people are told of by webhook."""

    REQUESTED = "requested"
    REMINDER = "reminder"
    """Nobody has answered for some hours."""
    ENDING = "ending"
    """A grant is about to end."""


@dataclass(frozen=True, slots=True)
class ApprovalNotice:
    """Somebody is to be told of a request or a grant, once for each kind.

    Args:
        approval: As it was when it was noticed.
        at: When it was noticed, UTC.
    """

    kind: NoticeKind
    approval: ApprovalRecord
    at: datetime


class Approvals(Protocol):
    """Keeps requests and their history; every step is audited in its own transaction.

    All raise `PolicyUnavailable` when the database fails. Steps raise `StepRefused` where the table
    of steps or another's step forbids them, `BadTerms` for terms that cannot be, and
    `PermissionDenied` for who may not decide there.
    """

    async def ask(self, asked: Asked, *, answer_by: datetime) -> tuple[ApprovalRecord, bool]:
        """Ask; or be told of the request of the same requester, node and model that is open.

        Returns:
            The request, and whether it is new.

        Raises:
            BadTerms: The model is a group that does not exist.
        """
        ...

    async def grant(
        self,
        approval_id: str,
        actor: Actor,
        *,
        amount_usd: Decimal | None = None,
        until: datetime | None = None,
        reason: str = "",
    ) -> ApprovalRecord | None:
        """Grant what was asked, or less, or more; `None` when there is no such request."""
        ...

    async def end(
        self, approval_id: str, step: Step, actor: Actor, reason: str
    ) -> ApprovalRecord | None:
        """Refuse, withdraw or revoke; `None` when there is no such request."""
        ...

    async def find(self, approval_id: str) -> ApprovalRecord | None:
        """One request with its history."""
        ...

    async def is_of(self, approval_id: str, actor: Actor) -> bool:
        """Whether the actor, by whatever identity, is the one who asked."""
        ...

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
        """The newest requests first, with their history.

        Args:
            nodes: What stands at or below these; `None` for everything.
            own: And what was asked for by this actor, or under these identities.
            holders: And what is for these nodes.
            state: Only in this state, as of now.
            model: Only for this model.
            team: Only of this team.
            before: Only older than the request of this id.
            most: How many.
        """
        ...

    async def standing(self) -> Standing:
        """What holds now, and what waits for an answer."""
        ...

    async def caps(self) -> tuple[Limit, ...]:
        """The limits of capped grants whose counters may be there."""
        ...

    async def expire(self, most: int) -> int:
        """End what nobody answered and what is over; each once, over all processes."""
        ...

    async def note(self, remind_before: datetime, ending_before: datetime) -> None:
        """Note what people are to be told of, each thing once, over all processes.

        Args:
            remind_before: Requests that were made before then are to be reminded of.
            ending_before: Grants that end before then are about to end.
        """
        ...

    async def claim(self, most: int, again_before: datetime) -> Sequence[ApprovalNotice]:
        """Notices that nobody was told of, for this process to tell: nobody else gets them.

        Args:
            most: How many.
            again_before: What was claimed before then and not told is given out once more.
        """
        ...

    async def told(self, notice: ApprovalNotice) -> None:
        """Note that somebody was told."""
        ...


class ApprovalTeller(Protocol):
    """Tells somebody of a request or a grant."""

    async def tell_of_approval(self, notice: ApprovalNotice) -> bool:
        """Whether it was taken; never raises."""
        ...
