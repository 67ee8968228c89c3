"""Reports over HTTP: one JSON body each, to an address that the settings name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from policy_service.adapters.channels import Poster
from policy_service.ports.incidents import ChannelFailed
from policy_service.ports.report_schedules import ReportNotTaken


class HttpReportHooks:
    """Implements `ports.report_schedules.ReportHooks`, signed and posted as `Poster` does it.

    Args:
        urls: By name; never logged and never told, because such addresses hold secrets.
        secrets: By the same names; what is posted to a webhook without one is not signed.
        timeout_s: Longest wait for an answer.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        secrets: Mapping[str, str] = MappingProxyType({}),
        timeout_s: float = 30.0,
    ) -> None:
        self._posters = {
            name: Poster(url, secrets.get(name), timeout_s) for name, url in urls.items()
        }

    @property
    def names(self) -> frozenset[str]:
        """Those that there are."""
        return frozenset(self._posters)

    async def post(self, name: str, body: Mapping[str, Any]) -> None:
        """Hand a report over; see the port."""
        poster = self._posters.get(name)
        if poster is None:
            raise ReportNotTaken(f"there is no webhook {name!r} in POLICY_REPORT_WEBHOOKS")
        try:
            await poster.post(msgspec.json.encode(body))
        except ChannelFailed as fault:
            raise ReportNotTaken(f"the webhook {name!r}: {fault}") from fault

    async def close(self) -> None:
        """Let go of connections."""
        for poster in self._posters.values():
            await poster.close()
