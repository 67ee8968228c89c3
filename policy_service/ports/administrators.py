"""Who administers: admin tokens, and what the people and software of an identity provider hold."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from llm_core.policy.claims import Claims
from llm_core.policy.roles import Actor, Grant


@dataclass(frozen=True, slots=True)
class AdminTokenRecord:
    """An admin token as it is kept: nobody can make its text of it. Times are UTC."""

    id: str
    name: str
    prefix: str
    grants: tuple[Grant, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssuedAdminToken:
    """A new token; `text` is shown this once."""

    record: AdminTokenRecord
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who a verified token of an identity provider speaks of, and what they hold.

    Args:
        name: For the audit trail: `user:alice` when the database knows them.
        is_active: False when the user or the application was switched off.
        also: What else they are called: who is not in the database has another name as a caller.
    """

    name: str
    grants: tuple[Grant, ...] = ()
    is_active: bool = True
    also: tuple[str, ...] = ()


class AdminTokens(Protocol):
    """Admin tokens by their digest. All raise `PolicyUnavailable` when the database fails."""

    async def find(self, text: str) -> AdminTokenRecord | None:
        """The token of that text, revoked and expired ones too."""
        ...

    async def issue(
        self, actor: Actor, name: str, grants: Sequence[Grant], expires_at: datetime | None
    ) -> IssuedAdminToken:
        """Make a token.

        Raises:
            ValueError: The name, the grants or the moment are none; the message says which.
        """
        ...

    async def revoke(self, actor: Actor, token_id: str) -> bool:
        """Revoke a token, at once; False when there is no live one of that id."""
        ...

    async def list_tokens(self) -> Sequence[AdminTokenRecord]:
        """Every token, the newest first."""
        ...

    async def note_used(self, token_id: str) -> None:
        """Remember that it was used now."""
        ...


class Grants(Protocol):
    """What somebody holds. All raise `PolicyUnavailable` when the database fails."""

    async def of_claims(self, claims: Claims) -> Holder:
        """Who the claims speak of, with the grants of the person and of every group named."""
        ...

    async def note_sign_in(self, actor: Actor) -> None:
        """Write into the audit trail that they came."""
        ...
