"""How the journal stands, without reading it: for the service, by a header, and for Prometheus.

What a round of deliveries has found, and what was appended since. Other instances on the same file
may have changed it meanwhile, for as long as a round takes to come; that they emptied it is seen
at once.
"""

import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kong_plugins._runtime import measures
from llm_core.policy.journal_standing import JournalStanding, name_of

_TELLS_FOR = timedelta(minutes=10)
"""So long after it was empty again the service is still told so; then no header is sent."""


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class JournalGauge:
    """Knows how many reports wait, since when, and whether the file can be written.

    Args:
        path: The journal.
        now: Says what time it is.
    """

    def __init__(self, path: Path, now: Callable[[], datetime] = utc_now) -> None:
        self._path, self._now = path, now
        self._name = name_of(socket.gethostname(), str(path))
        self._waiting, self._oldest_at = 0, now()
        self._tells_until: datetime | None = None
        self.is_full = False
        """Whether the last try to write failed."""

    def counted(self, kept_at: Sequence[datetime | None]) -> None:
        """The file holds these; `None` for one of which that is not known."""
        self._waiting = len(kept_at)
        self._oldest_at = min((at for at in kept_at if at is not None), default=self._now())
        self._changed()

    def appended(self, at: datetime) -> None:
        """One more waits."""
        if self._waiting == 0:
            self._oldest_at = at
        self._waiting += 1
        self._changed()

    def failed(self) -> None:
        """The file could not be written."""
        self.is_full = True
        self._changed()

    def wrote(self) -> None:
        """It could."""
        self.is_full = False

    def standing(self) -> JournalStanding | None:
        """How it stands now; `None` when nothing was wrong with it for a while."""
        if self._tells_until is None:
            return None
        if self._waiting and self._is_emptied():
            self.counted(())
        standing = self._told()
        if not standing.is_calm:
            self._tells_until = self._now() + _TELLS_FOR
        elif self._now() >= self._tells_until:
            self._tells_until = None
            return None
        return standing

    def _told(self) -> JournalStanding:
        age_s = int((self._now() - self._oldest_at).total_seconds()) if self._waiting else 0
        return JournalStanding(self._name, self._waiting, max(age_s, 0), self.is_full)

    def _changed(self) -> None:
        standing = self._told()
        if not standing.is_calm:
            self._tells_until = self._now() + _TELLS_FOR
        measures.journal_stands(str(self._path), standing.waiting, standing.oldest_s)

    def _is_emptied(self) -> bool:
        try:
            return self._path.stat().st_size == 0
        except FileNotFoundError:
            return True
        except OSError:
            return False
