"""Who stands behind a credential."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from llm_core.policy.caller import Caller
from llm_core.policy.claims import Claims


class Unknown(StrEnum):
    """Why nobody is known by a credential."""

    MISTYPED = "mistyped"
    """It has the form of a key of ours, but its checksum is wrong."""
    UNKNOWN = "unknown"
    REVOKED = "revoked"
    EXPIRED = "expired"
    """The credential was good until some moment that is past."""
    NOT_YET_VALID = "not_yet_valid"
    NO_PROOF = "no_proof"
    """A token that is none, was forged, or is for somebody else."""
    UNPLACED = "unplaced"
    """It is good, but says of nobody who belongs to a team."""
    INACTIVE = "inactive"
    """The user or the application was switched off."""
    TOO_MANY_FAILURES = "too_many_failures"
    """Too many other credentials from the same address have failed; this one was not looked up."""


@dataclass(frozen=True, slots=True)
class Identified:
    """A caller, and until when the credential is good at most; `None` for no end."""

    caller: Caller
    valid_until: datetime | None = None


class Callers(Protocol):
    """Finds who stands behind a credential; `PolicyUnavailable` when the database is gone."""

    async def by_key(self, api_key: str) -> Identified | Unknown:
        """The caller of an API key."""
        ...

    async def by_consumer(
        self, *, username: str | None, custom_id: str | None, groups: Collection[str] = ()
    ) -> Identified | Unknown:
        """The caller that a Kong consumer is bound to.

        `custom_id` wins over `username`, and both over `groups`, which Kong's plugins set: the
        first of them, by name, that is bound (`GroupBinding` of the source `kong`).
        """
        ...

    async def by_claims(self, claims: Claims) -> Identified | Unknown:
        """The caller that a verified token speaks of.

        A user or an application of the database that the claims name gives team, project and
        clearance; else the team and project that the claims name, if they exist; else the first
        bound group.
        """
        ...
