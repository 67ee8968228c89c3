"""What every operation of the admin API asks for: one line each.

The documents, the OpenAPI description and the test of roles read this table. The handlers ask by
themselves (`api.admins`); the test goes to each with every role and sees that they ask for this.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from llm_core.policy.roles import Permission


class Where(StrEnum):
    """On which node the permission has to be held."""

    NOWHERE = "whoever is known"
    ANYWHERE = "on any node"
    """What is told is the same for all."""
    ROWS = "on any node; only rows at or below it are told"
    NODE = "on the node that is asked about, or above it"
    HIDDEN = "on its node or above; for everybody else it is not there"
    ABOVE = "above the node: who has a limit does not set it"
    ORGANISATION = "on the whole organisation that is asked about"
    WITHIN = "on the organisation that is asked about or on a part of it; only its lines are told"
    ORGANISATIONS = "on a whole organisation; only rows of such are told"
    EVERY_ORGANISATION = "on every organisation"
    PLATFORM = "on the platform"


@dataclass(frozen=True, slots=True)
class Asked:
    """What an operation asks for; `None` for nothing but a proof of who it is."""

    permission: Permission | None
    where: Where

    def __str__(self) -> str:
        """In words."""
        return f"`{self.permission}` {self.where}" if self.permission else str(self.where)


_P = Permission
OPERATIONS: Mapping[tuple[str, str], Asked] = MappingProxyType(
    {
        ("GET", "/admin/audit-log"): Asked(_P.AUDIT_READ, Where.ORGANISATIONS),
        ("GET", "/admin/usage"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/admin-tokens"): Asked(_P.ADMIN_TOKENS_READ, Where.ROWS),
        ("POST", "/admin/v1/admin-tokens"): Asked(_P.ADMIN_TOKENS_WRITE, Where.NODE),
        ("DELETE", "/admin/v1/admin-tokens/{token_id}"): Asked(_P.ADMIN_TOKENS_WRITE, Where.NODE),
        ("GET", "/admin/v1/alerts"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/alerts/channels"): Asked(_P.ORGANISATION_READ, Where.ORGANISATIONS),
        ("POST", "/admin/v1/alerts/channels/{name}/test"): Asked(
            _P.ORGANISATION_WRITE, Where.PLATFORM
        ),
        ("GET", "/admin/v1/approvals"): Asked(None, Where.ROWS),
        ("POST", "/admin/v1/approvals"): Asked(_P.APPROVALS_ASK, Where.NODE),
        ("GET", "/admin/v1/approvals/{approval_id}"): Asked(_P.ORGANISATION_READ, Where.HIDDEN),
        ("POST", "/admin/v1/approvals/{approval_id}/grant"): Asked(
            _P.APPROVALS_DECIDE, Where.HIDDEN
        ),
        ("POST", "/admin/v1/approvals/{approval_id}/refuse"): Asked(
            _P.APPROVALS_DECIDE, Where.HIDDEN
        ),
        ("POST", "/admin/v1/approvals/{approval_id}/revoke"): Asked(
            _P.APPROVALS_DECIDE, Where.HIDDEN
        ),
        ("POST", "/admin/v1/approvals/{approval_id}/withdraw"): Asked(None, Where.HIDDEN),
        ("GET", "/admin/v1/audit"): Asked(_P.AUDIT_READ, Where.ORGANISATIONS),
        ("GET", "/admin/v1/audit/chain"): Asked(_P.AUDIT_READ, Where.ORGANISATIONS),
        ("GET", "/admin/v1/audit/checkpoints"): Asked(_P.AUDIT_READ, Where.ORGANISATIONS),
        ("GET", "/admin/v1/audit/export"): Asked(_P.AUDIT_READ, Where.ORGANISATIONS),
        ("GET", "/admin/v1/budgets"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/chargebacks"): Asked(_P.USAGE_READ, Where.ROWS),
        ("POST", "/admin/v1/chargebacks"): Asked(_P.CHARGEBACK_CLOSE, Where.ORGANISATION),
        ("GET", "/admin/v1/chargebacks/preview"): Asked(_P.USAGE_READ, Where.WITHIN),
        ("GET", "/admin/v1/chargebacks/preview/export"): Asked(_P.USAGE_READ, Where.WITHIN),
        ("POST", "/admin/v1/chargebacks/reconcile"): Asked(_P.USAGE_READ, Where.ORGANISATION),
        ("GET", "/admin/v1/chargebacks/rules"): Asked(_P.USAGE_READ, Where.ORGANISATION),
        ("PUT", "/admin/v1/chargebacks/rules"): Asked(_P.CHARGEBACK_CLOSE, Where.ORGANISATION),
        ("GET", "/admin/v1/chargebacks/{chargeback_id}"): Asked(_P.USAGE_READ, Where.WITHIN),
        ("GET", "/admin/v1/chargebacks/{chargeback_id}/export"): Asked(_P.USAGE_READ, Where.WITHIN),
        ("GET", "/admin/v1/content"): Asked(_P.CONTENT_READ, Where.ROWS),
        ("GET", "/admin/v1/content/{decision_id}"): Asked(_P.CONTENT_READ, Where.NODE),
        ("GET", "/admin/v1/costs"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/costs/summary"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/costs/values"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/incidents"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/keys"): Asked(_P.KEYS_READ, Where.ROWS),
        ("POST", "/admin/v1/keys"): Asked(_P.KEYS_WRITE, Where.NODE),
        ("GET", "/admin/v1/keys/{key_id}"): Asked(_P.KEYS_READ, Where.NODE),
        ("DELETE", "/admin/v1/keys/{key_id}"): Asked(_P.KEYS_WRITE, Where.NODE),
        ("POST", "/admin/v1/keys/{key_id}/rotate"): Asked(_P.KEYS_WRITE, Where.NODE),
        ("GET", "/admin/v1/limits"): Asked(_P.ORGANISATION_READ, Where.ROWS),
        ("PUT", "/admin/v1/limits"): Asked(_P.LIMITS_WRITE, Where.ABOVE),
        ("DELETE", "/admin/v1/limits"): Asked(_P.LIMITS_WRITE, Where.ABOVE),
        ("GET", "/admin/v1/limits/raises"): Asked(_P.ORGANISATION_READ, Where.ROWS),
        ("POST", "/admin/v1/limits/raises"): Asked(_P.LIMITS_RAISE, Where.ABOVE),
        ("DELETE", "/admin/v1/limits/raises/{raise_id}"): Asked(_P.LIMITS_RAISE, Where.NODE),
        ("GET", "/admin/v1/limits/states"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/models"): Asked(_P.USAGE_READ, Where.ANYWHERE),
        ("GET", "/admin/v1/organisation"): Asked(_P.ORGANISATION_READ, Where.ROWS),
        # The file names the keys, and whoever reads keys reads the organisation.
        ("GET", "/admin/v1/organisation/company"): Asked(_P.KEYS_READ, Where.ORGANISATION),
        ("PUT", "/admin/v1/organisation/company"): Asked(_P.ROLES_GRANT, Where.ORGANISATION),
        ("GET", "/admin/v1/organisation/parts/{subject:path}"): Asked(
            _P.ORGANISATION_READ, Where.NODE
        ),
        ("PUT", "/admin/v1/organisation/parts/{subject:path}"): Asked(
            _P.ORGANISATION_WRITE, Where.NODE
        ),
        ("DELETE", "/admin/v1/organisation/parts/{subject:path}"): Asked(
            _P.ORGANISATION_WRITE, Where.NODE
        ),
        ("GET", "/admin/v1/policies"): Asked(_P.POLICY_READ, Where.ANYWHERE),
        ("POST", "/admin/v1/policies"): Asked(_P.POLICY_WRITE, Where.EVERY_ORGANISATION),
        ("POST", "/admin/v1/policies/activate"): Asked(_P.POLICY_WRITE, Where.EVERY_ORGANISATION),
        ("POST", "/admin/v1/policies/rollback"): Asked(_P.POLICY_WRITE, Where.EVERY_ORGANISATION),
        ("GET", "/admin/v1/policies/shadow"): Asked(_P.POLICY_READ, Where.ROWS),
        ("PUT", "/admin/v1/policies/shadow"): Asked(_P.POLICY_WRITE, Where.EVERY_ORGANISATION),
        ("GET", "/admin/v1/policies/{bundle}"): Asked(_P.POLICY_READ, Where.ANYWHERE),
        ("GET", "/admin/v1/prices"): Asked(_P.USAGE_READ, Where.ANYWHERE),
        ("POST", "/admin/v1/privacy/erasures"): Asked(_P.PRIVACY_ERASE, Where.NODE),
        ("GET", "/admin/v1/refusals"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/reliability"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/reliability/breakers"): Asked(_P.USAGE_READ, Where.ANYWHERE),
        ("GET", "/admin/v1/reports/preview"): Asked(_P.REPORTS_READ, Where.NODE),
        ("GET", "/admin/v1/reports/schedules"): Asked(_P.REPORTS_READ, Where.ROWS),
        ("GET", "/admin/v1/reports/schedules/{schedule_id}"): Asked(_P.REPORTS_READ, Where.HIDDEN),
        ("PUT", "/admin/v1/reports/schedules/{schedule_id}"): Asked(_P.REPORTS_WRITE, Where.NODE),
        ("DELETE", "/admin/v1/reports/schedules/{schedule_id}"): Asked(
            _P.REPORTS_WRITE, Where.HIDDEN
        ),
        ("GET", "/admin/v1/reports/schedules/{schedule_id}/runs"): Asked(
            _P.REPORTS_READ, Where.HIDDEN
        ),
        ("POST", "/admin/v1/reports/schedules/{schedule_id}/send"): Asked(
            _P.REPORTS_WRITE, Where.HIDDEN
        ),
        ("GET", "/admin/v1/roles"): Asked(_P.ORGANISATION_READ, Where.ROWS),
        ("PUT", "/admin/v1/roles"): Asked(_P.ROLES_GRANT, Where.NODE),
        ("DELETE", "/admin/v1/roles"): Asked(_P.ROLES_GRANT, Where.NODE),
        ("GET", "/admin/v1/usage/adoption"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/usage/hours"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/usage/recent"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/usage/spend"): Asked(_P.USAGE_READ, Where.ROWS),
        ("GET", "/admin/v1/whoami"): Asked(None, Where.NOWHERE),
    }
)
"""By method and path, the path as the application has it."""
