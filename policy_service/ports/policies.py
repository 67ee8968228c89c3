"""Signed policies as compliance handles them: uploaded, live, shadow, rolled back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from llm_core.policy.roles import Actor
from policy_service.ports.organisation import Check

MOST_TARBALL_BYTES = 8 * 1024 * 1024
"""A longer bundle is refused before it is looked into."""


class PolicyRefused(ValueError):
    """A bundle cannot be used, or there is none of that name; the message says why."""


class ActivationAction(StrEnum):
    """How a policy became live."""

    ACTIVATE = "activate"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class BundleRecord:
    """A bundle that was uploaded.

    Args:
        digest: Of rules and lists, hex.
        revision: With the digest's beginning.
        key_id: Of the key that signed it.
        tests: What its own tests came to, in words.
    """

    digest: str
    revision: str
    key_id: str
    tests: str
    uploaded_by: str
    uploaded_at: datetime


@dataclass(frozen=True, slots=True)
class ActivationRecord:
    """A change of what is live.

    Args:
        digest: `None` when the service's own folder became live again.
        revision: Likewise.
    """

    action: ActivationAction
    digest: str | None
    revision: str | None
    reason: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What is live and what is shadow, as the database has it.

    Args:
        live: The live bundle's digest; `None`: the service's own folder is live.
        shadow: The shadow's digest; `None`: there is none.
        shadow_run: Numbers the shadow's time; what it came to is counted under it.
        live_run: Numbers what is live: higher with every activation and rollback.
    """

    live: str | None = None
    shadow: str | None = None
    shadow_run: int = 0
    live_run: int = 0


@dataclass(frozen=True, slots=True)
class ShadowCount:
    """What a shadow came to in an hour, for a team.

    Args:
        hour: Its beginning, UTC.
        evaluated: How many decisions both policies have made.
        differing: How many of those were not the same.
        failed: How many the shadow gave no answer to.
        dropped: How many it was not asked about, since it did not keep up.
    """

    hour: datetime
    organisation: str
    team: str
    evaluated: int = 0
    differing: int = 0
    failed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class ShadowDifference:
    """A decision that the shadow would have made otherwise.

    Args:
        kinds: `denied`, `allowed`, `permitted`, `obligations`, `codes`.
        before: `{"allow", "permitted", "codes", "obligations"}`, as the live policy said.
        after: As the shadow said.
    """

    at: datetime
    live_revision: str
    organisation: str
    team: str
    operation: str
    asked_model: str
    kinds: tuple[str, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """What a shadow came to since it was switched on.

    Args:
        bundle: `None` when there is no shadow.
        counts: By hour and team, the newest hour first.
        differences: The newest first, some hundred at most.
    """

    bundle: BundleRecord | None
    since: datetime | None
    counts: tuple[ShadowCount, ...]
    differences: tuple[ShadowDifference, ...]


class PolicyStore(Protocol):
    """What of the policies is in the database, as a running service needs it."""

    async def standing(self) -> Standing:
        """What is live and what is shadow.

        Raises:
            PolicyUnavailable: The database failed.
        """
        ...

    async def tarball(self, digest: str) -> bytes:
        """The signed bundle, as it was uploaded.

        Raises:
            PolicyRefused: There is none of that digest.
            PolicyUnavailable: The database failed.
        """
        ...

    async def count_shadow(
        self,
        run: int,
        counts: Sequence[ShadowCount],
        differences: Sequence[ShadowDifference],
    ) -> None:
        """Add to what a shadow came to.

        Raises:
            PolicyUnavailable: The database failed; nothing was added.
        """
        ...


class PolicyDesk(Protocol):
    """What administrators do with policies; every change is audited with it.

    A bundle is named by its digest, by eight or more of the digest's first digits, or by its
    revision, with or without the digest's beginning.
    """

    async def upload(self, actor: Actor, tarball: bytes) -> BundleRecord:
        """Keep a bundle that is signed by a trusted key, compiles, and passes its own tests.

        Raises:
            PolicyRefused: It is or does not; the message says what.
            PolicyUnavailable: The database failed.
        """
        ...

    async def activate(
        self, actor: Actor, bundle: str, reason: str, *, check: Check[Standing] | None = None
    ) -> ActivationRecord:
        """Make a bundle live, in every process within a second.

        Raises:
            PolicyRefused: There is none, it is live already, or it cannot be used any more.
            PolicyUnavailable: The database failed.
        """
        ...

    async def rollback(
        self, actor: Actor, reason: str, *, check: Check[Standing] | None = None
    ) -> ActivationRecord:
        """Make live again what was so before the live one.

        Raises:
            PolicyRefused: Nothing was activated, or what was before cannot be used any more.
            PolicyUnavailable: The database failed.
        """
        ...

    async def shadow(
        self, actor: Actor, bundle: str | None, *, check: Check[Standing] | None = None
    ) -> BundleRecord | None:
        """Evaluate a bundle beside the live one from now on, or none.

        Raises:
            PolicyRefused: There is none of that name, or it cannot be used any more.
            PolicyUnavailable: The database failed.
        """
        ...

    async def bundles(self) -> tuple[BundleRecord, ...]:
        """What was uploaded, the newest first."""
        ...

    async def find(self, bundle: str) -> BundleRecord:
        """One bundle.

        Raises:
            PolicyRefused: None or several have that name.
        """
        ...

    async def history(self) -> tuple[ActivationRecord, ...]:
        """What was live, the newest first."""
        ...

    async def standing(self) -> Standing:
        """What is live and what is shadow."""
        ...

    async def shadow_report(self, nodes: frozenset[str] | None = None) -> ShadowReport:
        """What the shadow came to; of teams at or below these nodes, or of all."""
        ...

    async def organisations(self) -> frozenset[str]:
        """Every organisation's id: the policy is everybody's."""
        ...
