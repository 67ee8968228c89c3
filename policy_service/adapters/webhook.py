"""Tells of requests for approval over HTTP: one JSON body each, to one address."""

import logging
from typing import Any

import msgspec

from policy_service.adapters.channels import Poster
from policy_service.ports.approvals import ApprovalNotice
from policy_service.ports.incidents import ChannelFailed
from policy_service.services.approvals import shown

_log = logging.getLogger(__name__)


class Webhook:
    """Implements `ApprovalTeller`. Any answer of 2xx means that it was taken.

    The body has the approval with `id` and `event`; amounts are strings, times are RFC 3339.
    The same `id` may come twice: from a process that died before it had noted the answer.

    Args:
        url: Where to; never logged, because such addresses hold secrets.
        secret: Signs, as `Poster` does it.
        timeout_s: Longest wait for an answer.
    """

    def __init__(self, url: str, secret: str | None = None, timeout_s: float = 5.0) -> None:
        self._poster = Poster(url, secret, timeout_s)

    async def tell_of_approval(self, notice: ApprovalNotice) -> bool:
        """Post it once; see `ApprovalTeller.tell_of_approval`."""
        try:
            await self._poster.post(msgspec.json.encode(_approval_body(notice)))
        except ChannelFailed as fault:
            _log.warning("the alert webhook: %s; %s waits", fault, notice.approval.id)
            return False
        return True

    async def close(self) -> None:
        """Let go of connections."""
        await self._poster.close()


def _approval_body(notice: ApprovalNotice) -> dict[str, Any]:
    return {
        "id": f"{notice.approval.id}@{notice.kind}",
        "event": f"approval.{notice.kind}",
        "at": notice.at,
        "approval": shown(notice.approval),
    }
