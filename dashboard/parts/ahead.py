"""Asking at once what a page will ask in turn: it is remembered by then, or on its way."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Question = Callable[[], object]
"""Asks with a client of the person who looks; it runs outside the page, and knows nothing of it."""

_AT_ONCE = 32
# Kept for all pages: to start a thread for each question takes as long as some answers.
_THREADS = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ahead")


def ask(*questions: Question) -> None:
    """Ask all of them, and wait for none: who needs an answer that is on its way waits for that.

    So a page draws what it has while the rest is worked out. What cannot be had is said by the part
    of the page that needs it.
    """
    for question in questions:
        _THREADS.submit(question)
