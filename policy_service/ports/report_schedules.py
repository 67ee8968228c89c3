"""Reports that are sent by themselves: who gets which, what they hold, and how they go out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from llm_core.policy.roles import Actor
from policy_service.ports.organisation import Check


class ReportKind(StrEnum):
    """What a report holds."""

    SUMMARY = "summary"
    CHARGEBACK = "chargeback"
    """A month's statement, or what a week would come to."""


class Cadence(StrEnum):
    """How often, and about which time: the week or the month that has just ended."""

    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class ReportSchedule:
    """A report that is sent by itself.

    Args:
        organisation: Whose.
        node: What it is about, such as `department:research`; it holds nothing else.
        hour: By the organisation's clocks; on Mondays, or on the first of a month.
        to: E-mail addresses, and `webhook:<name>` for those of `POLICY_REPORT_WEBHOOKS`.
        since: Only reports that fall due after it are sent.
        time_zone: The organisation's now.
        per_department: In place of one report of the organisation, one of each of its departments.
        department_to: Who gets a department's own, by its id, in place of `to`.
    """

    id: str
    organisation: str
    node: str
    kind: ReportKind
    cadence: Cadence
    hour: int
    to: tuple[str, ...]
    since: datetime
    set_by: str
    time_zone: str = "UTC"
    per_department: bool = False
    department_to: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class RunState(StrEnum):
    """How a report fares."""

    SENDING = "sending"
    WAITING = "waiting"
    """To be tried again."""
    SENT = "sent"
    FAILED = "failed"
    """Given up."""


@dataclass(frozen=True, slots=True)
class ReportRun:
    """A report of one period on its way to one destination.

    Args:
        destination: `email` for all addresses together, or `webhook:<name>`.
        attempts: How often it was tried.
        error: Why it was not sent, or to whom it was not; without secrets.
        node: What it is about; empty for what was sent before that was noted.
    """

    id: str
    schedule: str
    period: str
    destination: str
    state: RunState
    attempts: int
    at: datetime
    next_at: datetime
    sent_at: datetime | None
    error: str
    node: str = ""


@dataclass(frozen=True, slots=True)
class UsedBy:
    """What a part of a report used.

    Args:
        name: A day, a team with its department, or a model.
        before_usd: In the period before.
    """

    name: str
    requests: int
    usd: Decimal
    before_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class ReportFigures:
    """What a summary tells.

    Args:
        days: Each day of the period, in order.
        teams: The most expensive first; likewise `models`.
        untagged_usd: What has no cost centre.
    """

    requests: int
    usd: Decimal
    before_usd: Decimal
    untagged_usd: Decimal
    days: tuple[UsedBy, ...]
    teams: tuple[UsedBy, ...]
    models: tuple[UsedBy, ...]


@dataclass(frozen=True, slots=True)
class NewRun:
    """Which report is to be claimed; see `ReportRun`."""

    schedule: str
    period: str
    destination: str
    node: str


class ReportSchedules(Protocol):
    """Schedules, and what was sent. All raise `PolicyUnavailable` when the database fails."""

    async def all(self, organisations: frozenset[str] | None = None) -> Sequence[ReportSchedule]:
        """Every schedule, by id; of these organisations, or of all."""
        ...

    async def find(self, schedule_id: str) -> ReportSchedule | None:
        """One of them."""
        ...

    async def put(
        self, actor: Actor, schedule: ReportSchedule, *, check: Check[ReportSchedule] | None = None
    ) -> ReportSchedule:
        """Add it, or change the one of its id; audited with it."""
        ...

    async def remove(
        self, actor: Actor, schedule: ReportSchedule, *, check: Check[ReportSchedule] | None = None
    ) -> bool:
        """Take it away; false when it is not there. Its history stays."""
        ...

    async def claim(self, run_id: str, report: NewRun) -> ReportRun | None:
        """Take a report upon oneself; `None` when somebody else has, or it is done or not due."""
        ...

    async def settle(self, run: ReportRun, state: RunState, next_at: datetime, error: str) -> None:
        """Say how it went; whoever has lost the claim meanwhile is not heeded."""
        ...

    async def runs(
        self,
        schedule_id: str,
        *,
        most: int,
        after: tuple[datetime, str] | None = None,
        ending: str = "",
    ) -> Sequence[ReportRun]:
        """What was sent, the newest first.

        Args:
            schedule_id: Of the schedule.
            most: So many.
            after: Only what is behind a run: its `at` and its id.
            ending: Only runs whose id ends so.
        """
        ...

    async def zone(self, organisation: str) -> str:
        """The organisation's time zone; UTC for one that is not there."""
        ...

    async def departments(self, organisation: str) -> Sequence[str]:
        """The ids of the departments that it has now, in order."""
        ...

    async def spenders(self, organisation: str, start: datetime, end: datetime) -> Sequence[str]:
        """The ids of the departments that used something then, whether they are there or not."""
        ...

    async def figures(
        self,
        node: str,
        organisation: str,
        days: Sequence[tuple[str, datetime, datetime]],
        before: datetime,
    ) -> ReportFigures:
        """What stands at or below a node used in these days.

        Args:
            node: Whose.
            organisation: The one that it is in.
            days: Each with its name, its first moment, and the next one's.
            before: The first moment of the period before.
        """
        ...


class ReportHooks(Protocol):
    """Webhooks that take reports, by name."""

    @property
    def names(self) -> frozenset[str]:
        """Those that there are."""
        ...

    async def post(self, name: str, body: Mapping[str, Any]) -> None:
        """Hand a report over.

        Raises:
            ReportNotTaken: It was not taken.
        """
        ...


class ReportNotTaken(Exception):
    """Whoever was to have a report did not take it; says why, without secrets."""
