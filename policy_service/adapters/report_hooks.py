"""Reports over HTTP: one JSON body each, to an address that the settings name."""

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from policy_service.ports.report_schedules import ReportNotTaken

_FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError)


class HttpReportHooks:
    """Implements `ports.report_schedules.ReportHooks`. Any answer of 2xx means that it was taken.

    Args:
        urls: By name; never logged and never told, because such addresses hold secrets.
        timeout_s: Longest wait for an answer.
    """

    def __init__(self, urls: Mapping[str, str], timeout_s: float = 30.0) -> None:
        self._urls = dict(urls)
        self._client = httpx.AsyncClient(timeout=timeout_s, follow_redirects=False, trust_env=True)

    @property
    def names(self) -> frozenset[str]:
        """Those that there are."""
        return frozenset(self._urls)

    async def post(self, name: str, body: Mapping[str, Any]) -> None:
        """Hand a report over; see the port."""
        url = self._urls.get(name)
        if url is None:
            raise ReportNotTaken(f"there is no webhook {name!r} in POLICY_REPORT_WEBHOOKS")
        try:
            answer = await self._client.post(
                url,
                content=msgspec.json.encode(body),
                headers={"content-type": "application/json"},
            )
        except _FAULTS as fault:
            raise ReportNotTaken(
                f"the webhook {name!r} could not be reached ({type(fault).__name__})"
            ) from fault
        if not answer.is_success:
            raise ReportNotTaken(f"the webhook {name!r} answered {answer.status_code}")

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()
