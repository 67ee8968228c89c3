"""Asking at once what a page will ask in turn: it is remembered by then."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from dashboard.api.errors import NotOffered, NotPermitted, Refused

Question = Callable[[], object]
"""Asks with a client of the person who looks; it runs outside the page, and knows nothing of it."""

_AT_ONCE = 32
# Kept for all pages: to start a thread for each question takes as long as some answers.
_THREADS = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ahead")


def ask(*questions: Question) -> None:
    """Ask all of them, and wait for the answers.

    What cannot be had is asked again by the part of the page that needs it, and said there.

    Raises:
        ServiceFailure: Nobody answers, or the sign-in is over.
    """
    for asked in [_THREADS.submit(question) for question in questions]:
        with suppress(NotOffered, NotPermitted, Refused):
            asked.result()
