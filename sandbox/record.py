"""Writes down what was served, so that it is known even after the process was killed.

A line of JSON for each call that came, `{"call", "provider", "path", "body"}`, and one for each
that ended, `{"call", "status", "ended", "sent_events", "usage"}`. What was under way when the
process was killed has only the first. `call` names a process and a call of it.
"""

import os
from pathlib import Path

import msgspec

from sandbox.calls import Call


class Record:
    """Appends to a file; nothing when there is none.

    Args:
        path: The file; several processes may share it, one after the other.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def came(self, call: Call, body: bytes) -> None:
        """A call is received. Its body is kept as text."""
        self._write(
            call,
            provider=call.provider,
            path=call.path,
            body=body.decode(errors="replace"),
        )

    def ended(self, call: Call) -> None:
        """Its answer is at its end, whichever that is."""
        self._write(
            call,
            status=call.status,
            ended=call.ended,
            sent_events=call.sent_events,
            usage=call.usage,
        )

    def _write(self, call: Call, **more: object) -> None:
        if self._path is not None:
            line = {"call": f"{os.getpid()}-{call.number}", **more}
            with self._path.open("ab") as file:  # closed, it is the kernel's, whatever befalls us
                file.write(msgspec.json.encode(line) + b"\n")
