"""Tables on the terminal, and in what reads the terminal's output."""

import json
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_WIDE = 1000
"""Columns where nobody looks on: what `grep` or a file gets has each row on one line."""


def show_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, wide: int = 1) -> None:
    """Print a table.

    Args:
        heads: The columns' names.
        rows: Each as long as `heads`.
        wide: So many columns at the left are never cut, since people copy them.
    """
    table = Table(
        *(
            Column(head, no_wrap=at < wide, overflow="ignore" if at < wide else "fold")
            for at, head in enumerate(heads)
        )
    )
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    console.print(table)


def print_json(answer: object) -> None:
    """For what reads the output."""
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
