"""A content log in memory, and a redactor that knows one word."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta

from llm_core.errors import PolicyUnavailable
from llm_core.policy.roles import Actor
from policy_service.ports.content import ContentFacts, ContentRow, Unredactable


class FakeContentStore:
    """Implements `ContentStore`.

    Attributes:
        rows: What was recorded, by decision.
        reads: Who read what, and why, in order.
        is_down: Whether it raises `PolicyUnavailable`.
    """

    def __init__(self) -> None:
        self.rows: dict[str, ContentRow] = {}
        self.reads: list[tuple[str, str, str]] = []
        self.is_down = False

    async def record(self, rows: Sequence[ContentRow]) -> None:
        """Keep them."""
        self._reach()
        for row in rows:
            self.rows.setdefault(row.decision_id, row)

    async def find(self, decision_id: str, now: datetime) -> ContentRow | None:
        """One that is not over."""
        self._reach()
        row = self.rows.get(decision_id)
        return row if row is not None and row.kept_until > now else None

    async def note_read(self, row: ContentRow, actor: Actor, reason: str) -> None:
        """Remember it."""
        self._reach()
        self.reads.append((row.decision_id, actor.name, reason))

    async def facts(
        self,
        now: datetime,
        *,
        nodes: frozenset[str] | None = None,
        team: str | None = None,
        user: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> tuple[ContentFacts, ...]:
        """All that are not over; nothing is chosen."""
        self._reach()
        names = [one.name for one in fields(ContentFacts)]
        rows = [row for row in self.rows.values() if row.kept_until > now]
        return tuple(ContentFacts(**{name: getattr(row, name) for name in names}) for row in rows)

    async def drop_old(self, now: datetime, most_days: int | None = None) -> int:
        """Forget those whose time is over."""
        self._reach()
        oldest = None if most_days is None else now - timedelta(days=most_days)
        gone = [
            decision_id
            for decision_id, row in self.rows.items()
            if row.kept_until <= now or (oldest is not None and row.at <= oldest)
        ]
        for decision_id in gone:
            del self.rows[decision_id]
        return len(gone)

    def _reach(self) -> None:
        if self.is_down:
            raise PolicyUnavailable("The content log is down.")


class FakeRedactor:
    """Implements `Redactor`: one name becomes a placeholder.

    Attributes:
        seen: The texts that it was given, in order.
    """

    def __init__(self, name: str, *, fails: bool = False) -> None:
        self.name = name
        self.fails = fails
        self.seen: list[str] = []

    async def redacted(self, words: Sequence[str]) -> Sequence[str]:
        """Replace it."""
        self.seen += words
        if self.fails:
            raise Unredactable("the redactor is down")
        return [text.replace(self.name, "<PERSON_1>") for text in words]
