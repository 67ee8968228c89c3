"""Learning that the server was asked to stop, before it waits for what is under way.

uvicorn waits for every answer to end and only then tells the application that it stops. An answer
that lasts as long as its client does would hold it up until its time is over.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def told_of_stop(tell: Callable[[], None]) -> Iterator[None]:
    """Have `tell` called when uvicorn, and nobody else, is sent a signal to stop.

    A no-op where uvicorn does not listen to signals: outside of its process' main thread, or where
    another server runs the application. Call it from within the running server.

    Source:
        https://github.com/encode/uvicorn/blob/master/uvicorn/server.py, `capture_signals`
        (checked 2026-11-21)
    """
    chained = {}
    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if isinstance(getattr(handler, "__self__", None), uvicorn.Server) and callable(handler):
            chained[number] = handler

    def stop(number: int, frame: FrameType | None) -> None:
        tell()
        chained[signal.Signals(number)](number, frame)

    for number in chained:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in chained.items():
            signal.signal(number, handler)
