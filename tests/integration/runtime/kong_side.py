"""Kong's side of a plugin server's socket, and the server's process; for tests and benchmarks.

Blocking on purpose: a test says step by step what Kong does, over which connection.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

TIMEOUT_S = 20.0
ROOT = Path(__file__).resolve().parents[3]
TROUBLED_PLUGIN = Path(__file__).with_name("troubled_plugin.py")


class RpcFailure(Exception):
    """The server answered a request with an error."""


@dataclass(frozen=True)
class PdkFailure:
    """What a test answers a PDK call with to have `StepError` sent."""

    message: str


class KongConnection:
    """One connection of Kong's pool."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(str(path))
        self.notifications: list[Any] = []
        self._unpacker = msgpack.Unpacker(
            raw=False, unicode_errors="surrogateescape", max_buffer_size=1 << 28
        )
        self._message_id = 0

    def send(self, method: str, *args: object) -> int:
        """Send a request; give its id."""
        self._message_id += 1
        message = [0, self._message_id, method, list(args)]
        self.socket.sendall(msgpack.packb(message, unicode_errors="surrogateescape"))
        return self._message_id

    def receive(self) -> Any:
        """Read messages up to the answer; give its result."""
        while True:
            for message in self._unpacker:
                if message[0] == 2:
                    self.notifications.append(message[1:])
                    continue
                assert message[0] == 1
                assert message[1] == self._message_id
                if message[2] is not None:
                    raise RpcFailure(message[2])
                return message[3]
            received = self.socket.recv(1 << 18)
            if not received:
                raise ConnectionError("the server closed the connection")
            self._unpacker.feed(received)

    def call(self, method: str, *args: object) -> Any:
        """Send a request and read its answer."""
        self.send(method, *args)
        return self.receive()

    def start_instance(self, config_json: str, name: str = "troubled") -> int:
        """Start an instance; give its id."""
        instance_id = self.call("plugin.StartInstance", {"Name": name, "Config": config_json})["Id"]
        assert isinstance(instance_id, int)
        return instance_id

    def handle_event(self, instance_id: int, phase: str = "access") -> Any:
        """Begin an event; give `{EventId, Data}`."""
        return self.call("plugin.HandleEvent", {"InstanceId": instance_id, "EventName": phase})

    def step(self, event_id: int, value: object, kind: str = "Step") -> Any:
        """Give what came of a PDK call; give `{EventId, Data}`."""
        if isinstance(value, PdkFailure):
            kind, value = "StepError", value.message
        return self.call(f"plugin.{kind}", {"EventId": event_id, "Data": value})

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()


def drive(
    connections: Sequence[KongConnection],
    instance_id: int,
    phase: str = "access",
    answers: Callable[[str, list[Any]], object] = lambda _method, _args: None,
) -> list[tuple[str, list[Any]]]:
    """Carry an event to its end, each Step over the next connection; give the PDK calls made.

    Like Kong, it never comes back after an `exit`; then that is the last call in the list.
    """
    turn = 0
    calls: list[tuple[str, list[Any]]] = []
    told = connections[0].handle_event(instance_id, phase)
    while told["Data"] != "ret":
        method, args = told["Data"]["Method"], told["Data"]["Args"]
        calls.append((method, args))
        if method == "kong.response.exit":
            break
        turn += 1
        told = connections[turn % len(connections)].step(told["EventId"], answers(method, args))
    return calls


class ServerProcess:
    """A plugin server and what it says."""

    def __init__(self, command: Sequence[str], socket_path: Path) -> None:
        self.socket_path = socket_path
        self.lines: list[str] = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"]},  # noqa: TID251 - Kong gives a server almost nothing
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def output(self) -> str:
        """Everything said so far."""
        return "\n".join(self.lines)

    def wait_for_line(self, text: str) -> None:
        """Wait until a line with `text` was said."""
        with self._news:
            said = self._news.wait_for(
                lambda: any(text in line for line in self.lines), timeout=TIMEOUT_S
            )
        assert said, f"{text!r} was never said:\n{self.output}"

    def connect(self) -> KongConnection:
        """Open a connection."""
        return KongConnection(self.socket_path)

    def resident_kib(self) -> int:
        """Memory the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def status(self) -> Any:
        """What `GetStatus` says."""
        with contextlib.closing(self.connect()) as connection:
            return connection.call("plugin.GetStatus")

    def wait(self) -> int:
        """Wait for the end; give the exit code."""
        code = self.process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        return code

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.decode().rstrip("\n"))
                self._news.notify_all()


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name (107 bytes in all)."""
    folder = Path(tempfile.mkdtemp(prefix="gh-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_server(
    *flags: str, script: Path = TROUBLED_PLUGIN, name: str = "troubled"
) -> Iterator[ServerProcess]:
    """Start a plugin server that says when it listens; stop it at the end."""
    with short_folder() as prefix:
        command = [sys.executable, str(script), "--kong-prefix", str(prefix), *flags]
        server = ServerProcess(command, prefix / f"{name}.sock")
        try:
            server.wait_for_line("server started")
            yield server
        finally:
            server.stop()


def eventually(is_so: Callable[[], bool]) -> None:
    """Look again and again until it is so."""
    until = time.monotonic() + TIMEOUT_S
    while not is_so():
        assert time.monotonic() < until, "it never came to be so"
        time.sleep(0.01)
