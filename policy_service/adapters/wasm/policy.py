"""Decides in this very process, by rules that OPA has compiled.

An evaluation takes half a millisecond, less than handing the question to another process, so
it is made in the event loop. It cannot run away: see `program`.
"""

import asyncio
import time
from dataclasses import replace
from typing import Any

import msgspec

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.policy_answer import policy_result
from policy_service.adapters.policy_bundle import PolicyBundle
from policy_service.adapters.wasm.program import Program, ProgramFailed
from policy_service.adapters.wasm.rules import NotCompiled
from policy_service.ports.policy import PolicyResult


class _Answer(msgspec.Struct):
    result: Any


_answers = msgspec.json.Decoder(list[_Answer])


class WasmPolicy:
    """A `PolicyEngine`. Making it blocks for up to a second.

    Args:
        bundle: Its lists, and what its decisions report.
        rules: Its rules as WebAssembly.

    Raises:
        NotCompiled: They cannot be used as such; the message says why.
    """

    def __init__(self, bundle: PolicyBundle, rules: bytes) -> None:
        self._rules = rules
        try:
            self._data = msgspec.json.encode(bundle.data)
        except (TypeError, ValueError, msgspec.MsgspecError) as fault:
            raise NotCompiled(f"the lists are no JSON: {fault}") from fault
        self._program: Program | None = Program(rules, self._data)
        self._is_closed = False
        self._turn = asyncio.Lock()

    @property
    def name(self) -> str:
        """Names the engine in the decision log."""
        return "wasm"

    async def evaluate(self, document: dict[str, Any]) -> PolicyResult:
        """Decide about `document`.

        Raises:
            PolicyUnavailable: The evaluation failed, took too long, or gave no decision.
        """
        async with self._turn:
            # One question in each round of the loop: hundreds at once would keep everybody else
            # from reading what Redis has answered.
            await asyncio.sleep(0)
            start = time.perf_counter()
            result = policy_result(self._asked(document), document)
        return replace(result, engine=self.name, duration_ms=(time.perf_counter() - start) * 1000)

    async def ready(self) -> bool:
        """Whether the entrypoint answers; the empty question has a defined answer: no."""
        try:
            return not (await self.evaluate({})).allow
        except PolicyUnavailable:
            return False

    async def close(self) -> None:
        """Let go of the program; every later question is `PolicyUnavailable`."""
        self.kill()

    def kill(self) -> None:
        """As `close`."""
        self._program, self._is_closed = None, True

    def _asked(self, document: dict[str, Any]) -> object:
        """The entrypoint's value; `None` when there is none, for whatever reason."""
        if self._is_closed:
            return None
        try:
            question = msgspec.json.encode(document)
            if self._program is None:
                self._program = Program(self._rules, self._data)
            answers = _answers.decode(self._program.ask(question))
        except (ProgramFailed, NotCompiled):
            self._program = None  # what it was in the middle of is left in its memory
            return None
        except (TypeError, ValueError, msgspec.MsgspecError) as error:
            raise PolicyUnavailable("The policy engine cannot be asked.") from error
        return answers[0].result if answers else None
