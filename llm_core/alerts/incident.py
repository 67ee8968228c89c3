"""Incidents: what is wrong, since when, and how bad; and the notices that tell of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class IncidentKind(StrEnum):
    """What can be wrong."""

    BUDGET = "budget"
    SPEND_ANOMALY = "spend_anomaly"
    PROVIDER_DOWN = "provider_down"
    ERROR_RATE = "error_rate"
    DEGRADED = "degraded"
    UNPRICED_MODEL = "unpriced_model"
    AUDIT_CHAIN = "audit_chain"
    BACKLOG = "backlog"
    JOURNAL_GROWING = "journal_growing"


class Severity(StrEnum):
    """How bad; quiet hours hold back all but what is critical."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """The higher, the worse."""
        return tuple(Severity).index(self)


class NoticeEvent(StrEnum):
    """What a notice tells of its incident."""

    OPENED = "incident.opened"
    WORSE = "incident.worse"
    STILL_OPEN = "incident.still_open"
    RECOVERED = "incident.recovered"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong just now; kind and subject name it.

    Args:
        subject: What is wrong, such as `deployment:openai-mini`; no secret, no words of callers.
        title: One sentence without a full stop.
        node: The part of the organisation that it is about; `None` for the platform.
        facts: What watchers and receivers go by, in JSON's types.
        stage: Grows as it gets worse; people are told anew when it does.
    """

    kind: IncidentKind
    subject: str
    severity: Severity
    title: str
    detail: str = ""
    node: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    stage: int = 0


@dataclass(frozen=True, slots=True)
class Incident:
    """A trouble from its beginning to its end; times are UTC.

    Args:
        last_seen_at: When somebody last looked and found it.
        recovered_at: `None` while it is open.
    """

    id: str
    kind: IncidentKind
    node: str | None
    subject: str
    severity: Severity
    title: str
    detail: str
    opened_at: datetime
    last_seen_at: datetime
    recovered_at: datetime | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one channel.

    Args:
        id: The same however often it is sent: whoever gets it twice can tell.
        at: When there was something to tell.
        incident: As it was then.
        attempts: How often it was tried in vain.
    """

    id: str
    channel: str
    event: NoticeEvent
    at: datetime
    incident: Incident
    attempts: int = 0
