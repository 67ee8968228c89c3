"""Makes the app of a process that is the policy service's alone, as fast as that goes.

Nothing of what a start imports and makes is ever let go. Looking through it for what could be let
go takes a sixth of the start, so nobody does until the app has opened what it needs.
"""

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI


def collect_nothing() -> None:
    """Turn the garbage collector off until `collect_again`; the first thing that a start does."""
    gc.disable()


def collect_again() -> None:
    """Turn it on, for what comes from now on.

    What is there now stays, unlooked at. To look through it takes the collector 0.1 to 0.3 s, at
    the start as well as later, where no call would be decided meanwhile (docs/performance.md).
    """
    gc.freeze()
    gc.enable()


def app() -> "FastAPI":
    """The factory that `gatehouse serve` names to uvicorn; settings from POLICY_*."""
    collect_nothing()
    from policy_service.app import create_app  # noqa: PLC0415 - after that
    from policy_service.settings import Settings  # noqa: PLC0415

    return create_app(Settings(), owns_process=True)
