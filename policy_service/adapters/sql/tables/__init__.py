"""What the database holds: the organisation, its keys, who did what, decisions, the ledger.

Ids of organisational units are the company's own short names and unique per kind, because limits
name a unit as `<kind>:<id>`. `allowed_models` is a list of aliases, or null for "no word on it".
Every module of tables is imported here, so that `Base.metadata` has them all.
"""

from policy_service.adapters.sql.tables.approvals import (
    ApprovalHistory,
    ApprovalIdentity,
    ApprovalNoticeRow,
    ApprovalRequest,
)
from policy_service.adapters.sql.tables.audit_chain import (
    AuditCheckpoint,
    AuditCursor,
    AuditHead,
    AuditLease,
    AuditLink,
    AuditOutbox,
)
from policy_service.adapters.sql.tables.base import AMOUNT, USD, Base
from policy_service.adapters.sql.tables.breakers import (
    BreakerTransitionRow,
)
from policy_service.adapters.sql.tables.chargeback import (
    Chargeback,
    ChargebackRules,
)
from policy_service.adapters.sql.tables.content import (
    ContentEntry,
)
from policy_service.adapters.sql.tables.decisions import (
    DecisionEntry,
)
from policy_service.adapters.sql.tables.idempotency import (
    IdempotencyRow,
)
from policy_service.adapters.sql.tables.incidents import (
    IncidentRow,
    OutboxRow,
)
from policy_service.adapters.sql.tables.journals import (
    PluginJournalRow,
)
from policy_service.adapters.sql.tables.ledger import (
    Usage,
    UsageDailyCallers,
    UsageDailyModels,
    UsageHourly,
    UsageLatency,
    UsageLatencyModels,
)
from policy_service.adapters.sql.tables.policies import (
    PolicyActivation,
    PolicyDifference,
    PolicyShadow,
    PolicyShadowCount,
    StoredPolicy,
)
from policy_service.adapters.sql.tables.reports import (
    ReportRunRow,
    ReportScheduleRow,
)
from policy_service.adapters.sql.tables.who import (
    AdminToken,
    ApiKey,
    Application,
    AuditEntry,
    CostCentre,
    DepartmentUnit,
    GroupBinding,
    KongConsumer,
    LimitRaise,
    LimitRow,
    ModelGroup,
    OrganisationUnit,
    ProjectUnit,
    RoleGrant,
    TeamUnit,
    ThresholdEvent,
    User,
)

__all__ = [
    "AMOUNT",
    "USD",
    "AdminToken",
    "ApiKey",
    "Application",
    "ApprovalHistory",
    "ApprovalIdentity",
    "ApprovalNoticeRow",
    "ApprovalRequest",
    "AuditCheckpoint",
    "AuditCursor",
    "AuditEntry",
    "AuditHead",
    "AuditLease",
    "AuditLink",
    "AuditOutbox",
    "Base",
    "BreakerTransitionRow",
    "Chargeback",
    "ChargebackRules",
    "ContentEntry",
    "CostCentre",
    "DecisionEntry",
    "DepartmentUnit",
    "GroupBinding",
    "IdempotencyRow",
    "IncidentRow",
    "KongConsumer",
    "LimitRaise",
    "LimitRow",
    "ModelGroup",
    "OrganisationUnit",
    "OutboxRow",
    "PluginJournalRow",
    "PolicyActivation",
    "PolicyDifference",
    "PolicyShadow",
    "PolicyShadowCount",
    "ProjectUnit",
    "ReportRunRow",
    "ReportScheduleRow",
    "RoleGrant",
    "StoredPolicy",
    "TeamUnit",
    "ThresholdEvent",
    "Usage",
    "UsageDailyCallers",
    "UsageDailyModels",
    "UsageHourly",
    "UsageLatency",
    "UsageLatencyModels",
    "User",
]
