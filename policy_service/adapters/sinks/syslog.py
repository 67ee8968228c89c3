"""Ships to syslog: each line a message of RFC 5424, by UDP, TCP or a Unix socket.

No transport of syslog says that a message was kept. TCP and Unix sockets tell when nobody is there;
UDP does not even that.

Source:
    https://datatracker.ietf.org/doc/html/rfc5424 (checked 2026-11-29)
    https://datatracker.ietf.org/doc/html/rfc6587#section-3.4.1 (octet counting on TCP)
"""

import asyncio
import os
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from llm_core.audit.event import Checkpoint, Event
from policy_service.ports.audit import SinkUnavailable

_PRIORITY = 13 * 8 + 6  # facility "log audit", severity "informational"
_APP = "gatehouse"
_TIMEOUT_S = 5.0
_LONGEST_HOST = 255
_LONGEST_ID = 32
_NOT_PRINTABLE = re.compile(r"[^!-~]")
_LONGEST_DATAGRAM = 60_000


class SyslogSink:
    """Implements `ports.audit.Sink`.

    Args:
        name: For the log.
        transport: `udp`, `tcp` or `unix`.
        address: Host and port, or the socket's path.
    """

    def __init__(self, name: str, transport: str, address: tuple[str, int] | str) -> None:
        self.name = name
        self._transport = transport
        self._address: Any = address
        self._host = _name(socket.gethostname(), _LONGEST_HOST)
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, lines: Sequence[Event | Checkpoint]) -> None:
        """Send a message for each line; see the port."""
        messages = [message(line, self._host) for line in lines]
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                if self._transport == "tcp":
                    await self._by_tcp(messages)
                else:
                    await self._by_datagrams(messages)
        except (OSError, TimeoutError) as fault:
            await self.close()
            raise SinkUnavailable(type(fault).__name__) from fault

    async def close(self) -> None:
        """Close the connection."""
        connection, self._open = self._open, None
        if connection is not None:
            connection[1].close()
            with suppress(OSError):
                await connection[1].wait_closed()

    async def _by_tcp(self, messages: Sequence[bytes]) -> None:
        # A receiver that was stopped has said so, and what is written then is lost.
        if self._open is not None and self._open[0].at_eof():
            await self.close()
        if self._open is None:
            self._open = await asyncio.open_connection(*self._address)
        _, writer = self._open
        writer.write(b"".join(b"%d %b" % (len(one), one) for one in messages))
        await writer.drain()

    async def _by_datagrams(self, messages: Sequence[bytes]) -> None:
        loop = asyncio.get_running_loop()
        family, address = int(socket.AF_UNIX), self._address
        if not isinstance(self._address, str):
            found = await loop.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)
            family, address = int(found[0][0]), found[0][4]
        with socket.socket(family, socket.SOCK_DGRAM) as sending:
            sending.setblocking(False)
            await loop.sock_connect(sending, address)
            for one in messages:
                await loop.sock_sendall(sending, one[:_LONGEST_DATAGRAM])


def message(line: Event | Checkpoint, host: str) -> bytes:
    """One message: when and what in its head, the whole line as its text."""
    kind = line.kind if isinstance(line, Event) else "checkpoint"
    head = f"<{_PRIORITY}>1 {line.at} {host} {_APP} {os.getpid()} {_name(kind, _LONGEST_ID)} - "
    return head.encode() + msgspec.json.encode(line)


def _name(text: str, longest: int) -> str:
    """Printable ASCII without spaces, as the head's fields have to be."""
    return _NOT_PRINTABLE.sub("_", text)[:longest] or "-"
