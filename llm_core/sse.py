"""Server-sent events: bytes in, events out, and back.

The decoder keeps two things between calls: the line that is not yet ended, and the lines of the
event that is not yet ended. A line ends at CR, LF or CRLF; a CR at the very end of what was
received has ended its line already, and an LF that follows it in the next call is swallowed. So
any cut of the same bytes gives the same events.

Source:
    https://html.spec.whatwg.org/multipage/server-sent-events.html (checked 2026-11-20)
"""

import re
from dataclasses import dataclass

from llm_core.errors import ProviderUnavailable

DONE_DATA = b"[DONE]"
"""The data of the event that ends a stream of OpenAI's."""

DONE = b"data: [DONE]\n\n"
"""That event, as it goes over the wire."""

# The longest event seen from a provider is a base64 audio delta of some 100 KiB; eighty times that
# is no event any more but a server that never ends one.
MAX_PENDING_BYTES = 8 * 1024 * 1024

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event.

    Args:
        event: The event's name; `None` when the stream gave none.
        data: The data lines, joined by LF; not decoded, JSON decoders take bytes.
        id: The last id the stream has set, as the standard has it; `None` before the first.
    """

    event: str | None
    data: bytes
    id: str | None = None


class SseDecoder:
    """Turns bytes, cut anywhere, into whole events, in time linear in the bytes."""

    def __init__(self, *, max_pending_bytes: int = MAX_PENDING_BYTES) -> None:
        """Start with nothing read.

        Args:
            max_pending_bytes: Longest unfinished event to keep.
        """
        self._max_pending_bytes = max_pending_bytes
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._pending_bytes = 0
        self._event: str | None = None
        self._id: str | None = None
        self._is_first_line = True
        self._swallows_lf = False

    def feed(self, received: bytes) -> list[SseEvent]:
        """Give the events that `received` completes; keep the rest for the next call.

        Raises:
            ProviderUnavailable: An event grew past `max_pending_bytes`.
        """
        if self._swallows_lf and received:
            self._swallows_lf = False
            if received[:1] == b"\n":
                received = received[1:]
        if not received:
            return []
        self._swallows_lf = received[-1:] == b"\r"
        # Providers end lines with LF; splitting at one byte is ten times faster than the pattern.
        lines = _LINE_END.split(received) if b"\r" in received else received.split(b"\n")
        rest = lines.pop()
        events: list[SseEvent] = []
        for line in lines:
            event = self._end_line(line)
            if event is not None:
                events.append(event)
        if rest:
            self._line.append(rest)
            self._keep(len(rest))
        return events

    def finish(self) -> list[SseEvent]:
        """Give what was still open when the stream ended.

        The standard drops an event that no blank line ended. Some servers leave that line out after
        their last event, so it is given here; whether it is whole is for its reader to find out.
        """
        events = [self._end_line(b"")] if self._line else []
        events.append(self._end_event())
        return [event for event in events if event is not None]

    def _end_line(self, last_part: bytes) -> SseEvent | None:
        line = last_part
        if self._line:
            self._pending_bytes -= sum(map(len, self._line))
            self._line.append(last_part)
            line = b"".join(self._line)
            self._line.clear()
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._end_event()
        self._take_field(line)
        return None

    def _end_event(self) -> SseEvent | None:
        event = None
        if self._data:
            event = SseEvent(event=self._event, data=b"\n".join(self._data), id=self._id)
            self._data.clear()
        self._event = None
        self._pending_bytes = 0
        return event

    def _take_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            self._data.append(value)
            # One more for the line end: a million empty data lines take memory too.
            self._keep(len(value) + 1)
        elif name == b"event":
            self._event = value.decode(errors="replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")

    def _keep(self, more_bytes: int) -> None:
        self._pending_bytes += more_bytes
        if self._pending_bytes > self._max_pending_bytes:
            raise ProviderUnavailable(
                "The provider sent an event longer than "
                f"{self._max_pending_bytes} bytes in its stream."
            )


def encode_event(data: bytes, event: str | None = None) -> bytes:
    """Write one event; line ends inside `data` become further data lines."""
    head = b"" if event is None else b"event: " + event.encode() + b"\n"
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE_END.split(data))
    return head + b"data: " + data + b"\n\n"
