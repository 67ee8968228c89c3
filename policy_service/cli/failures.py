"""Ending a command with a sentence instead of a trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

errors = Console(stderr=True)


def fail(sentence: str) -> typer.Exit:
    """Say what went wrong and what to do; raise what this gives.

    The sentence may quote anything, a process's log for example, so it is no markup.
    """
    errors.print(f"[bold red]error:[/] {escape(sentence)}", highlight=False, soft_wrap=True)
    return typer.Exit(1)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Tell which extra to install when a command's packages are missing."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise fail(
            f"{missing.name} is not installed: run `pip install 'gatehouse-llm[{extra}]'`"
        ) from missing
