"""What one look at one part of an installation found."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a part is."""

    GOOD = "ok"
    WARNING = "warning"
    BROKEN = "broken"
    UNSEEN = "not looked at"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Args:
        part: What was looked at: `database`, `deployment openai-eu`.
        state: How it is.
        what: A sentence on what was seen; never a secret.
        remedy: What to do about it; empty where nothing is to be done.
    """

    part: str
    state: State
    what: str
    remedy: str = ""


def good(part: str, what: str) -> Finding:
    """All is well."""
    return Finding(part, State.GOOD, what)


def warning(part: str, what: str, remedy: str) -> Finding:
    """It works, and should be seen to."""
    return Finding(part, State.WARNING, what, remedy)


def broken(part: str, what: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(part, State.BROKEN, what, remedy)


def unseen(part: str, why: str, remedy: str = "") -> Finding:
    """It could not be looked at, or need not be."""
    return Finding(part, State.UNSEEN, why, remedy)
