"""Tells people by e-mail: one message to all of a channel's recipients."""

from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime

from llm_core.alerts.incident import Notice, NoticeEvent
from policy_service.adapters.channels.wording import facts, headline
from policy_service.adapters.smtp import MailServer, hand_in
from policy_service.ports.incidents import ChannelFailed
from policy_service.ports.mail import MailFailed

_TIMEOUT_S = 10.0


class EmailChannel:
    """Implements `ports.Channel`.

    Handed over means that the server has taken it, for one recipient at least.
    """

    kind = "email"

    def __init__(
        self, name: str, server: MailServer, sender: str, recipients: Sequence[str]
    ) -> None:
        """Send by `server`, from `sender` to all of `recipients`.

        Raises:
            ValueError: The certificates cannot be read.
        """
        self.name = name
        self._server = server
        self._sender = sender
        self._recipients = tuple(recipients)
        self._tls = server.tls()

    async def send(self, notice: Notice) -> None:
        """Send it; see the port."""
        message = self._message(notice)
        try:
            await hand_in(
                self._server, message, self._recipients, tls=self._tls, timeout_s=_TIMEOUT_S
            )
        except MailFailed as fault:
            raise ChannelFailed(str(fault)) from fault

    async def close(self) -> None:
        """Nothing to let go of: each message has its own connection."""

    def _message(self, notice: Notice) -> EmailMessage:
        domain = self._sender.rpartition("@")[2].rstrip(">") or "gatehouse"
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = ", ".join(self._recipients)
        message["Subject"] = headline(notice)
        message["Date"] = format_datetime(notice.at)
        message["Message-ID"] = f"<{notice.id}@{domain}>"
        if notice.event is not NoticeEvent.TEST:
            message["References"] = f"<{notice.incident.id}@{domain}>"  # makes them one thread
        message["Auto-Submitted"] = "auto-generated"
        message["X-Gatehouse-Notice-Id"] = notice.id
        lines = [headline(notice), ""]
        if notice.incident.detail:
            lines += [notice.incident.detail, ""]
        lines += [f"{name}: {value}" for name, value in facts(notice)]
        message.set_content("\n".join(lines) + "\n")
        return message
