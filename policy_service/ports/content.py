"""What was said: how the words of calls are kept, where policy wants that."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from llm_core.policy.roles import Actor


class Part(StrEnum):
    """Which of a call's words."""

    QUESTION = "question"
    ANSWER = "answer"


class Gap(StrEnum):
    """Why the words of a call are not there, though policy wants them kept."""

    NONE = ""
    REDACTION_FAILED = "redaction_failed"
    SEALING_FAILED = "sealing_failed"
    OVERLOADED = "overloaded"
    """More waited to be written than may wait."""


@dataclass(frozen=True, slots=True)
class ContentRow:
    """One call's line in the content log.

    Args:
        level: `redacted` or `full`.
        error_class: See `ErrorClass`: how the call ended.
        request_digest: Keyed, as in the ledger; so is `response_digest`.
        question: JSON, redacted; `None` at the level `full`.
        answer: Likewise; `None` too where nobody answered.
        sealed_question: JSON, encrypted; `None` at the level `redacted`.
        key_id: What opens the sealed parts.
        is_cut: A part was longer than what is kept of one.
        gap: A `Gap`: why there are no words.
    """

    decision_id: str
    at: datetime
    organisation: str
    department: str
    team: str
    user: str | None
    asked_model: str
    level: str
    kept_until: datetime
    error_class: str
    request_digest: str | None = None
    response_digest: str | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    question: str | None = None
    answer: str | None = None
    sealed_question: bytes | None = None
    sealed_answer: bytes | None = None
    key_id: str | None = None
    is_cut: bool = False
    gap: str = Gap.NONE.value


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """What is known of a line without reading its words."""

    decision_id: str
    at: datetime
    organisation: str
    department: str
    team: str
    user: str | None
    asked_model: str
    level: str
    kept_until: datetime
    error_class: str
    request_digest: str | None
    response_digest: str | None
    request_bytes: int | None
    response_bytes: int | None
    key_id: str | None
    is_cut: bool
    gap: str


@dataclass(frozen=True, slots=True)
class Content:
    """A line with its words, as an auditor reads them.

    Args:
        question: What was asked, in the client's API; a text where it was cut.
        answer: What was answered, whole, however it travelled; `None` where nobody answered. Of a
            stream that broke off, `{"incomplete": true, "texts": [...]}`.
    """

    facts: ContentFacts
    question: Any
    answer: Any


class Unredactable(Exception):
    """The words could not be redacted, so nobody may keep them."""


class Redactor(Protocol):
    """Takes personal data out of words."""

    async def redacted(self, words: Sequence[str]) -> Sequence[str]:
        """The same texts in the same order, with placeholders for what is personal.

        Args:
            words: All texts of one question or answer, each once; may be keys as well as values.

        Raises:
            Unredactable: It cannot be done, or not in time.
        """
        ...


class Damaged(Exception):
    """What was sealed does not open: it was changed, or belongs to another row."""


class NoKey(Exception):
    """The key that would open it is not configured."""


class Sealer(Protocol):
    """Encrypts words with a key of their organisation; sealed words open in their own row only."""

    def key_id(self, organisation: str) -> str | None:
        """Of the key that seals now; `None` when the organisation has none."""
        ...

    def seal(self, organisation: str, decision_id: str, part: Part, words: bytes) -> bytes:
        """Encrypt.

        Raises:
            NoKey: There is none.
        """
        ...

    def opened(
        self, key_id: str | None, organisation: str, decision_id: str, part: Part, sealed: bytes
    ) -> bytes:
        """Decrypt.

        Raises:
            NoKey: It was sealed with a key that is not here.
            Damaged: It was not sealed for this organisation, decision and part.
        """
        ...


class ContentStore(Protocol):
    """The content log. Every method raises `PolicyUnavailable` when the database fails."""

    async def record(self, rows: Sequence[ContentRow]) -> None:
        """Write these down, each once whatever how often it is given."""
        ...

    async def find(self, decision_id: str, now: datetime) -> ContentRow | None:
        """One line; `None` when there is none, or its time is over."""
        ...

    async def note_read(self, row: ContentRow, actor: Actor, reason: str) -> None:
        """Write into the audit log that somebody reads a line; done when this returns."""
        ...

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
        """The newest lines first, without their words.

        Args:
            now: Lines whose time is over are left out.
            nodes: Only at or below these; `None` for all.
            team: Only of this team.
            user: Only of this user.
            since: Only from then on.
            until: Only before then.
            before: `at` and `decision_id` of the last page's last line; gives the next page.
            limit: How many at most, up to 1,000.
        """
        ...

    async def drop_old(self, now: datetime, most_days: int | None = None) -> int:
        """Delete lines whose time is over.

        Args:
            now: The time.
            most_days: Those that are older than this as well, whatever was decided.

        Returns:
            How many.
        """
        ...
