"""Asks an OPA server, through opa-python-client.

OPA either loads `rego/` as its own bundle (production), or gets it from us over its API: then the
bundle is given here and pushed before the first question, and again when OPA comes back without it.

What opa-python-client 3.0.0 needs to be handled with care, all seen in `opa_client/opa_async.py`:

- it retries by default, three tries with 0.3 s and 0.6 s between, which no decision can afford;
- `ad_hoc_query` makes OPA compile a query for every call, `query_rule` (used here) does not;
- its session exists only inside `async with` and belongs to one event loop;
- its exceptions have no base class, and aiohttp's come through beside them.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from graphlib import TopologicalSorter
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from opa_client import AsyncOpaClient
from opa_client import errors as opa_errors

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.policy_answer import policy_result
from policy_service.adapters.policy_bundle import ENTRYPOINT, PolicyBundle
from policy_service.ports.policy import PolicyResult

T = TypeVar("T")

_DEFAULT_PORT = 8181
_OURS = "gatehouse/"
"""What we have pushed is called so."""
_PACKAGE = re.compile(r"^package ([\w.]+)", re.MULTILINE)
_IMPORT = re.compile(r"^import data\.([\w.]+)", re.MULTILINE)

FOREIGN_ERRORS: tuple[type[Exception], ...] = (
    opa_errors.ConnectionsError,
    opa_errors.DeleteDataError,
    opa_errors.DeletePolicyError,
    opa_errors.FileError,
    opa_errors.PatchDataError,
    opa_errors.PathNotFoundError,
    opa_errors.PolicyNotFoundError,
    opa_errors.QueryExecuteError,
    opa_errors.RegoParseError,
    opa_errors.SSLError,
    opa_errors.TypeException,
    aiohttp.ClientError,
    OSError,  # TimeoutError is one
    RuntimeError,  # aiohttp: the session was closed meanwhile
    TypeError,  # a document that is no JSON
    ValueError,  # an answer that is no JSON
)
"""All that a question to OPA can end in."""


def opa_client(url: str, *, timeout_s: float, token: str | None = None) -> AsyncOpaClient:
    """Make a client for `http://host:port` or `https://host:port`.

    Args:
        url: Scheme, host and port (8181 when it names none), nothing after them.
        timeout_s: For one question, from connecting to the last byte.
        token: Sent as a bearer token when OPA asks for one.

    Raises:
        ValueError: The URL is not of that form.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the URL of OPA must look like http://host:8181")
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("the URL of OPA must end after the port")
    return AsyncOpaClient(
        host=f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname,
        port=parts.port or _DEFAULT_PORT,
        ssl=parts.scheme == "https",
        token=token,
        timeout=timeout_s,
        retries=0,
    )


class OpaPolicy:
    """A `PolicyEngine` that asks OPA, one HTTP call on a kept connection for each question.

    Use it within one event loop, from the first question to `close`.

    Args:
        url: Where OPA listens, for example `http://127.0.0.1:8181`.
        timeout_s: For one question.
        bundle: Pushed to OPA when given; without it OPA has to have the bundle.
        token: Sent as a bearer token.
        client: One's own, instead of one for `url` (client certificates).
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 1.0,
        bundle: PolicyBundle | None = None,
        token: str | None = None,
        client: AsyncOpaClient | None = None,
    ) -> None:
        """Connect to nothing yet."""
        self._client = client or opa_client(url, timeout_s=timeout_s, token=token)
        self._bundle = bundle
        self._session = AsyncExitStack()
        self._is_open = False
        self._is_closed = False
        self._is_pushed = False
        self._pushing = asyncio.Lock()

    @property
    def name(self) -> str:
        """Names the engine in the decision log."""
        return "opa"

    async def evaluate(self, document: dict[str, Any]) -> PolicyResult:
        """Decide about `document`.

        Raises:
            PolicyUnavailable: OPA cannot be reached, is slow, fails, or has no bundle.
        """
        start = time.perf_counter()
        answer = await self._guarded(lambda: self._decision(document))
        result = policy_result(answer, document)
        return replace(result, engine=self.name, duration_ms=(time.perf_counter() - start) * 1000)

    async def ready(self) -> bool:
        """Whether OPA answers the entrypoint; the empty question has a defined answer: no."""
        try:
            return not (await self.evaluate({})).allow
        except PolicyUnavailable:
            return False

    async def push(self) -> None:
        """Put the bundle into OPA, the entrypoint last: until then every answer is undefined.

        OPA offers no way to do this in one step, so a policy that is replaced while calls come in
        is a mixture for some milliseconds. Where that matters OPA loads bundles by itself.

        Raises:
            PolicyUnavailable: OPA cannot be reached, or refuses the policy (a path that a bundle of
                its own has claimed, a module that does not compile).
            ValueError: There is no bundle.
        """
        if self._bundle is None:
            raise ValueError("there is no bundle to push")
        bundle = self._bundle
        await self._guarded(lambda: self._upload(bundle))

    async def close(self) -> None:
        """Close the connections; every later question is `PolicyUnavailable`."""
        self._is_closed = True
        await self._session.aclose()

    async def _guarded(self, asking: Callable[[], Awaitable[T]]) -> T:
        """Run something against OPA, its faults as `PolicyUnavailable`."""
        if self._is_closed:
            raise PolicyUnavailable("The policy engine is closed.")
        try:
            if not self._is_open:
                # Set first: entering does not wait for anything, and must happen once.
                self._is_open = True
                await self._session.enter_async_context(self._client)
            return await asking()
        except FOREIGN_ERRORS as error:
            raise PolicyUnavailable("The policy engine cannot be asked.") from error

    async def _decision(self, document: dict[str, Any]) -> object:
        if self._bundle is None:
            return await self._ask(document)
        if not self._is_pushed:
            await self._push_once(self._bundle)
        answer = await self._ask(document)
        if answer is None:
            # OPA was started again and came back empty.
            self._is_pushed = False
            await self._push_once(self._bundle)
            answer = await self._ask(document)
        return answer

    async def _ask(self, document: dict[str, Any]) -> object:
        """The entrypoint's value, `None` when it is undefined."""
        try:
            answer = await self._client.query_rule(document, ENTRYPOINT)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # A kept connection that OPA closed meanwhile. Asking changes nothing, so ask again.
            answer = await self._client.query_rule(document, ENTRYPOINT)
        return answer.get("result") if isinstance(answer, dict) else answer

    async def _push_once(self, bundle: PolicyBundle) -> None:
        async with self._pushing:
            if not self._is_pushed:
                await self._upload(bundle)

    async def _upload(self, bundle: PolicyBundle) -> None:
        for root, content in bundle.data.items():
            await self._client.update_or_create_data(dict(content), root)
        for path in _imported_first(bundle):
            # `rego_compat` would rewrite a module that OPA refuses instead of saying so.
            await self._client.update_policy_from_string(
                bundle.modules[path], f"{_OURS}{path}", rego_compat=False
            )
        await self._remove_others({f"{_OURS}{path}" for path in bundle.modules})
        self._is_pushed = True

    async def _remove_others(self, kept: set[str]) -> None:
        """Take away what an earlier policy had and this one has not: it would go on denying."""
        there = await self._client.get_policies_list()
        for name in sorted(there):
            if name.startswith(_OURS) and name not in kept:
                await self._client.delete_policy(name)


def _imported_first(bundle: PolicyBundle) -> list[str]:
    """Paths of the modules in an order in which OPA takes them one by one.

    OPA compiles at every upload and refuses a call of a function that it does not have yet. The
    entrypoint imports everything and so comes last.

    Raises:
        ValueError: Packages import each other in a circle.
    """
    packages = {path: _PACKAGE.findall(source)[0] for path, source in bundle.modules.items()}
    imports: dict[str, set[str]] = {package: set() for package in packages.values()}
    for path, source in bundle.modules.items():
        imports[packages[path]] |= set(_IMPORT.findall(source)) & imports.keys()
    order = {
        package: place for place, package in enumerate(TopologicalSorter(imports).static_order())
    }
    return sorted(bundle.modules, key=lambda path: (order[packages[path]], path))
