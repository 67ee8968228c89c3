"""Tells of alerts and approvals over HTTP: one JSON body each, to one address."""

import logging
from dataclasses import asdict
from typing import Any

import httpx
import msgspec

from policy_service.ports.alerts import Alert
from policy_service.ports.approvals import ApprovalNotice
from policy_service.services.approvals import shown

_log = logging.getLogger(__name__)
_FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError)


class Webhook:
    """Implements `Teller` and `ApprovalTeller`. Any answer of 2xx means that it was taken.

    The body has the alert's fields, `id` and `scope`, or an approval's with `id` and `event`;
    amounts are strings, times are RFC 3339.
    The same `id` may come twice: from a process that died before it had noted the answer.

    Args:
        url: Where to; never logged, because such addresses hold secrets.
        timeout_s: Longest wait for an answer.
    """

    def __init__(self, url: str, timeout_s: float = 5.0) -> None:
        self._url = url
        self._client = httpx.AsyncClient(timeout=timeout_s, follow_redirects=False, trust_env=True)

    async def tell(self, alert: Alert) -> bool:
        """Post it once; see `Teller.tell`."""
        return await self._post(_body(alert), alert.limit_key)

    async def tell_of_approval(self, notice: ApprovalNotice) -> bool:
        """Post it once; see `ApprovalTeller.tell_of_approval`."""
        return await self._post(_approval_body(notice), notice.approval.id)

    async def _post(self, body: dict[str, Any], about: str) -> bool:
        try:
            answer = await self._client.post(
                self._url,
                content=msgspec.json.encode(body),
                headers={"content-type": "application/json"},
            )
        except _FAULTS as fault:
            _log.warning(
                "the alert webhook could not be reached (%s): %s waits",
                type(fault).__name__,
                about,
            )
            return False
        if not answer.is_success:
            _log.warning("the alert webhook answered %d: %s waits", answer.status_code, about)
        return answer.is_success

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


def _body(alert: Alert) -> dict[str, Any]:
    return {
        "id": f"{alert.limit_key}@{alert.period}@{alert.percent}",
        **asdict(alert),
        "scope": alert.scope,
    }


def _approval_body(notice: ApprovalNotice) -> dict[str, Any]:
    return {
        "id": f"{notice.approval.id}@{notice.kind}",
        "event": f"approval.{notice.kind}",
        "at": notice.at,
        "approval": shown(notice.approval),
    }
