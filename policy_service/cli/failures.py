"""Ending a command with a sentence instead of a trace.

Exit codes: 0 it was done; 1 it was not, or what was looked at is not in order; 2 the command is not
one (`MISUSED`); 3 something would change, where that was asked (`WOULD_CHANGE`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

MISUSED = 2
"""As the command line's own parser ends for an option that there is not."""
WOULD_CHANGE = 3
"""Not 2: a mistyped option must not look to a pipeline like a change."""
errors = Console(stderr=True)


def fail(sentence: str, code: int = 1) -> typer.Exit:
    """Say what went wrong and what to do; raise what this gives.

    The sentence may quote anything, a process's log for example, so it is no markup.
    """
    errors.print(f"[bold red]error:[/] {escape(sentence)}", highlight=False, soft_wrap=True)
    return typer.Exit(code)


def misused(sentence: str) -> typer.Exit:
    """The same for words that no command can be made of."""
    return fail(sentence, MISUSED)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Tell which extra to install when a command's packages are missing."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise fail(
            f"{missing.name} is not installed: run `pip install 'gatehouse-llm[{extra}]'`"
        ) from missing
