"""Tells a Slack channel, or whatever understands Slack's incoming webhooks.

Source:
    https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
    https://docs.slack.dev/messaging/formatting-message-text#escaping
"""

from typing import Any

import msgspec

from llm_core.alerts.incident import Notice, NoticeEvent, Severity
from policy_service.adapters.channels.posting import Poster
from policy_service.adapters.channels.wording import facts, headline

_LONGEST_TEXT = 2900
"""Slack takes 3,000 characters in a block's text."""

_SIGNS = {
    Severity.INFO: ":information_source:",
    Severity.WARNING: ":warning:",
    Severity.CRITICAL: ":rotating_light:",
}


class SlackChannel:
    """Implements `ports.Channel`. Its address is the secret; nothing is signed."""

    kind = "slack"

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
    is_over = notice.event is NoticeEvent.RECOVERED
    sign = ":white_check_mark:" if is_over else _SIGNS[notice.incident.severity]
    told = f"{sign} *{_escaped(headline(notice))}*"
    if notice.incident.detail:
        told += f"\n{_escaped(notice.incident.detail)}"
    context = " · ".join(f"{name}: {_escaped(value)}" for name, value in facts(notice))
    return {
        "text": _escaped(headline(notice)),
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": told[:_LONGEST_TEXT]}},
            {
                "type": "context",
                "elements": [{"type": "mrkdwn", "text": context[:_LONGEST_TEXT]}],
            },
        ],
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
