"""Evaluates a policy with regopy in a process of its own. Run by its path; imports nothing of ours.

Started with the number of a socket. The first frame that comes is
`{"modules", "data", "entrypoint"}`; the answer says what is wrong with it, or nothing. Each further
frame is an input, and is answered with `[value]`, `[]` when the entrypoint is undefined, or `null`
when the evaluation failed. A frame is its length in four bytes, then JSON. Ends with the socket.
"""

import ctypes
import gc
import json
import socket
import sys
from typing import Any

from regopy import Interpreter
from regopy.rego_shared import LogLevel, RegoError, rego

LENGTH_BYTES = 4
_MOST = 2**63


class Evaluator:
    """A bundle that is built, and its entrypoint.

    Raises:
        RegoError: The bundle does not compile, or has no value for the empty input.
    """

    def __init__(self, bundle: dict[str, Any]) -> None:
        """Build the bundle."""
        self._entrypoint: str = bundle["entrypoint"]
        self._interpreter = Interpreter()
        # It would write every fault to standard error, the input with it.
        self._interpreter.log_level = LogLevel.NONE
        for path, source in bundle["modules"].items():
            self._interpreter.add_module(path, source)
        # Not `add_data`: that spells `é` as an escape, and then it equals no `é` of an input.
        self._interpreter.add_data_json(bundle["data"])
        self._built = self._interpreter.build(None, [self._entrypoint])
        if not self._built.ok():
            raise RegoError("the bundle was not built")
        if not self.answer("{}"):
            raise RegoError("the entrypoint has no value for the empty input")

    def answer(self, term: str) -> list[Any] | None:
        """The entrypoint's value for an input."""
        try:
            self._set_input(term)
            output = self._interpreter.query_bundle_entrypoint(self._built, self._entrypoint)
        except (RegoError, ValueError):
            return None
        if not output.ok():
            return None
        return output.results[0].expressions if output.results else []

    def _set_input(self, term: str) -> None:
        """Hand the input over, as nodes where that loses nothing, else as text to be parsed.

        rego-cpp's parser takes most of a decision's time; putting the nodes together takes a third
        of it. But it writes numbers with six places after the point, and texts up to a NUL.
        """
        document = json.loads(term)
        nodes = rego.regoNewInput()
        try:
            _add(nodes, document)
            rego.regoSetInput(self._interpreter._impl, nodes)
        except _NotAsNodes:
            self._interpreter.set_input_term(term)
        finally:
            rego.regoFreeInput(nodes)


class _NotAsNodes(Exception):
    """A value that would not arrive as it is."""


def _add(nodes: ctypes.c_void_p, value: object) -> None:
    """Put a value on the stack of which rego-cpp makes its nodes.

    Raises:
        _NotAsNodes: It would become another value.
    """
    if isinstance(value, str):
        _add_text(nodes, value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _add_text(nodes, key)
            _add(nodes, item)
            rego.regoInputObjectItem(nodes)
        rego.regoInputObject(nodes, len(value))
    elif isinstance(value, list):
        for item in value:
            _add(nodes, item)
        rego.regoInputArray(nodes, len(value))
    elif isinstance(value, bool):
        rego.regoInputBoolean(nodes, value)
    elif isinstance(value, int | float):
        _add_number(nodes, value)
    else:
        rego.regoInputNull(nodes)


def _add_text(nodes: ctypes.c_void_p, text: str) -> None:
    if "\0" in text:
        raise _NotAsNodes
    rego.regoInputString(nodes, text.encode())


def _add_number(nodes: ctypes.c_void_p, number: float) -> None:
    if isinstance(number, int):
        if not -_MOST <= number < _MOST:
            raise _NotAsNodes
        rego.regoInputInt(nodes, number)
    elif float(f"{number:f}") == number:
        rego.regoInputFloat(nodes, number)
    else:
        raise _NotAsNodes


def received(connection: socket.socket) -> bytes | None:
    """The next frame's content; `None` when the other side has gone."""
    head = _exactly(connection, LENGTH_BYTES)
    return None if head is None else _exactly(connection, int.from_bytes(head))


def frame(content: bytes) -> bytes:
    """Put the length before the content."""
    return len(content).to_bytes(LENGTH_BYTES) + content


def main(descriptor: int) -> None:
    """Serve the socket until it ends."""
    with socket.socket(fileno=descriptor) as connection:
        bundle = received(connection)
        if bundle is None:
            return
        try:
            evaluator = Evaluator(json.loads(bundle))
        except (RegoError, ValueError) as error:
            connection.sendall(frame(str(error).encode() or b"the bundle cannot be built"))
            return
        # What is there stays: no collection has to look at it again.
        gc.freeze()
        connection.sendall(frame(b""))
        while (term := received(connection)) is not None:
            answer = evaluator.answer(term.decode())
            connection.sendall(frame(json.dumps(answer, ensure_ascii=False).encode()))


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    content = bytearray()
    while len(content) < size:
        part = connection.recv(size - len(content))
        if not part:
            return None
        content += part
    return bytes(content)


if __name__ == "__main__":
    main(int(sys.argv[1]))
