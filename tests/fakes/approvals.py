"""What processes read of approvals, laid ready by the test."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from llm_core.errors import PolicyUnavailable
from llm_core.policy.approvals import ApprovalGrant
from llm_core.policy.caller import Caller
from policy_service.ports.approvals import (
    ApprovalNotice,
    Approvals,
    OpenRequest,
    Standing,
)
from policy_service.services.changes import Changes
from policy_service.services.known_approvals import KnownApprovals
from tests.fakes.changes import QuietLog


@dataclass
class FakeApprovals:
    """The reading half of `Approvals`, and the notices."""

    now: Standing = field(default_factory=Standing)
    notices: list[ApprovalNotice] = field(default_factory=list)
    told_of: list[ApprovalNotice] = field(default_factory=list)
    over: int = 0
    is_down: bool = False
    was_read: asyncio.Event = field(default_factory=asyncio.Event)

    async def standing(self) -> Standing:
        """What the test laid ready."""
        self.was_read.set()
        if self.is_down:
            raise PolicyUnavailable("The database is down.")
        return self.now

    async def expire(self, most: int) -> int:
        """As many as the test says, once."""
        ended, self.over = self.over, 0
        return ended

    async def note(self, remind_before: datetime, ending_before: datetime) -> None:
        """Nothing becomes due here."""

    async def claim(self, most: int, again_before: datetime) -> Sequence[ApprovalNotice]:
        """Those that nobody was told of."""
        return [one for one in self.notices if one not in self.told_of]

    async def told(self, notice: ApprovalNotice) -> None:
        """Remember it."""
        self.told_of.append(notice)

    def as_port(self) -> Approvals:
        """For who asks for no more than this half."""
        return cast(Approvals, self)


class StandingApprovals(KnownApprovals):
    """Grants and open requests that are known without reading."""

    def __init__(
        self, grants: Sequence[ApprovalGrant] = (), waiting: Sequence[OpenRequest] = ()
    ) -> None:
        super().__init__(FakeApprovals().as_port(), Changes(QuietLog()))
        self.grants = tuple(grants)
        self.requests = tuple(waiting)

    def of(self, caller: Caller, now: datetime) -> tuple[ApprovalGrant, ...]:
        """All of them."""
        return self.grants

    def waiting(self, caller: Caller, model: str) -> OpenRequest | None:
        """The first for the model."""
        return next((one for one in self.requests if model in one.models), None)
