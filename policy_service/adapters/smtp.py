"""Handing a message in at a mail server.

Source:
    https://aiosmtplib.readthedocs.io/en/stable/usage.html
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

import aiosmtplib

from policy_service.ports.mail import MailFailed

Security = Literal["tls", "starttls", "offered", "none"]
_START_TLS: dict[Security, bool | None] = {
    "tls": False,
    "starttls": True,
    "offered": None,
    "none": False,
}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in.

    Args:
        security: `tls` from the first byte; `starttls` insists on it; `offered` uses it where the
            server has it; `none` never does.
        ca_file: Whose certificates are trusted; the system's by default.
    """

    host: str
    port: int
    security: Security = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def tls(self) -> ssl.SSLContext | None:
        """What encrypts the connection.

        Raises:
            ValueError: The certificates cannot be read.
        """
        if self.security == "none":
            return None
        cafile = None if self.ca_file is None else str(self.ca_file)
        try:
            return ssl.create_default_context(cafile=cafile)
        except (OSError, ssl.SSLError) as fault:
            raise ValueError(f"{self.ca_file} holds no certificates that can be read") from fault


async def hand_in(
    server: MailServer,
    message: EmailMessage,
    recipients: Sequence[str],
    *,
    tls: ssl.SSLContext | None,
    timeout_s: float,
) -> Sequence[str]:
    """Hand a message in; gives the recipients whom the server refused.

    Raises:
        MailFailed: It was taken for nobody.
    """
    try:
        refused, _ = await aiosmtplib.send(
            message,
            recipients=list(recipients),
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.security == "tls",
            start_tls=_START_TLS[server.security],
            tls_context=tls,
            timeout=timeout_s,
        )
    # A server's answer can quote what it was told, so only its code or the fault's kind goes on.
    except aiosmtplib.SMTPResponseException as fault:
        raise MailFailed(f"the mail server answered {fault.code}") from fault
    except (aiosmtplib.SMTPException, OSError, ValueError) as fault:
        raise MailFailed(f"the mail server did not take it ({type(fault).__name__})") from fault
    return tuple(refused)
