"""Evaluates the policy on this machine with regopy (rego-cpp), where there is no OPA.

The bundle is built once and its entrypoint queried; a query that is not compiled costs 10 ms, and
more with every list. What one evaluation takes, and why, stands in docs/performance.md.

regopy runs in a process of its own (`regopy_worker.py`), one for each engine, because rego-cpp 1.5

- brings its own allocator and exports `operator new`: once any other C++ library has been loaded
  (greenlet, numpy, frozenlist: SQLAlchemy and aiohttp are enough) every evaluation leaks 40 kB to
  80 kB for good, and memory of one allocator is freed by the other
  (https://github.com/microsoft/rego-cpp/issues/128, checked 2026-11-20);
- ends its process (`std::terminate`) on some modules that it cannot compile;
- is not thread-safe, and an evaluation in it cannot be stopped.

What it leaves out of Rego is listed in `rego/README.md`.
"""

import asyncio
import time
from dataclasses import replace
from typing import Any

import msgspec

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.making import made_in_thread
from policy_service.adapters.policy_answer import policy_result
from policy_service.adapters.policy_bundle import BrokenBundle, PolicyBundle
from policy_service.adapters.regopy_process import RegopyProcess
from policy_service.adapters.regopy_text import from_rego, rego_term
from policy_service.ports.policy import PolicyResult


class RegopyPolicy:
    """A `PolicyEngine` without a server. A process that died is started again by the next question.

    Use it within one event loop, from the first question to `close`.

    Args:
        bundle: Is built at once, which blocks for some tenths of a second.
        timeout_s: For one evaluation; the process is ended after it.

    Raises:
        BrokenBundle: rego-cpp cannot use the bundle; the message says why.
    """

    def __init__(self, bundle: PolicyBundle, *, timeout_s: float = 2.0) -> None:
        """Start the process."""
        self._bundle = bundle
        self._timeout_s = timeout_s
        self._process: RegopyProcess | None = RegopyProcess(bundle)
        self._is_closed = False
        self._turn = asyncio.Lock()
        self._asking: set[asyncio.Task[object]] = set()

    @property
    def name(self) -> str:
        """Names the engine in the decision log."""
        return "regopy"

    async def evaluate(self, document: dict[str, Any]) -> PolicyResult:
        """Decide about `document`.

        Raises:
            PolicyUnavailable: The evaluation failed, took too long, or gave no decision.
        """
        start = time.perf_counter()
        try:
            term = rego_term(document)
        except ValueError as error:
            raise PolicyUnavailable("The policy engine cannot be asked.") from error
        # A question whose asker has gone is asked to its end: its answer must not be read by the
        # next one.
        asking = asyncio.create_task(self._answer(term))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        result = policy_result(await asyncio.shield(asking), document)
        return replace(result, engine=self.name, duration_ms=(time.perf_counter() - start) * 1000)

    async def ready(self) -> bool:
        """Whether the entrypoint answers; the empty question has a defined answer: no."""
        try:
            return not (await self.evaluate({})).allow
        except PolicyUnavailable:
            return False

    async def close(self) -> None:
        """End the process; every later question is `PolicyUnavailable`."""
        self.kill()
        await asyncio.gather(*self._asking, return_exceptions=True)

    def kill(self) -> None:
        """End the process, as `close` does, without waiting for who asks just now."""
        self._is_closed = True
        self._drop()

    async def _answer(self, term: str) -> object:
        """The entrypoint's value; `None` when there is none, for whatever reason."""
        async with self._turn:
            try:
                answer = await self._asked(term)
            except (OSError, EOFError, BrokenBundle, msgspec.DecodeError):
                self._drop()
                return None
        return from_rego(answer[0]) if answer else None

    async def _asked(self, term: str) -> list[Any] | None:
        if self._is_closed:
            return None
        if self._process is None:
            process = await made_in_thread(lambda: RegopyProcess(self._bundle), RegopyProcess.kill)
            if self._is_closed:
                process.kill()
                return None
            self._process = process
        async with asyncio.timeout(self._timeout_s):
            content = await self._process.ask(term)
        return msgspec.json.decode(content, type=list[Any] | None)

    def _drop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None
