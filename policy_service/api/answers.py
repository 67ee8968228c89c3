"""Answers of the admin API that its handlers put together by hand, for its description."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from llm_core.audit.event import Checkpoint
from llm_core.policy.limits import Raise
from policy_service.ports.alerts import Alert
from policy_service.ports.audit import AuditRow
from policy_service.ports.content import ContentFacts
from policy_service.ports.keys import KeyState
from policy_service.ports.organisation import AuditRecord, Change, RaiseRecord


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A key: everything but its text."""

    id: str
    name: str
    prefix: str
    team: str
    project: str | None
    user: str | None
    application: str | None
    roles: list[str]
    groups: list[str]
    clearance: str | None
    allowed_models: list[str] | None
    operations: list[str]
    networks: list[str]
    priority: str
    state: KeyState
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    rotated_at: datetime | None
    former_prefix: str | None
    former_until: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewlyIssuedKey(ShownKey):
    """A key with its text, which is shown this once."""

    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RotatedKey(NewlyIssuedKey):
    """A key with its new text; `ended_prefix` is of a still older one, ended before its time."""

    ended_prefix: str | None


@dataclass(frozen=True, slots=True)
class ListedKeys:
    """Keys, in the order of issue."""

    rows: Sequence[ShownKey]
    next: str | None


@dataclass(frozen=True, slots=True)
class ShownLimit:
    """A limit with the models that its scope stands for, its raises, and its ETag."""

    node: str
    measure: str
    amount: Decimal
    scope: str
    models: list[str]
    interactive_share: Decimal
    time_zone: str
    raises: Sequence[Raise]
    etag: str


@dataclass(frozen=True, slots=True)
class ListedLimits:
    """Limits, by node, scope and measure."""

    rows: Sequence[ShownLimit]
    next: str | None


@dataclass(frozen=True, slots=True)
class ListedRaises:
    """Raises, by their beginning."""

    rows: Sequence[RaiseRecord]
    next: str | None


@dataclass(frozen=True, slots=True)
class ListedPart:
    """A part of the organisation; the fields of its record are in docs/organisation.md."""

    subject: str
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ListedParts:
    """Parts, by subject."""

    rows: Sequence[ListedPart]
    next: str | None


@dataclass(frozen=True, slots=True)
class ShownPart:
    """A part of the organisation, and every node above it."""

    subject: str
    record: dict[str, Any]
    path: list[str]


@dataclass(frozen=True, slots=True)
class PartChanged:
    """What became of a part; `None` when it was so already."""

    change: Change | None


@dataclass(frozen=True, slots=True)
class PartsRemoved:
    """All that went with a part."""

    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class RoleGiven:
    """Whether they did not have it before."""

    is_new: bool


@dataclass(frozen=True, slots=True)
class ListedAudit:
    """Who changed what, the newest first."""

    rows: Sequence[AuditRecord]
    next: str | None


@dataclass(frozen=True, slots=True)
class ListedEvents:
    """Events of the audit chain, chain by chain, the newest of each first."""

    rows: Sequence[AuditRow]
    next: str | None


@dataclass(frozen=True, slots=True)
class ListedCheckpoints:
    """Signed checkpoints, the newest first."""

    rows: Sequence[Checkpoint]
    next: str | None


@dataclass(frozen=True, slots=True)
class ListedContent:
    """Lines of the content log, without words, the newest first."""

    rows: Sequence[ContentFacts]
    next: str | None


@dataclass(frozen=True, slots=True)
class ListedAlerts:
    """Limits that passed a threshold, the newest first."""

    rows: Sequence[Alert]
    next: str | None
