"""Who administers, without a database: for tests of what stands on it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from llm_core.errors import PolicyUnavailable
from llm_core.policy.claims import Claims
from llm_core.policy.roles import Actor, Grant
from policy_service.keys import new_key, prefix_of
from policy_service.ports.administrators import AdminTokenRecord, Holder, IssuedAdminToken
from policy_service.ports.clock import Clock
from policy_service.ports.tokens import NotProven
from policy_service.services.administrators import ADMIN_MARK


@dataclass
class FakeAdminTokens:
    """Admin tokens in a dictionary by their text."""

    clock: Clock
    records: dict[str, AdminTokenRecord] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)
    searches: int = 0

    async def find(self, text: str) -> AdminTokenRecord | None:
        """The token of that text."""
        self.searches += 1
        return self.records.get(text)

    async def issue(
        self, actor: Actor, name: str, grants: Sequence[Grant], expires_at: datetime | None
    ) -> IssuedAdminToken:
        """Make a token."""
        text = new_key(ADMIN_MARK)
        token_id = f"adt_{len(self.records)}"
        record = AdminTokenRecord(
            token_id,
            name,
            prefix_of(text),
            tuple(grants),
            self.clock(),
            actor.name,
            expires_at,
        )
        self.records[text] = record
        return IssuedAdminToken(record, text)

    async def revoke(self, actor: Actor, token_id: str) -> bool:
        """Revoke a token."""
        for text, record in self.records.items():
            if record.id == token_id and record.revoked_at is None:
                self.records[text] = replace(record, revoked_at=self.clock())
                return True
        return False

    async def list_tokens(self) -> Sequence[AdminTokenRecord]:
        """All of them."""
        return tuple(self.records.values())

    async def note_used(self, token_id: str) -> None:
        """Remember it."""
        self.used.append(token_id)


@dataclass
class FakeGrants:
    """What people hold, by their subject."""

    holders: dict[str, Holder] = field(default_factory=dict)
    sign_ins: list[Actor] = field(default_factory=list)
    is_down: bool = False

    async def of_claims(self, claims: Claims) -> Holder:
        """Who the claims speak of."""
        return self.holders.get(claims.subject, Holder(f"subject:{claims.subject}"))

    async def note_sign_in(self, actor: Actor) -> None:
        """Remember it."""
        if self.is_down:
            raise PolicyUnavailable("The database is away.")
        self.sign_ins.append(actor)


@dataclass
class FakeTokens:
    """Tokens by their text; every other proves nothing."""

    known: dict[str, Claims | NotProven] = field(default_factory=dict)
    otherwise: NotProven | None = None

    async def verify(self, token: str) -> Claims | NotProven:
        """What the token says."""
        found = self.known.get(token) or self.otherwise
        if found is None:
            raise PolicyUnavailable("The issuer is away.")
        return found

    async def close(self) -> None:
        """Nothing to let go of."""
