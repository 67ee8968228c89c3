"""Approvals that hold, and who is told of requests."""

from contextlib import AsyncExitStack, suppress
from datetime import timedelta

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.webhook import Webhook
from policy_service.services.approval_notices import ApprovalNotices
from policy_service.services.approvals import ApprovalDesk
from policy_service.services.changes import Changes
from policy_service.services.known_approvals import KnownApprovals
from policy_service.settings import Settings
from policy_service.wiring.background import in_background


async def open_approvals(
    stack: AsyncExitStack,
    settings: Settings,
    desk: ApprovalDesk,
    changes: Changes,
    webhook: Webhook | None,
) -> KnownApprovals:
    """What holds now, kept up to date in the background; people are told from there as well."""
    known = KnownApprovals(desk.store, changes)
    with suppress(PolicyUnavailable):  # what is not known does not hold
        await changes.look()  # what changes from here on is heard of
        await known.read()
    await in_background(stack, known.run())
    notices = ApprovalNotices(
        desk.store,
        desk.clock,
        timedelta(hours=settings.approval_remind_h),
        timedelta(hours=settings.approval_ending_h),
        changes.announce,
        webhook,
    )
    await in_background(stack, notices.run())
    return known
