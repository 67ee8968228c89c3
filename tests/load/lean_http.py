"""HTTP/1.1 clients that cost little next to what they measure: bytes out, bytes in, and the clock.

A request is written once as bytes and sent again and again on kept connections. Of an answer only
as much is read as is needed to find its end; the last answer's bytes are kept for who wants more.
"""

import re
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

_READ_BYTES = 256 * 1024
_TIMEOUT_S = 30.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Question:
    """A request that is always the same.

    Args:
        url: Where to; names scheme, host, port and path.
        message: Head and body, as they go over the wire.
        first_token: Matches an event stream once it holds a token; `None` for whole answers.
    """

    url: str
    message: bytes
    first_token: re.Pattern[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80


def question(
    url: str,
    body: object,
    headers: Mapping[str, str],
    first_token: re.Pattern[bytes] | None = None,
) -> Question:
    """Make a POST of JSON."""
    parts = urlsplit(url)
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    lines = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    message = f"POST {parts.path} HTTP/1.1\r\n{head}\r\n".encode() + content
    return Question(url, message, first_token)


class AnswerWrong(RuntimeError):
    """The answer is not a 200: whatever was measured was something else."""


@dataclass(slots=True)
class Reader:
    """Finds the end of an answer."""

    received: bytearray = field(default_factory=bytearray)
    _whole_bytes: int | None = None
    _is_chunked: bool = False

    def feed(self, data: bytes) -> bool:
        """Take bytes; says whether the answer is complete.

        Raises:
            AnswerWrong: See there.
        """
        if not data:
            raise AnswerWrong("the connection was closed in the middle of an answer")
        self.received += data
        if self._whole_bytes is None and not self._is_chunked:
            self._read_head()
        if self._is_chunked:
            is_complete = self.received.endswith(_LAST_CHUNK)
        else:
            is_complete = self._whole_bytes is not None and len(self.received) >= self._whole_bytes
        if is_complete and not self.received.startswith(b"HTTP/1.1 200"):
            raise AnswerWrong(self.received[:2000].decode(errors="replace"))
        return is_complete

    def clear(self) -> None:
        """Begin with the next answer."""
        self.received.clear()
        self._whole_bytes = None
        self._is_chunked = False

    def _read_head(self) -> None:
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.received[: end + 2])
        length = _LENGTH.search(head)
        if length is not None:
            self._whole_bytes = end + 4 + int(length[1])
        else:
            self._is_chunked = True


class Client:
    """One connection, one request at a time."""

    def __init__(self, asked: Question) -> None:
        self._asked = asked
        self._socket = connected(asked)
        self._reader = Reader()

    @property
    def answer(self) -> bytes:
        """The last answer, head and body."""
        return bytes(self._reader.received)

    def ask(self) -> float:
        """Ask once.

        Returns:
            Seconds to the whole answer; of a stream, to its first token (it is then read to its
            end, off the clock).

        Raises:
            AnswerWrong: See there.
        """
        reader, token = self._reader, self._asked.first_token
        reader.clear()
        taken_s: float | None = None
        began = time.perf_counter()
        self._socket.sendall(self._asked.message)
        while True:
            is_complete = reader.feed(self._socket.recv(_READ_BYTES))
            if token is not None and taken_s is None and token.search(reader.received):
                taken_s = time.perf_counter() - began
            if is_complete:
                break
        if token is None:
            return time.perf_counter() - began
        if taken_s is None:
            raise AnswerWrong("the stream has no token: " + self.answer[:2000].decode())
        return taken_s

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@contextmanager
def client(asked: Question) -> Iterator[Client]:
    """A connection for as long as it is needed."""
    one = Client(asked)
    try:
        yield one
    finally:
        one.close()


@dataclass(frozen=True, slots=True)
class Crowd:
    """What many clients at once have seen."""

    per_second: float
    taken_s: list[float]
    n_refused: int = 0


def crowd(
    next_question: Callable[[], Question],
    n_clients: int,
    seconds: float,
    per_second: float = 0,
    *,
    counts_refusals: bool = False,
) -> Crowd:
    """Let `n_clients` connections ask one question after another for some time.

    Args:
        next_question: Gives what is asked next; all of them go to the same address.
        n_clients: How many connections there are.
        seconds: For how long.
        per_second: Questions a second over all connections; 0 is as many as are answered. At a
            given rate an answer's time counts from when its question was due, so that a server
            that falls behind cannot hide it.
        counts_refusals: An answer that is not a 200 is counted, and counts for nothing else.

    Raises:
        AnswerWrong: See there.
    """
    selector = selectors.DefaultSelector()
    taken_s: list[float] = []
    idle: list[_Asker] = []
    n_refused = 0
    try:
        for _ in range(n_clients):
            asker = _Asker(connected(next_question()))
            selector.register(asker.socket, selectors.EVENT_READ, asker)
            idle.append(asker)
        began = time.perf_counter()
        until, due, n_busy = began + seconds, began, 0
        while True:
            now = time.perf_counter()
            while idle and due <= now < until:
                idle.pop().ask(next_question().message, due if per_second else now)
                n_busy += 1
                due += 1 / per_second if per_second else 0
            if n_busy == 0 and now >= until:
                break
            wait_s = max(due - now, 0) if idle and now < until else _TIMEOUT_S
            for key, _ in selector.select(wait_s):
                asker = key.data
                try:
                    if not asker.reader.feed(asker.socket.recv(_READ_BYTES)):
                        continue
                    taken_s.append(time.perf_counter() - asker.due_s)
                except AnswerWrong:
                    if not counts_refusals or not asker.reader.received:
                        raise
                    n_refused += 1
                idle.append(asker)
                n_busy -= 1
        return Crowd(len(taken_s) / (time.perf_counter() - began), taken_s, n_refused)
    finally:
        for key in list(selector.get_map().values()):
            key.data.socket.close()
        selector.close()


@dataclass(slots=True)
class _Asker:
    socket: socket.socket
    reader: Reader = field(default_factory=Reader)
    due_s: float = 0.0

    def ask(self, message: bytes, due_s: float) -> None:
        self.reader.clear()
        self.due_s = due_s
        self.socket.sendall(message)


def connected(asked: Question) -> socket.socket:
    """A connection to where a question goes."""
    connection = socket.create_connection(asked.address, _TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
