"""Asking at once what a page will ask in turn: it is remembered by then."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import current_thread

from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from dashboard.api.errors import NotOffered, NotPermitted, Refused

_AT_ONCE = 8


def ask(*questions: Callable[[], object]) -> None:
    """Ask all of them, and wait for the answers.

    What cannot be had is asked again by the part of the page that needs it, and said there.

    Raises:
        ServiceFailure: Nobody answers, or the sign-in is over.
    """
    page = get_script_run_ctx()
    with ThreadPoolExecutor(
        min(_AT_ONCE, len(questions)),
        # Streamlit's memory looks for the page that asks.
        initializer=lambda: add_script_run_ctx(current_thread(), page),
    ) as threads:
        for asked in [threads.submit(question) for question in questions]:
            with suppress(NotOffered, NotPermitted, Refused):
                asked.result()
