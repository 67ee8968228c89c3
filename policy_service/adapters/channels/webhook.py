"""Tells software: one JSON body for each notice."""

from typing import Any

import msgspec

from llm_core.alerts.incident import IncidentKind, Notice, NoticeEvent
from policy_service.adapters.channels.posting import Poster

_OF_THE_ALERT = (NoticeEvent.OPENED, NoticeEvent.WORSE)


class WebhookChannel:
    """Implements `ports.Channel`; amounts are strings, times are RFC 3339.

    A threshold that was passed has the fields of its alert beside the incident, and its `id`.
    """

    kind = "webhook"

    def __init__(self, name: str, poster: Poster) -> None:
        """Post by `poster`, which `close` closes."""
        self.name = name
        self._poster = poster

    async def send(self, notice: Notice) -> None:
        """Post it; see the port."""
        await self._poster.post(msgspec.json.encode(_body(notice)), notice.id)

    async def close(self) -> None:
        """Let go of connections."""
        await self._poster.close()


def _body(notice: Notice) -> dict[str, Any]:
    incident = notice.incident
    body: dict[str, Any] = {"id": notice.id}
    if incident.kind is IncidentKind.BUDGET and notice.event in _OF_THE_ALERT:
        body |= incident.facts
    return {**body, "event": notice.event, "at": notice.at, "incident": incident}
