"""The organisation as administrators see it: its parts, what changes, and who changed it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from llm_core.policy.limits import Limit, Measure
from llm_core.policy.roles import Actor, Grant, Role

T = TypeVar("T")
Check = Callable[[T | None], None]
"""Looks at what is to be changed, in the transaction of the change; raises to leave it as it is."""
PartCheck = Check[Mapping[str, Any]] | None
"""Of a part's or a limit's record."""
RolesCheck = Check[Collection[Grant]] | None
"""Of all roles that somebody was given."""


class OrganisationError(ValueError):
    """What was asked for cannot be: a unit does not exist, an id or an amount makes no sense."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a key or a Kong consumer stands for.

    Args:
        team: Every caller belongs to one.
        project: One of the team's.
        allowed_models: Aliases, `("*",)` for every one the team may use, `None` for no word on it.
    """

    team: str
    project: str | None = None
    user: str | None = None
    application: str | None = None
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    clearance: str | None = None
    allowed_models: tuple[str, ...] | None = None


class ChangeKind(StrEnum):
    """What happens to a part of the organisation."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between how the organisation is and how it shall be.

    Args:
        subject: `<kind>:<id>`, for example `team:search` or `limit:team:search:usd_per_month`.
        before: How it is, in JSON's types; `None` when it is added.
        after: How it shall be; `None` when it is removed.
    """

    kind: ChangeKind
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @property
    def kind_of_subject(self) -> str:
        """`team`, `limit` and so on."""
        return self.subject.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a company's file changed, or would.

    Args:
        changes: In the order in which they are shown.
        left_alone: What the file does not name and only pruning would take away.
        keys: The text of every new key, by name: the only time that it is seen. Where two teams
            have a new key of one name, it is `<team>/<name>`.
    """

    changes: tuple[Change, ...]
    left_alone: tuple[Change, ...] = ()
    keys: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return f"Applied(changes={self.changes!r}, left_alone={self.left_alone!r})"


@dataclass(frozen=True, slots=True)
class RaiseRecord:
    """More than a limit's amount for a while, and who said so.

    Args:
        scope: As in `Limit`.
        amount: How much more, in the limit's unit.
    """

    id: str
    node: str
    scope: str
    measure: Measure
    amount: Decimal
    starts_at: datetime
    until: datetime
    author: str
    reason: str
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One change that was made. `before` and `after` hold no secrets."""

    seq: int
    id: str
    at: datetime
    actor: str
    proof: str
    action: str
    subject: str
    organisation: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Administration(Protocol):
    """Reads and changes the organisation; every change is audited in its own transaction.

    All raise `PolicyUnavailable` when the database fails, and `OrganisationError` when what is
    asked for cannot be.
    """

    async def path_of(self, node: str) -> tuple[str, ...]:
        """The node, and every node above it up to the organisation."""
        ...

    async def parts(
        self, organisation: str | None = None, *, within: Collection[str] | None = None
    ) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Subject and record of every part of one organisation, or of all, but keys and limits.

        Args:
            organisation: Only of this one.
            within: Only what is one of these nodes, or below one; `None` for everything.
        """
        ...

    async def find(self, subject: str) -> dict[str, Any] | None:
        """The record of one part; `None` when it is not there."""
        ...

    async def grants_of(self, subject: str) -> tuple[Grant, ...]:
        """The roles that `user:<id>`, `application:<id>` or `group:<name>` was given."""
        ...

    async def put(
        self,
        subject: str,
        record: Mapping[str, Any],
        actor: Actor,
        *,
        check: PartCheck = None,
    ) -> Change | None:
        """Make one part, or change it to this; `None` when it was so already.

        Args:
            subject: `organisation:acme`, `team:search`, `user:alice`, `application:ranker` ...
            record: Its fields; what is left out has its default.
            actor: Who does it.
            check: Of its record.
        """
        ...

    async def remove(
        self, subject: str, actor: Actor, *, check: PartCheck = None
    ) -> tuple[Change, ...]:
        """Take one part away with everything below it, if it is there; its keys are revoked."""
        ...

    async def grant(
        self, role: Role, node: str, subject: str, actor: Actor, *, check: RolesCheck = None
    ) -> bool:
        """Give a role; false when they have it.

        Args:
            role: Which.
            node: Where; it holds below as well.
            subject: `user:<id>`, `application:<id>` or `group:<name>`.
            actor: Who gives it.
            check: Of the roles that the subject has.
        """
        ...

    async def take(
        self, role: Role, node: str, subject: str, actor: Actor, *, check: RolesCheck = None
    ) -> bool:
        """Take a role; false when they do not have it."""
        ...

    async def limits(self) -> tuple[Limit, ...]:
        """Every limit, by node, scope and measure."""
        ...

    async def put_limit(self, limit: Limit, actor: Actor, *, check: PartCheck = None) -> None:
        """Set a limit, or change it; its raises, models and time zone are not looked at.

        `check` is of its record: node, scope, measure, and as text amount and interactive_share.
        """
        ...

    async def remove_limit(
        self,
        node: str,
        measure: Measure,
        scope: str = "",
        actor: Actor = ...,
        *,
        check: PartCheck = None,
    ) -> bool:
        """Lift a limit; false when there was none."""
        ...

    async def raise_limit(
        self,
        node: str,
        scope: str,
        measure: Measure,
        amount: Decimal,
        *,
        until: datetime,
        author: Actor,
        reason: str,
    ) -> RaiseRecord:
        """Give more than a limit's amount, from now on until then."""
        ...

    async def withdraw_raise(self, raise_id: str, actor: Actor) -> bool:
        """End a raise now; false when there is none, or it is over."""
        ...

    async def raises(
        self, node: str | None = None, *, with_past: bool = False
    ) -> tuple[RaiseRecord, ...]:
        """Raises that hold or will, by their beginning; with the past ones too if asked for."""
        ...

    async def find_raise(self, raise_id: str) -> RaiseRecord | None:
        """One raise, whether it still holds or not."""
        ...


class Companies(Protocol):
    """A whole company as one document."""

    async def export(self, organisation: str | None = None) -> dict[str, Any]:
        """The document of an organisation, in JSON's types; of the only one if none is named."""
        ...

    async def apply(
        self, document: object, actor: Actor, *, prune: bool = False, dry_run: bool = False
    ) -> Applied:
        """Make the organisation what the document says, in one transaction.

        Raises:
            OrganisationError: The document is at fault; the message has a line for each fault.
        """
        ...


class Audit(Protocol):
    """What was changed, by whom."""

    async def entries(
        self,
        *,
        action: str | None = None,
        subject: str | None = None,
        actor: str | None = None,
        since: datetime | None = None,
        before_seq: int | None = None,
        organisations: frozenset[str] | None = None,
        limit: int = 100,
    ) -> tuple[AuditRecord, ...]:
        """The newest entries first; see `adapters.sql.audit.AuditLog`."""
        ...

    async def about_team(
        self, team: str, *, before_seq: int | None = None, limit: int = 100
    ) -> tuple[AuditRecord, ...]:
        """The newest entries about a team, its projects, its keys, and the limits of all these."""
        ...
