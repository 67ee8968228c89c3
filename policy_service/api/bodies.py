"""No request's body grows without end, whichever endpoint reads it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_core.errors import BodyTooLarge
from policy_service.ports.policies import MOST_TARBALL_BYTES


class BoundedBodies:
    """Refuses a body once it is longer than the longest that anything here takes.

    Endpoints have limits of their own below it; this is for those that read a body whole. The error
    is raised where the body is read, so it is answered like any other.

    Args:
        app: What is called.
        most_bytes: Of a body.
    """

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app with a body that ends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        came_bytes = 0

        async def bounded() -> Message:
            nonlocal came_bytes
            message = await receive()
            came_bytes += len(message.get("body", b""))
            if came_bytes > self._most_bytes:
                raise BodyTooLarge(f"The body is longer than {self._most_bytes} bytes.")
            return message

        await self._app(scope, bounded, send)


def longest(relayed_bytes: int) -> int:
    """The longest body of all: a policy bundle's, or a call's with what is decided about it."""
    return max(MOST_TARBALL_BYTES, 2 * relayed_bytes)
