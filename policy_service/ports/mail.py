"""Sending e-mail."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class MailFailed(Exception):
    """The mail server did not take it; says why, without secrets."""


class MailSender(Protocol):
    """Sends e-mail."""

    async def send(
        self,
        to: Sequence[str],
        subject: str,
        html: str,
        text: str,
        *,
        pictures: Mapping[str, bytes] = ...,
        message_id: str | None = None,
    ) -> Sequence[str]:
        """Send one message.

        Args:
            to: Addresses.
            subject: Its head.
            html: What most programs show.
            text: The same for those that show no HTML.
            pictures: PNG that come along, by the content id that `html` names (`cid:...`).
            message_id: Without angle brackets; the same for the same message, sent again.

        Returns:
            Those whose address the server refused, while it took the message for the others.

        Raises:
            MailFailed: It was taken for nobody.
        """
        ...
