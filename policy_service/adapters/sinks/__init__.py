"""Where the audit chain can be shipped to: a file, a webhook, syslog."""

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from policy_service.adapters.sinks.file import FileSink
from policy_service.adapters.sinks.syslog import SyslogSink
from policy_service.adapters.sinks.webhook import WebhookSink
from policy_service.ports.audit import Sink

_DEFAULT_PORTS = {"udp": 514, "tcp": 601}
_NAME_CHARS = 8


def open_sink(address: str, webhook_secret: str | None) -> Sink:
    """Make the sink of one address of `POLICY_AUDIT_SHIP`.

    Raises:
        ValueError: It is no address of a sink, or a webhook without a secret; the address, which
            may hold secrets, is not quoted.
    """
    parts = urlsplit(address)
    # The address itself may hold secrets, and the name stands in logs.
    digest = hashlib.sha256(address.encode()).hexdigest()[:_NAME_CHARS]
    scheme, _, transport = parts.scheme.partition("+")
    match scheme, transport:
        case "file", "" if parts.path and not parts.netloc:
            return FileSink(f"file:{parts.path}", Path(parts.path))
        case (("https" | "http"), "") if parts.hostname:
            if webhook_secret is None:
                raise ValueError("a webhook in POLICY_AUDIT_SHIP needs POLICY_AUDIT_WEBHOOK_SECRET")
            return WebhookSink(f"webhook:{parts.hostname}:{digest}", address, webhook_secret)
        case "syslog", ("udp" | "tcp") if parts.hostname:
            port = parts.port or _DEFAULT_PORTS[transport]
            name = f"syslog+{transport}:{parts.hostname}:{port}"
            return SyslogSink(name, transport, (parts.hostname, port))
        case "syslog", "unix" if parts.path and not parts.netloc:
            return SyslogSink(f"syslog+unix:{parts.path}", transport, parts.path)
    raise ValueError(
        "an address in POLICY_AUDIT_SHIP is none of file:///path, https://..., "
        "syslog+udp://host:port, syslog+tcp://host:port, syslog+unix:///path"
    )


__all__ = ["FileSink", "SyslogSink", "WebhookSink", "open_sink"]
