"""How the plugins' journals of usage reports stand, as they say themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from llm_core.policy.journal_standing import JournalStanding


@dataclass(frozen=True, slots=True)
class HeardJournal:
    """What was heard last of one journal; times are UTC.

    Args:
        heard_at: When.
        since: From when on it was heard again and again that something is wrong with it.
    """

    standing: JournalStanding
    heard_at: datetime
    since: datetime


class Journals(Protocol):
    """The newest of each journal, over all processes.

    Every method raises `PolicyUnavailable` when the store is away.
    """

    async def hear(self, standing: JournalStanding, at: datetime) -> None:
        """Keep what was heard, unless something newer is kept."""
        ...

    async def newest(self, since: datetime) -> Sequence[HeardJournal]:
        """Of each journal that was heard of since then, by name."""
        ...

    async def forget(self, before: datetime) -> None:
        """Drop those that were last heard of before then."""
        ...
