"""Incidents and the notices that tell of them: kept, handed over, and taken by channels."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from llm_core.alerts.incident import Incident, IncidentKind, Notice, Trouble
from llm_core.alerts.routing import Routes


class Incidents(Protocol):
    """Every incident once, over all processes. Raises `PolicyUnavailable` when it cannot be asked.

    Whatever is to be told is noted in the transaction of what it tells of.
    """

    async def open_ones(self, kind: IncidentKind) -> Mapping[str, Incident]:
        """Those of a kind that are open, by subject."""
        ...

    async def see(
        self,
        troubles: Sequence[Trouble],
        now: datetime,
        routes: Routes,
        *,
        again_after: timedelta | None = None,
        tells_every_stage: bool = False,
    ) -> Sequence[Incident]:
        """Open an incident for each trouble, or note that it was seen again.

        Args:
            troubles: What is wrong now.
            now: When.
            routes: Who is told.
            again_after: Told anew when the last notice is so old; `None`: never.
            tells_every_stage: Told of each stage once, also of one that was passed before.

        Returns:
            Those that are new.
        """
        ...

    async def recover(
        self, incidents: Sequence[Incident], now: datetime, routes: Routes
    ) -> Sequence[Incident]:
        """End these; whoever was told of one is told that it is over.

        Returns:
            Those that were ended from here.
        """
        ...

    async def listed(
        self,
        *,
        is_open: bool,
        nodes: Collection[str] | None = None,
        sees_platform: bool = True,
        before: str | None = None,
        most: int = 100,
    ) -> tuple[Incident, ...]:
        """The newest first.

        Args:
            is_open: Only those that are not over.
            nodes: Only at or below these; `None` for every one.
            sees_platform: Those that are about no node as well.
            before: Only those that are older than the one of this id.
            most: How many.
        """
        ...


class Outbox(Protocol):
    """Notices that wait for their channel. Raises `PolicyUnavailable` when it cannot be asked.

    A notice is handed out to one process at a time. Of an incident, a channel gets one notice after
    the other, in their order.
    """

    async def claim(
        self, channels: Collection[str], owner: str, now: datetime, until: datetime, most: int
    ) -> Sequence[Notice]:
        """The oldest that are due, for this owner alone until then."""
        ...

    async def sent(self, notice_ids: Sequence[str], now: datetime) -> None:
        """Note that these were taken."""
        ...

    async def failed(self, notice: Notice, owner: str, due_at: datetime, why: str) -> None:
        """Note that a channel did not take it; it is due again then."""
        ...

    async def waiting(self) -> Mapping[str, int]:
        """How many wait, by channel."""
        ...

    async def forget(self, before: datetime) -> int:
        """Drop notices that were sent before then; gives how many."""
        ...


class ChannelFailed(Exception):
    """A channel did not take a notice. The message says why, without addresses and secrets."""


class Channel(Protocol):
    """Where people are told."""

    @property
    def name(self) -> str:
        """As the configuration has it."""
        ...

    @property
    def kind(self) -> str:
        """`webhook`, `slack` or `email`."""
        ...

    async def send(self, notice: Notice) -> None:
        """Hand a notice over.

        Raises:
            ChannelFailed: It was not taken; it may be sent again.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Leases(Protocol):
    """Which process does a piece of work that one is enough for."""

    async def hold(self, name: str, owner: str, now: datetime, seconds: float) -> bool:
        """Whether this owner has it to itself for so long; asks again to go on."""
        ...

    async def release(self, owner: str) -> None:
        """Give back whatever this owner holds."""
        ...


@dataclass(frozen=True, slots=True)
class SpentHours:
    """What one part of the organisation spent by full hour, UTC.

    Args:
        node: Such as `team:search`.
        time_zone: Of its organisation.
    """

    node: str
    time_zone: str
    by_hour: Mapping[datetime, Decimal]


@dataclass(frozen=True, slots=True)
class CallCounts:
    """How many calls of a provider's model there were, and how many of them failed."""

    provider: str
    model: str
    calls: int
    failed: int


@dataclass(frozen=True, slots=True)
class UnpricedCalls:
    """Calls of a model that lacked a price.

    Args:
        refused: Nobody was asked.
        estimated: They were booked at the reserved worst case.
    """

    model: str
    refused: int
    estimated: int


class Watched(Protocol):
    """What the ledger and the decision log tell watchers.

    Raises `PolicyUnavailable` when they cannot be asked.
    """

    async def time_zones(self) -> frozenset[str]:
        """Those of all organisations."""
        ...

    async def spent_hours(
        self, level: str, time_zone: str, hours: Collection[datetime]
    ) -> Sequence[SpentHours]:
        """What the parts of this level spent in these hours, in organisations of this zone.

        Args:
            level: `team`, `department` or `organisation`.
            time_zone: Of the organisation.
            hours: Full hours, UTC.
        """
        ...

    async def has_spent(self, node: str, before: datetime) -> bool:
        """Whether the ledger knows a node from before then."""
        ...

    async def call_counts(self, since: datetime) -> Sequence[CallCounts]:
        """The calls since then that came to a provider; what callers did wrong is no failure."""
        ...

    async def unpriced_calls(self, since: datetime) -> Sequence[UnpricedCalls]:
        """The calls since then that lacked a price."""
        ...
