"""When something is an incident: one set of rules for each kind, with defaults."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from llm_core.alerts.anomaly import AnomalyRules
from llm_core.alerts.incident import IncidentKind, Severity

_WARNING_PERCENT = 80
_CRITICAL_PERCENT = 100
_CALM_SHARE = 2


@dataclass(frozen=True, slots=True)
class SpendAnomaly:
    """Args: `level` is whose hours are looked at: `team`, `department` or `organisation`."""

    rules: AnomalyRules = field(default_factory=AnomalyRules)
    level: str = "team"
    calm_hours: int = 3
    """It is over after so many ordinary hours."""


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """When too many calls of a provider's model fail.

    Args:
        window: How far back is looked.
        least_calls: Fewer say nothing.
        opens_at: From this share of failures it is an incident, until it is under `closes_at`.
    """

    window: timedelta = timedelta(minutes=15)
    least_calls: int = 20
    opens_at: float = 0.2
    closes_at: float = 0.1

    def is_wrong(self, calls: int, failed: int, *, is_open: bool) -> bool:
        """Whether it is an incident, or still one."""
        if calls == 0 or failed == 0:
            return False
        if is_open:
            return failed / calls >= self.closes_at
        return calls >= self.least_calls and failed / calls >= self.opens_at


@dataclass(frozen=True, slots=True)
class Backlog:
    """Args: from `rows` rows in the ledger's queue it is an incident, until half of them."""

    rows: int = 10_000

    def is_wrong(self, waiting: int, *, is_open: bool) -> bool:
        """Whether it is an incident, or still one."""
        return waiting >= (max(self.rows // _CALM_SHARE, 1) if is_open else self.rows)


@dataclass(frozen=True, slots=True)
class JournalGrowing:
    """When reports wait in plugins' journals for too long.

    Args:
        reports: So many in one journal,
        after: for which it was said so long that some wait; it is over when none does.
    """

    reports: int = 1
    after: timedelta = timedelta(minutes=5)

    def is_wrong(self, waiting: int, since: timedelta, *, is_full: bool, is_open: bool) -> bool:
        """Whether it is an incident, or still one; a journal that cannot be written is at once."""
        if is_full:
            return True
        if is_open:
            return waiting > 0
        return waiting >= self.reports and since >= self.after


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """Args: so many of each chain's newest events are verified, every so often."""

    every: timedelta = timedelta(minutes=10)
    newest: int = 2_000


@dataclass(frozen=True, slots=True)
class AlertRules:
    """All of them.

    Args:
        off: Kinds that nobody looks for.
        provider_down_after: A deployment that cannot be called for so long is down.
        unpriced_window: How long after the last such call it is over.
        again_after: People are told again of what is still open after so long; `None`: never.
        again: The same for single kinds.
    """

    off: frozenset[IncidentKind] = frozenset()
    spend_anomaly: SpendAnomaly = field(default_factory=SpendAnomaly)
    provider_down_after: timedelta = timedelta(minutes=1)
    error_rate: ErrorRate = field(default_factory=ErrorRate)
    unpriced_window: timedelta = timedelta(hours=1)
    audit_chain: AuditCheck = field(default_factory=AuditCheck)
    backlog: Backlog = field(default_factory=Backlog)
    journal_growing: JournalGrowing = field(default_factory=JournalGrowing)
    again_after: timedelta | None = timedelta(hours=24)
    again: tuple[tuple[IncidentKind, timedelta | None], ...] = ((IncidentKind.BUDGET, None),)
    """A budget that is passed stays so to its period's end: nobody wants that daily."""

    def again_after_for(self, kind: IncidentKind) -> timedelta | None:
        """After how long people are told again of an open incident of this kind."""
        return dict(self.again).get(kind, self.again_after)


def severity_of_threshold(percent: int) -> Severity:
    """How bad it is that so much of a limit is used."""
    if percent >= _CRITICAL_PERCENT:
        return Severity.CRITICAL
    return Severity.WARNING if percent >= _WARNING_PERCENT else Severity.INFO


def short_usd(usd: Decimal) -> str:
    """An amount as people read it: two places, and more where it is less than a cent."""
    if usd and abs(usd) < Decimal("0.01"):
        return f"{usd:.4f} USD"
    return f"{usd:,.2f} USD"
