"""E-mail over SMTP."""

import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from policy_service.ports.mail import MailFailed

_PORTS = {"smtp": 25, "smtps": 465}
_TIMEOUT_S = 30.0
_SECURITY = ("starttls", "none")


class SmtpMail:
    """Implements `ports.mail.MailSender`.

    Args:
        url: `smtp://user:password@host:587` or `smtps://...`. With a password, or with
            `?tls=starttls`, nothing is sent before STARTTLS; else it is used where it is offered.
            `?tls=none` never uses it.
        sender: Whom it comes from, such as `Gatehouse <gatehouse@acme.example>`.
        timeout_s: Longest wait for the server.

    Raises:
        ValueError: It is no such address.
    """

    def __init__(self, url: str, sender: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        parts = urlsplit(url)
        tls = parse_qs(parts.query).get("tls", [""])[0]
        if parts.scheme not in _PORTS or not parts.hostname or tls not in {"", *_SECURITY}:
            # It is not quoted: it can hold a password.
            raise ValueError(
                "the mail server's address is written as smtp://host:587, smtps://host or "
                "smtp://user:password@host:587?tls=starttls"
            )
        self._sender = sender
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._host = parts.hostname
        self._port = parts.port or _PORTS[parts.scheme]
        self._is_tls = parts.scheme == "smtps"
        self._start_tls: bool | None = None
        if self._is_tls or tls == "none":
            self._start_tls = False
        elif tls == "starttls" or self._password is not None:
            self._start_tls = True
        self._timeout_s = timeout_s

    async def send(
        self,
        to: Sequence[str],
        subject: str,
        html: str,
        text: str,
        *,
        message_id: str | None = None,
    ) -> Sequence[str]:
        """Send one message; see the port."""
        try:
            message = self._message(to, subject, html, text, message_id)
            refused, _ = await aiosmtplib.send(
                message,
                recipients=list(to),
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._is_tls,
                start_tls=self._start_tls,
                tls_context=ssl.create_default_context(),
                timeout=self._timeout_s,
            )
        # A server's answer can quote what it was told, so only its kind is passed on.
        except aiosmtplib.SMTPResponseException as fault:
            raise MailFailed(f"the mail server answered {fault.code}") from fault
        except (aiosmtplib.SMTPException, OSError, ValueError) as fault:
            raise MailFailed(f"the mail was not taken ({type(fault).__name__})") from fault
        return tuple(refused)

    def _message(
        self, to: Sequence[str], subject: str, html: str, text: str, message_id: str | None
    ) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = ", ".join(to)
        message["Subject"] = subject
        message["Date"] = formatdate()
        message["Message-ID"] = (
            make_msgid(domain="gatehouse") if message_id is None else f"<{message_id}@gatehouse>"
        )
        message.set_content(text)
        message.add_alternative(html, subtype="html")
        return message
