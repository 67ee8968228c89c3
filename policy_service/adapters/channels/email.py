"""Tells people by e-mail: one message to all of a channel's recipients.

Source:
    https://aiosmtplib.readthedocs.io/en/stable/usage.html
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Literal

import aiosmtplib

from llm_core.alerts.incident import Notice, NoticeEvent
from policy_service.adapters.channels.wording import facts, headline
from policy_service.ports.incidents import ChannelFailed

_TIMEOUT_S = 10.0
_FAULTS = (aiosmtplib.SMTPException, OSError, ValueError)
Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in.

    Args:
        security: `starttls` insists on it; `tls` from the first byte; `none` is for a server on
            this machine.
        ca_file: Whose certificates are trusted; the system's by default.
    """

    host: str
    port: int
    security: Security = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None


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
        self._tls = None if server.security == "none" else _context(server.ca_file)

    async def send(self, notice: Notice) -> None:
        """Send it; see the port."""
        server = self._server
        try:
            await aiosmtplib.send(
                self._message(notice),
                recipients=list(self._recipients),
                hostname=server.host,
                port=server.port,
                username=server.username,
                password=server.password,
                use_tls=server.security == "tls",
                start_tls=server.security == "starttls",
                tls_context=self._tls,
                timeout=_TIMEOUT_S,
            )
        except _FAULTS as fault:
            # What a server says may hold addresses: its code and the kind of fault do.
            code = f" {fault.code}" if isinstance(fault, aiosmtplib.SMTPResponseException) else ""
            raise ChannelFailed(
                f"the mail server did not take it ({type(fault).__name__}{code})"
            ) from fault

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


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as fault:
        raise ValueError(f"{ca_file} holds no certificates that can be read") from fault
