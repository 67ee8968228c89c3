"""No request's body grows or lasts without end, whichever endpoint reads it."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_core.errors import BodyTooLarge, RequestTimeout
from policy_service.ports.policies import MOST_TARBALL_BYTES


class BoundedBodies:
    """Refuses a body once it is longer, or has taken longer, than any that is taken here.

    Endpoints have limits of their own below it; this is for those that read a body whole. The error
    is raised where the body is read, so it is answered like any other.

    Args:
        app: What is called.
        most_bytes: Of a body.
        timeout_s: For a body, from when it is first waited for.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app with a body that ends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        came_bytes = 0
        deadline: float | None = None
        is_whole = False

        async def bounded() -> Message:
            nonlocal came_bytes, deadline, is_whole
            if is_whole:  # what is waited for now is that the client leaves
                return await receive()
            if deadline is None:
                deadline = asyncio.get_running_loop().time() + self._timeout_s
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise RequestTimeout(
                    f"The request's body did not come within {self._timeout_s:g} s."
                ) from None
            is_whole = not message.get("more_body", False)
            came_bytes += len(message.get("body", b""))
            if came_bytes > self._most_bytes:
                raise BodyTooLarge(f"The body is longer than {self._most_bytes} bytes.")
            return message

        await self._app(scope, bounded, send)


def longest(relayed_bytes: int) -> int:
    """The longest body of all: a policy bundle's, or a call's with what is decided about it."""
    return max(MOST_TARBALL_BYTES, 2 * relayed_bytes)
