"""What is seen of work that takes a while: on stderr, and only where somebody looks on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from policy_service.cli.failures import errors


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show for how long it has taken, where nobody can tell how far it is.

    Args:
        what: Such as `Closing 2026-11`.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description} ..."), TimeElapsedColumn())
    with _progress(*columns) as progress:
        progress.add_task(what, total=None)
        yield


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show how many are done, and how long the others will take; gives what is called for each."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with _progress(*columns, TimeRemainingColumn()) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def _progress(*columns: ProgressColumn) -> Progress:
    # Else an empty line stands in every log.
    return Progress(*columns, console=errors, transient=True, disable=not errors.is_interactive)
