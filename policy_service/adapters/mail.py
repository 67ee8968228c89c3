"""E-mail by the mail server that the settings name."""

from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from types import MappingProxyType
from urllib.parse import parse_qs, unquote, urlsplit

from policy_service.adapters.smtp import MailServer, Security, hand_in
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
        password = unquote(parts.password) if parts.password else None
        self._server = MailServer(
            parts.hostname,
            parts.port or _PORTS[parts.scheme],
            _security(parts.scheme, tls, has_password=password is not None),
            unquote(parts.username) if parts.username else None,
            password,
        )
        self._tls = self._server.tls()
        self._timeout_s = timeout_s

    async def send(
        self,
        to: Sequence[str],
        subject: str,
        html: str,
        text: str,
        *,
        pictures: Mapping[str, bytes] = MappingProxyType({}),
        message_id: str | None = None,
    ) -> Sequence[str]:
        """Send one message; see the port."""
        try:
            message = self._message(to, subject, text, message_id)
            message.add_alternative(html, subtype="html")
            _add_pictures(message, pictures)
        except ValueError as fault:  # a line break in what becomes a header, for example
            raise MailFailed("the message cannot be written as a mail") from fault
        return await hand_in(self._server, message, to, tls=self._tls, timeout_s=self._timeout_s)

    def _message(
        self, to: Sequence[str], subject: str, text: str, message_id: str | None
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
        return message


def _add_pictures(message: EmailMessage, pictures: Mapping[str, bytes]) -> None:
    """Beside the HTML, so that nothing is loaded from anywhere when the mail is read."""
    shown = message.get_body(("html",))
    for name, png in pictures.items():
        if isinstance(shown, EmailMessage):
            shown.add_related(png, "image", "png", cid=f"<{name}>", disposition="inline")


def _security(scheme: str, tls: str, *, has_password: bool) -> Security:
    if scheme == "smtps":
        return "tls"
    if tls == "none":
        return "none"
    return "starttls" if tls == "starttls" or has_password else "offered"
