"""The process that regopy runs in, as seen from the service."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from policy_service.adapters.policy_bundle import ENTRYPOINT, BrokenBundle, PolicyBundle
from policy_service.adapters.regopy_text import rego_term

LENGTH_BYTES = 4
_WORKER = Path(__file__).with_name("regopy_worker.py")
_START_TIMEOUT_S = 30.0
_SHOWN_CHARS = 1000


class RegopyProcess:
    """A running `regopy_worker.py` with a built bundle.

    Starting blocks for some tenths of a second. Asking is for one caller at a time, within one
    event loop, and leaves the process unusable when it does not come to its end.

    Args:
        bundle: Is built at once.

    Raises:
        BrokenBundle: rego-cpp cannot use it; the message says why.
    """

    def __init__(self, bundle: PolicyBundle) -> None:
        """Start the process and wait until it has built the bundle."""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own file and interpreter
                [sys.executable, "-P", str(_WORKER), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # rego-cpp is told to be silent, so that this holds only why the process died.
                stderr=subprocess.PIPE,
                # Ctrl-C is for the service, which may still have calls to decide.
                start_new_session=True,
            )
        try:
            fault = self._build(bundle)
        except BaseException:
            self.kill()
            raise
        if fault:
            said = self.kill()
            raise BrokenBundle(f"regopy cannot use the policy: {(fault + said)[:_SHOWN_CHARS]}")

    async def ask(self, term: str) -> bytes:
        """The worker's answer to an input.

        Raises:
            OSError: The process is gone.
            EOFError: The process went before it answered.
        """
        [answer] = await self.ask_all([term])
        return answer

    async def ask_all(self, terms: Sequence[str]) -> list[bytes]:
        """The worker's answers to several inputs, in their order; see `ask`.

        They are sent before the first answer is read, so that the worker never waits for us.
        """
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(sock=self._socket)
        reader, writer = self._streams
        for term in terms:
            content = term.encode()
            writer.write(len(content).to_bytes(LENGTH_BYTES) + content)
        answers = []
        for _ in terms:
            size = int.from_bytes(await reader.readexactly(LENGTH_BYTES))
            answers.append(await reader.readexactly(size))
        return answers

    def kill(self) -> str:
        """End the process at once and return what it said on standard error."""
        self._process.kill()
        _, said = self._process.communicate()
        if self._streams is None:
            self._socket.close()
        else:
            self._streams[1].close()
        return said.decode(errors="replace")

    def _build(self, bundle: PolicyBundle) -> str:
        """Send the bundle; returns what is wrong with it."""
        question = msgspec.json.encode(
            {
                "modules": dict(bundle.modules),
                "data": rego_term(dict(bundle.data)),
                "entrypoint": ENTRYPOINT,
            }
        )
        self._socket.settimeout(_START_TIMEOUT_S)
        try:
            with self._socket.makefile("rwb") as stream:
                stream.write(len(question).to_bytes(LENGTH_BYTES) + question)
                stream.flush()
                head = stream.read(LENGTH_BYTES)
                if len(head) < LENGTH_BYTES:
                    return "its process ended. "
                fault = stream.read(int.from_bytes(head)).decode(errors="replace")
        except TimeoutError:
            return "it does not come to an end. "
        except OSError:
            return "its process ended. "
        self._socket.setblocking(False)
        return fault
