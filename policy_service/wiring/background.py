"""Work in the background for as long as a process of the service runs."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any


async def in_background(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Start it; the stack cancels it, and waits for its end."""
    task = asyncio.create_task(work)

    async def stop() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(stop)
