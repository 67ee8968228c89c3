"""API keys as administrators see them: everything but the key."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from llm_core.operation import Operation
from llm_core.policy.limits import Measure, Priority
from llm_core.policy.roles import Actor
from policy_service.ports.organisation import Check, Holder

LONGEST_OVERLAP = timedelta(days=90)
"""For how long a key may have two texts at most, after it was rotated."""


class KeyState(StrEnum):
    """What became of a key."""

    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Scopes:
    """What a key is good for; empty is everything, from everywhere.

    Args:
        networks: Where it may be used from, as CIDR (`10.0.0.0/8`, `2001:db8::/32`).
        priority: How urgent its calls are at best.
    """

    operations: tuple[Operation, ...] = ()
    networks: tuple[str, ...] = ()
    priority: Priority = Priority.INTERACTIVE


EVERYTHING = Scopes()


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as the database knows it.

    Args:
        prefix: The key's first characters, to recognise it by.
        path: The nodes that it stands below, from its project or team up to its organisation.
        former_prefix: Of the text that it had before it was rotated.
        former_until: When that text ends; the key's own end or `revoked_at` may come before.
        last_used_at: To within some seconds.
    """

    id: str
    name: str
    prefix: str
    holder: Holder
    path: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    scopes: Scopes = EVERYTHING
    former_prefix: str | None = None
    former_until: datetime | None = None
    rotated_at: datetime | None = None
    created_by: str | None = None
    revoked_by: str | None = None
    last_used_at: datetime | None = None

    @property
    def organisation(self) -> str:
        """The organisation's id."""
        return self.path[-1].partition(":")[2]

    def state(self, now: datetime) -> KeyState:
        """What became of it by `now`."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        is_over = self.expires_at is not None and self.expires_at <= now
        return KeyState.EXPIRED if is_over else KeyState.LIVE

    def is_live(self, now: datetime) -> bool:
        """Whether the key opens the door at `now`."""
        return self.state(now) is KeyState.LIVE

    def shown(self) -> dict[str, Any]:
        """In JSON's types, for the audit trail and the admin API: no secret, no digest."""
        holder, scopes = self.holder, self.scopes
        models = holder.allowed_models
        told: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "prefix": self.prefix,
            "team": holder.team,
            "project": holder.project,
            "user": holder.user,
            "application": holder.application,
            "roles": list(holder.roles),
            "groups": list(holder.groups),
            "clearance": holder.clearance,
            "allowed_models": None if models is None else list(models),
            "operations": [operation.value for operation in scopes.operations],
            "networks": list(scopes.networks),
            "priority": scopes.priority.value,
            "former_prefix": self.former_prefix,
            "created_by": self.created_by,
            "revoked_by": self.revoked_by,
        }
        for name in ("created_at", "expires_at", "revoked_at", "rotated_at", "former_until"):
            moment: datetime | None = getattr(self, name)
            told[name] = None if moment is None else moment.isoformat()
        return told


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key's new text, and the only time that it is seen; `repr` leaves it out.

    Args:
        ended_prefix: Of a still older text, which a rotation has ended before its time.
    """

    text: str
    record: KeyRecord
    ended_prefix: str | None = None

    def __repr__(self) -> str:
        return f"IssuedKey(record={self.record!r})"


class Keys(Protocol):
    """Reads and changes keys; every change is audited in its own transaction.

    All raise `PolicyUnavailable` when the database fails.
    """

    async def issue_key(
        self,
        name: str,
        holder: Holder,
        *,
        scopes: Scopes = ...,
        expires_at: datetime | None = None,
        limits: Mapping[Measure, Decimal] = ...,
        actor: Actor = ...,
    ) -> IssuedKey:
        """Make a key, with limits of its own. Its text is in the answer and nowhere else.

        Raises:
            OrganisationError: The team or the project does not exist, or the project is another
                team's; a name, a network or an amount makes no sense.
        """
        ...

    async def rotate_key(
        self,
        key_id: str,
        *,
        overlap: timedelta,
        expires_at: datetime | None = None,
        actor: Actor = ...,
        check: Check[KeyRecord] | None = None,
    ) -> IssuedKey:
        """Give a key a new text; the one that it had is good for a while yet.

        The key stays the same: its id, and with it its limits and what is used of them, its holder
        and its scopes. It has two texts at most, so to rotate it again ends the oldest at once.

        Args:
            key_id: The key's.
            overlap: For how long the text that it had stays good, unless it ends sooner anyway.
            expires_at: When the key ends; by default the new text lives as long as the one before
                was to.
            actor: Who does it.
            check: Of the key as it is.

        Raises:
            OrganisationError: There is no such key, it is not live, or the overlap is negative or
                longer than `LONGEST_OVERLAP`.
        """
        ...

    async def revoke_key(
        self, key_id: str, *, actor: Actor = ..., check: Check[KeyRecord] | None = None
    ) -> bool:
        """Close a key for good; false when there is no such key, or it is closed already."""
        ...

    async def list_keys(
        self,
        *,
        team: str | None = None,
        within: Collection[str] | None = None,
        after: str | None = None,
        most: int | None = None,
    ) -> tuple[KeyRecord, ...]:
        """Keys in the order of issue.

        Args:
            team: Only this team's.
            within: Only those at or below these nodes; `None` for all.
            after: Only those issued after this key id; for the next page.
            most: How many at most.
        """
        ...

    async def find(self, key_id: str) -> KeyRecord | None:
        """A key by its id."""
        ...

    async def path_of(self, holder: Holder) -> tuple[str, ...]:
        """The nodes that a holder stands below.

        Raises:
            OrganisationError: As `issue_key`.
        """
        ...

    async def note_used(self, key_ids: Collection[str], at: datetime) -> None:
        """Say that these keys were used."""
        ...
