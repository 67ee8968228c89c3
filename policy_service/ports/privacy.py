"""A person's traces: told to them, or taken out, when they ask for it."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from llm_core.policy.roles import Actor

ERASED = "erased:"
"""How the pseudonym begins that stands for somebody who was erased; what follows is random."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was taken out, or would be.

    Args:
        id: Names the request in the audit log; empty for what was only counted.
        pseudonym: Stands for the person from now on; `None` where nothing was found.
        found: Rows by place: `content_log`, `decisions`, `usage`, `usage_hourly`,
            `threshold_events`, `approval_requests`, `audit_log` (entries about these requests),
            `audit_chain`.
    """

    id: str
    pseudonym: str | None
    found: Mapping[str, int]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was there."""
        return not any(self.found.values())


class AuditChain(Protocol):
    """The chain of audit events, as far as an erasure needs it."""

    async def erase(self, user: str, actor: Actor, reason: str) -> int:
        """Take the contents of a user's events out, so that the chain can still be verified.

        Args:
            user: The user's id.
            actor: Who does it.
            reason: Why; it does not name the user.

        Returns:
            How many events. Doing it again finds none.

        Raises:
            PolicyUnavailable: The database failed.
        """
        ...


Told = Callable[[str, int], None]
"""Hears how far a long erasure is: the place, and how many rows are done there."""


class PersonalData(Protocol):
    """Everything that the logs and the ledger hold on one user.

    Every method raises `PolicyUnavailable` when the database fails.
    """

    async def count(self, user: str) -> Mapping[str, int]:
        """How many rows name the user, by place."""
        ...

    async def erase(self, user: str, pseudonym: str, told: Told) -> Mapping[str, int]:
        """Delete what was said, and let the pseudonym stand for the user in the rest.

        Goes on in short transactions; begun again after a failure it does what is left.

        Returns:
            How many rows were changed, by place.
        """
        ...

    async def note(
        self, action: str, actor: Actor, erasure: Erasure, reason: str, organisation: str
    ) -> None:
        """Write an erasure into the audit log, without naming the person.

        Args:
            action: `privacy.erase` when it begins, `privacy.erased` when it is done.
            actor: Who does it.
            erasure: What is there, or was.
            reason: Why.
            organisation: Whose audit log has it; empty: the platform's.
        """
        ...

    def held(self, user: str) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """Every row on the user, as the place and the row in JSON's types."""
        ...

    async def note_export(self, actor: Actor, user: str, reason: str) -> None:
        """Write into the audit log that somebody was told what is held on a user."""
        ...
