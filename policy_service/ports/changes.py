"""What was changed, for whoever remembers something of it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ChangeKind(StrEnum):
    """What a change can have changed for callers."""

    KEY = "key"
    """One key, and nobody else."""
    ALL = "all"
    """Anybody, for all we know."""
    APPROVALS = "approvals"
    """Approvals, and nothing that plugins remember."""


@dataclass(frozen=True, slots=True)
class Change:
    """A reason to ask again who somebody is.

    Args:
        key_id: Set exactly for `ChangeKind.KEY`.
    """

    kind: ChangeKind
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry of the audit log, as far as followers need it.

    Args:
        seq: Its number. Numbers grow; an entry may become visible after one with a larger number.
    """

    seq: int
    action: str
    subject: str


class ChangeLog(Protocol):
    """The audit log, to be followed."""

    async def newest(self, most: int) -> Sequence[Logged]:
        """The entries with the largest numbers, in any order.

        Raises:
            PolicyUnavailable: The database failed.
        """
        ...

    async def after(self, seq: int, most: int) -> Sequence[Logged]:
        """Entries with numbers above `seq`, the smallest first.

        Raises:
            PolicyUnavailable: The database failed.
        """
        ...


class Wakes(Protocol):
    """Tells other processes that something was changed: sooner than they would look."""

    async def send(self) -> None:
        """Wake everybody; a failure is logged and no more, for they look by themselves."""
        ...

    def received(self) -> AsyncIterator[None]:
        """Each time that somebody sent, for ever; waits an outage out."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
