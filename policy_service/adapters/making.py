"""Making what must be ended again, in a thread, for somebody who may not wait for it."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")


async def made_in_thread(make: Callable[[], Made], end: Callable[[Made], object]) -> Made:
    """What `make` returns, made in a thread.

    A thread cannot be cancelled. Where the caller is, what the thread makes all the same is ended:
    nobody would know of it.

    Args:
        make: Blocks.
        end: Ends what was made; must not block for long.
    """
    hand_over = threading.Lock()
    made: list[Made] = []
    is_awaited = True

    def work() -> None:
        one = make()
        with hand_over:
            if is_awaited:
                made.append(one)
                return
        end(one)

    try:
        await asyncio.to_thread(work)
    except asyncio.CancelledError:
        with hand_over:
            is_awaited = False
        for one in made:
            end(one)
        raise
    return made[0]
