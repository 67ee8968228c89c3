"""Work that goes on as long as the process lives."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from llm_core.errors import PolicyUnavailable

_log = logging.getLogger(__name__)
_BACK_OFF_S = 1.0


async def for_ever(name: str, step: Callable[[], Awaitable[object]]) -> None:
    """Repeat `step` until cancelled; an outage is waited out, any other fault logged and survived.

    Args:
        name: For the log.
        step: One piece of the work; it waits by itself when there is none.
    """
    while True:
        try:
            await step()
        except PolicyUnavailable as outage:
            cause = f" ({type(outage.__cause__).__name__})" if outage.__cause__ else ""
            _log.warning("%s waits: %s%s", name, outage, cause)
            await asyncio.sleep(_BACK_OFF_S)
        except Exception:  # noqa: BLE001 - the work must go on, whatever the fault
            _log.exception("%s stumbled and goes on", name)
            await asyncio.sleep(_BACK_OFF_S)
