"""Ends what is over, and tells people of requests and grants: once, over all processes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from llm_core.policy.approvals import ApprovalState
from policy_service.ports.approvals import (
    ApprovalNotice,
    Approvals,
    ApprovalTeller,
    NoticeKind,
)
from policy_service.ports.clock import Clock
from policy_service.services.background import for_ever

_log = logging.getLogger(__name__)
_INTERVAL_S = 1.0
_AT_ONCE = 20
_TELL_AGAIN = timedelta(seconds=30)
_STILL = {
    NoticeKind.REQUESTED: ApprovalState.REQUESTED,
    NoticeKind.REMINDER: ApprovalState.REQUESTED,
    NoticeKind.ENDING: ApprovalState.GRANTED,
}
"""What must still be so for a notice to be news."""


@dataclass(frozen=True, slots=True)
class ApprovalNotices:
    """Watches requests and grants.

    Args:
        remind_after: A request that nobody has answered for so long is reminded of.
        lead: So long before its end a grant is told to end.
        announce: Tells all processes that something was changed.
        teller: Told beside the log; `None`: nobody.
    """

    store: Approvals
    clock: Clock
    remind_after: timedelta
    lead: timedelta
    announce: Callable[[], Awaitable[None]]
    teller: ApprovalTeller | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        await for_ever("approvals' notices", self._step_and_wait)

    async def step(self) -> None:
        """Look once.

        Raises:
            PolicyUnavailable: The database is away; the next look does what this one did not.
        """
        if await self.store.expire(_AT_ONCE):
            await self.announce()
        now = self.clock()
        await self.store.note(now - self.remind_after, now + self.lead)
        for notice in await self.store.claim(_AT_ONCE, now - _TELL_AGAIN):
            if await self._tell(notice):
                await self.store.told(notice)

    async def _step_and_wait(self) -> None:
        await self.step()
        await asyncio.sleep(_INTERVAL_S)

    async def _tell(self, notice: ApprovalNotice) -> bool:
        approval = notice.approval
        if approval.state is not _STILL[notice.kind]:
            return True  # no news any more
        _log.info("approval %s for %s: %s", approval.id, approval.model, notice.kind)
        return self.teller is None or await self.teller.tell_of_approval(notice)
