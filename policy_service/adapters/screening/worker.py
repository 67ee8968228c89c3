"""Looks at words in a process of its own. Run as a module by `process.py`.

Started with the number of a socket. The first frame that comes holds compliance's lists; the answer
says what is wrong with them, or nothing. Each further frame is `{"find": {"texts", "kinds"}}` or
`{"guard": {"profile", "words"}}`, and is answered with what was found, or with `null` when that
cannot be told. A frame is its length in four bytes, then JSON. Ends with the socket.

Nothing that comes in is ever written anywhere: presidio logs what it could not validate, so that
logging is off here, and so is standard error.
"""

import logging
import socket
import sys
from typing import Any

import msgspec

from policy_service.adapters.screening.lists import BrokenLists, read_lists
from policy_service.adapters.screening.looking import Looking, UnknownName

LENGTH_BYTES = 4


def main(descriptor: int) -> None:
    """Serve the socket until it ends."""
    logging.disable(logging.CRITICAL)
    with socket.socket(fileno=descriptor) as connection:
        first = _received(connection)
        if first is None:
            return
        try:
            looking = _looking(first)
        except (BrokenLists, ImportError, AttributeError) as error:
            connection.sendall(_frame(str(error).encode() or b"the lists cannot be used"))
            return
        connection.sendall(_frame(b""))
        while (asked := _received(connection)) is not None:
            connection.sendall(_frame(msgspec.json.encode(_answer(looking, asked))))


def _looking(first: bytes) -> Looking:
    from policy_service.adapters.screening.phones import PhoneFinder  # noqa: PLC0415 - takes long
    from policy_service.adapters.screening.presidio import presidio_finders  # noqa: PLC0415

    lists = read_lists(msgspec.json.decode(first))
    return Looking(lists, [PhoneFinder(), *presidio_finders()])


def _answer(looking: Looking, asked: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        question = msgspec.json.decode(asked)
        if "find" in question:
            return looking.find(question["find"]["texts"], question["find"]["kinds"])
        guard = question["guard"]
        return looking.guard(guard["profile"], guard["words"])
    except (UnknownName, TimeoutError, RecursionError, MemoryError):
        return None


def _received(connection: socket.socket) -> bytes | None:
    head = _exactly(connection, LENGTH_BYTES)
    return None if head is None else _exactly(connection, int.from_bytes(head))


def _frame(content: bytes) -> bytes:
    return len(content).to_bytes(LENGTH_BYTES) + content


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    content = bytearray()
    while len(content) < size:
        part = connection.recv(min(size - len(content), 1 << 20))
        if not part:
            return None
        content += part
    return bytes(content)


if __name__ == "__main__":
    main(int(sys.argv[1]))
