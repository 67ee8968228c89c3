"""Kong as a phase sees it: every PDK call is recorded, and answered from a dictionary."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kong_plugins._runtime import spans
from kong_plugins._runtime.events import PhaseEnded
from kong_plugins._runtime.guard import exit_call
from kong_plugins._runtime.pdk_calls import ENDING_CALLS, PdkPath, result
from llm_core.errors import GatewayError


@dataclass(frozen=True, slots=True)
class Answered:
    """What a phase answered the client with."""

    status: int
    body: Any
    headers: Mapping[str, str]


class FakeKong:
    """One request in Kong.

    Args:
        answers: By PDK method without `kong.`, for example `request.get_headers`; an exception is
            raised, a function is called with the arguments. What sets or clears needs none.
        shared: `kong.ctx.shared`, handed from plugin to plugin.
    """

    def __init__(
        self, answers: Mapping[str, Any] | None = None, shared: dict[str, Any] | None = None
    ) -> None:
        self.answers = dict(answers or {})
        self.shared: dict[str, Any] = {} if shared is None else shared
        self.calls: list[tuple[str, list[Any]]] = []
        self.answered: Answered | None = None

    def __getattr__(self, name: str) -> PdkPath:
        if name.startswith("_"):
            raise AttributeError(name)
        return PdkPath(f"kong.{name}", self._dispatch)

    @property
    def methods(self) -> list[str]:
        """What was called, in order."""
        return [method for method, _ in self.calls]

    def arguments(self, method: str) -> list[Any]:
        """The arguments of the one call of `method`."""
        [found] = [args for called, args in self.calls if called == method]
        return found

    async def run(self, phase: Callable[[Any], Awaitable[None]]) -> Answered | None:
        """Run a phase as the runtime does: what it raises is answered; `None` lets Kong go on."""
        try:
            with spans.phase(phase.__name__):
                await phase(self)
        except PhaseEnded:
            assert self.answered is not None
        except GatewayError as error:
            self._end(exit_call(error)["Args"])
        return self.answered

    def _dispatch(self, path: str, args: list[Any]) -> "asyncio.Future[Any]":
        method = path.removeprefix("kong.")
        self.calls.append((method, args))
        if path in ENDING_CALLS:
            self._end(args)
            raise PhaseEnded
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(result(path, self._answer(method, args)))
        except Exception as fault:  # noqa: BLE001 - the phase is to see it
            future.set_exception(fault)
        return future

    def _end(self, args: list[Any]) -> None:
        status, body, headers = [*args, None, None][:3]
        is_stream = (headers or {}).get("content-type", "").startswith("text/event-stream")
        read = bytes.decode if is_stream else json.loads
        self.answered = Answered(status, read(body) if body else None, headers or {})

    def _answer(self, method: str, args: list[Any]) -> Any:
        if method in self.answers:
            answer = self.answers[method]
            if isinstance(answer, BaseException):
                raise answer
            return answer(*args) if callable(answer) else answer
        if method == "ctx.shared.get":
            return self.shared.get(args[0])
        if method == "ctx.shared.set":
            # Every Lua string comes back as text, whatever was written.
            self.shared[args[0]] = args[1].decode("utf-8", "surrogateescape")
            return None
        if method.rsplit(".", 1)[-1].startswith(("set_", "clear_")):
            return None
        raise AssertionError(f"the test has no answer for {method}")
