"""Ask a policy thousands of questions: a page at a time, on OPA or on the embedded engine.

OPA is given a whole page in one request, and evaluates it without its HTTP between the questions;
that is several times as fast as the embedded engine, and one process uses all processors.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol

import httpx
import msgspec

from policy_service.adapters.making import made_in_thread
from policy_service.adapters.policies.own_opa import own_opa
from policy_service.adapters.policies.trial import compiled
from policy_service.adapters.policy_bundle import PolicyBundle
from policy_service.adapters.regopy_process import RegopyProcess
from policy_service.adapters.regopy_text import from_rego, rego_term

_TIMEOUT_S = 60.0
"""For a page of questions."""
_PAGE_MODULE = """package gatehouse.pages

answers := {place: answer |
	some place, question in input.questions
	answer := data.llm.main.decision with input as question
}
"""
Document = dict[str, Any]


class Asker(Protocol):
    """Asks one policy; for one page at a time."""

    async def answers(self, asked: Sequence[Document]) -> list[object] | None:
        """The entrypoint's value for each question, `None` where it has none.

        `None` for all of them when the page did not get through: one of its questions ends the
        engine, or takes for ever.
        """
        ...


@asynccontextmanager
async def askers(
    bundle: PolicyBundle, count: int, *, opa: str | None
) -> AsyncIterator[Sequence[Asker]]:
    """So many askers that can work at the same time.

    Args:
        bundle: The policy; it is tried first.
        count: How many.
        opa: Where OPA's program is; `None` for the embedded engine.

    Raises:
        BrokenBundle: It does not compile, or allows the empty question.
        PolicyUnavailable: OPA does not come up.
    """
    await (await compiled(bundle)).close()
    async with AsyncExitStack() as stack:
        if opa is None:
            embedded = [_Embedded(bundle) for _ in range(count)]
            for one in embedded:
                stack.callback(one.close)
            yield embedded
            return
        paged = replace(bundle, modules={**bundle.modules, "gatehouse/pages.rego": _PAGE_MODULE})
        server = await stack.enter_async_context(own_opa(opa, paged))
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=_TIMEOUT_S))
        yield [_Opa(client, server.url)] * count


class _Opa:
    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = f"{url}/v1/data/gatehouse/pages/answers"

    async def answers(self, asked: Sequence[Document]) -> list[object] | None:
        try:
            content = msgspec.json.encode({"input": {"questions": asked}})
            answer = await self._client.post(self._url, content=content)
            found = msgspec.json.decode(answer.content, type=dict[str, Any]).get("result")
        except (httpx.HTTPError, TypeError, ValueError):
            return None
        if answer.status_code != httpx.codes.OK or not isinstance(found, dict):
            return None
        return [found.get(str(place)) for place in range(len(asked))]


class _Embedded:
    """One process of the engine; one that ends is started again."""

    def __init__(self, bundle: PolicyBundle) -> None:
        self._bundle = bundle
        self._process: RegopyProcess | None = None

    async def answers(self, asked: Sequence[Document]) -> list[object] | None:
        try:
            terms = [rego_term(document) for document in asked]
            if self._process is None:
                self._process = await made_in_thread(
                    lambda: RegopyProcess(self._bundle), RegopyProcess.kill
                )
            async with asyncio.timeout(_TIMEOUT_S):
                told = await self._process.ask_all(terms)
            values = [msgspec.json.decode(one, type=list[Any] | None) for one in told]
        except (OSError, EOFError, ValueError):
            self.close()
            return None
        return [from_rego(value[0]) if value else None for value in values]

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None
