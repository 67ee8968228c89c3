"""What the admin API's operations take and answer: one line each, for the OpenAPI description.

An operation whose answer is JSON has its type here, so that a client can be made from the
description, and a test can hold the answers to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from llm_core.chargeback.reconcile import Reconciliation
from llm_core.chargeback.statement import Statement
from policy_service.api import answers as said
from policy_service.api.admin import WhoAmI
from policy_service.api.admin_tokens import ListedAdminTokens, MadeAdminToken, NewAdminToken
from policy_service.api.approvals import Granted, ListedApprovals, Said
from policy_service.api.chargeback import (
    ListedChargebacks,
    NewRules,
    ShownRules,
    WantedClosing,
    WantedReconciliation,
)
from policy_service.api.costs import Adoption, Hours, ListedCosts, Values
from policy_service.api.examples import EXAMPLES
from policy_service.api.incidents import Delivered, ListedChannels, ListedIncidents
from policy_service.api.keys import NewKey, Rotation
from policy_service.api.limit_states import ListedStandings
from policy_service.api.limits import NewLimit, NewRaise
from policy_service.api.models import ListedModels, ListedPrices
from policy_service.api.permissions import OPERATIONS
from policy_service.api.policies import ListedPolicies, Reason, WantedShadow
from policy_service.api.privacy import NewErasure
from policy_service.api.problems import PROBLEM_JSON, Problem
from policy_service.api.reliability import (
    ListedRefusals,
    ListedReliability,
    ListedTransitions,
)
from policy_service.api.reports import (
    ListedRuns,
    ListedSchedules,
    ShownSchedule,
    WantedSchedule,
)
from policy_service.api.roles import GrantedRole, HeldRoles
from policy_service.api.team import AuditLogOfTeam, UsageOfTeam
from policy_service.ports.content import Content
from policy_service.ports.organisation import Applied, RaiseRecord
from policy_service.ports.policies import ActivationRecord, BundleRecord, ShadowReport
from policy_service.ports.privacy import Erasure
from policy_service.services.approvals import ShownApproval, Wanted
from policy_service.services.chargeback import XLSX
from policy_service.services.cost_summary import Summary

_Object = dict[str, Any]
REFERENCE = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an operation takes and answers.

    Args:
        answer: The type of a good answer; `None` for an answer without a body, `dict` for an object
            whose fields are described elsewhere, `str` for JSON Lines.
        asked: The type of the body; `None` for none, `bytes` for a tarball.
        statuses: Of good answers.
        may_be_empty: Whether the body can be left out.
        media: The answer is a file, in one of these media types.
    """

    answer: type | None
    asked: type | None = None
    statuses: tuple[HTTPStatus, ...] = (HTTPStatus.OK,)
    may_be_empty: bool = False
    media: tuple[str, ...] = ()


_CREATED = (HTTPStatus.CREATED,)
_GONE = Spoken(None, statuses=(HTTPStatus.NO_CONTENT,))
_ENDED = Spoken(ShownApproval, Said, may_be_empty=True)
_FILE = Spoken(None, media=("text/csv", XLSX))
SPOKEN: Mapping[tuple[str, str], Spoken] = MappingProxyType(
    {
        ("GET", "/admin/audit-log"): Spoken(AuditLogOfTeam),
        ("GET", "/admin/usage"): Spoken(UsageOfTeam),
        ("GET", "/admin/v1/admin-tokens"): Spoken(ListedAdminTokens),
        ("POST", "/admin/v1/admin-tokens"): Spoken(MadeAdminToken, NewAdminToken, _CREATED),
        ("DELETE", "/admin/v1/admin-tokens/{token_id}"): _GONE,
        ("GET", "/admin/v1/alerts"): Spoken(said.ListedAlerts),
        ("GET", "/admin/v1/alerts/channels"): Spoken(ListedChannels),
        ("POST", "/admin/v1/alerts/channels/{name}/test"): Spoken(Delivered),
        ("GET", "/admin/v1/approvals"): Spoken(ListedApprovals),
        ("POST", "/admin/v1/approvals"): Spoken(
            ShownApproval, Wanted, (HTTPStatus.OK, HTTPStatus.CREATED)
        ),
        ("GET", "/admin/v1/approvals/{approval_id}"): Spoken(ShownApproval),
        ("POST", "/admin/v1/approvals/{approval_id}/grant"): Spoken(
            ShownApproval, Granted, may_be_empty=True
        ),
        ("POST", "/admin/v1/approvals/{approval_id}/refuse"): _ENDED,
        ("POST", "/admin/v1/approvals/{approval_id}/revoke"): _ENDED,
        ("POST", "/admin/v1/approvals/{approval_id}/withdraw"): _ENDED,
        ("GET", "/admin/v1/audit"): Spoken(said.ListedAudit),
        ("GET", "/admin/v1/audit/chain"): Spoken(said.ListedEvents),
        ("GET", "/admin/v1/audit/checkpoints"): Spoken(said.ListedCheckpoints),
        ("GET", "/admin/v1/audit/export"): Spoken(str),
        ("GET", "/admin/v1/chargebacks"): Spoken(ListedChargebacks),
        ("POST", "/admin/v1/chargebacks"): Spoken(Statement, WantedClosing, _CREATED),
        ("GET", "/admin/v1/chargebacks/preview"): Spoken(Statement),
        ("GET", "/admin/v1/chargebacks/preview/export"): _FILE,
        ("POST", "/admin/v1/chargebacks/reconcile"): Spoken(Reconciliation, WantedReconciliation),
        ("GET", "/admin/v1/chargebacks/rules"): Spoken(ShownRules),
        ("PUT", "/admin/v1/chargebacks/rules"): Spoken(ShownRules, NewRules),
        ("GET", "/admin/v1/chargebacks/{chargeback_id}"): Spoken(Statement),
        ("GET", "/admin/v1/chargebacks/{chargeback_id}/export"): _FILE,
        ("GET", "/admin/v1/content"): Spoken(said.ListedContent),
        ("GET", "/admin/v1/content/{decision_id}"): Spoken(Content),
        ("GET", "/admin/v1/costs"): Spoken(ListedCosts),
        ("GET", "/admin/v1/costs/summary"): Spoken(Summary),
        ("GET", "/admin/v1/costs/values"): Spoken(Values),
        ("GET", "/admin/v1/incidents"): Spoken(ListedIncidents),
        ("GET", "/admin/v1/keys"): Spoken(said.ListedKeys),
        ("POST", "/admin/v1/keys"): Spoken(said.NewlyIssuedKey, NewKey, _CREATED),
        ("GET", "/admin/v1/keys/{key_id}"): Spoken(said.ShownKey),
        ("DELETE", "/admin/v1/keys/{key_id}"): Spoken(said.ShownKey),
        ("POST", "/admin/v1/keys/{key_id}/rotate"): Spoken(
            said.RotatedKey, Rotation, _CREATED, may_be_empty=True
        ),
        ("GET", "/admin/v1/limits"): Spoken(said.ListedLimits),
        ("PUT", "/admin/v1/limits"): Spoken(NewLimit, NewLimit),
        ("DELETE", "/admin/v1/limits"): _GONE,
        ("GET", "/admin/v1/limits/raises"): Spoken(said.ListedRaises),
        ("POST", "/admin/v1/limits/raises"): Spoken(RaiseRecord, NewRaise, _CREATED),
        ("DELETE", "/admin/v1/limits/raises/{raise_id}"): _GONE,
        ("GET", "/admin/v1/limits/states"): Spoken(ListedStandings),
        ("GET", "/admin/v1/models"): Spoken(ListedModels),
        ("GET", "/admin/v1/organisation"): Spoken(said.ListedParts),
        ("GET", "/admin/v1/organisation/company"): Spoken(dict),
        ("PUT", "/admin/v1/organisation/company"): Spoken(Applied, dict),
        ("GET", "/admin/v1/organisation/parts/{subject:path}"): Spoken(said.ShownPart),
        ("PUT", "/admin/v1/organisation/parts/{subject:path}"): Spoken(said.PartChanged, dict),
        ("DELETE", "/admin/v1/organisation/parts/{subject:path}"): Spoken(said.PartsRemoved),
        ("GET", "/admin/v1/policies"): Spoken(ListedPolicies),
        ("POST", "/admin/v1/policies"): Spoken(BundleRecord, bytes, _CREATED),
        ("POST", "/admin/v1/policies/activate"): Spoken(ActivationRecord, Reason),
        ("POST", "/admin/v1/policies/rollback"): Spoken(ActivationRecord, Reason),
        ("GET", "/admin/v1/policies/shadow"): Spoken(ShadowReport),
        ("PUT", "/admin/v1/policies/shadow"): Spoken(dict, WantedShadow),
        ("GET", "/admin/v1/policies/{bundle}"): Spoken(BundleRecord),
        ("GET", "/admin/v1/prices"): Spoken(ListedPrices),
        ("POST", "/admin/v1/privacy/erasures"): Spoken(Erasure, NewErasure),
        ("GET", "/admin/v1/refusals"): Spoken(ListedRefusals),
        ("GET", "/admin/v1/reliability"): Spoken(ListedReliability),
        ("GET", "/admin/v1/reliability/breakers"): Spoken(ListedTransitions),
        ("GET", "/admin/v1/reports/preview"): Spoken(None, media=("text/html",)),
        ("GET", "/admin/v1/reports/schedules"): Spoken(ListedSchedules),
        ("GET", "/admin/v1/reports/schedules/{schedule_id}"): Spoken(ShownSchedule),
        ("PUT", "/admin/v1/reports/schedules/{schedule_id}"): Spoken(
            ShownSchedule, WantedSchedule, (HTTPStatus.OK, HTTPStatus.CREATED)
        ),
        ("DELETE", "/admin/v1/reports/schedules/{schedule_id}"): _GONE,
        ("GET", "/admin/v1/reports/schedules/{schedule_id}/runs"): Spoken(ListedRuns),
        ("POST", "/admin/v1/reports/schedules/{schedule_id}/send"): Spoken(ListedRuns),
        ("GET", "/admin/v1/roles"): Spoken(HeldRoles),
        ("PUT", "/admin/v1/roles"): Spoken(said.RoleGiven, GrantedRole),
        ("DELETE", "/admin/v1/roles"): _GONE,
        ("GET", "/admin/v1/usage/adoption"): Spoken(Adoption),
        ("GET", "/admin/v1/usage/hours"): Spoken(Hours),
        ("GET", "/admin/v1/whoami"): Spoken(WhoAmI),
    }
)
"""By method and path. A `GET` whose answer stands in `api.description` needs no line here."""

_KEY_HEADER: _Object = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A request that is sent again with it is not carried out again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_ANY_OBJECT: _Object = {"type": "object"}


def admin_kinds() -> list[type]:
    """Every type that is taken or answered."""
    kinds = [kind for one in SPOKEN.values() for kind in (one.asked, one.answer)]
    named = (kind for kind in kinds if kind is not None and kind not in {dict, bytes, str})
    return [Problem, *dict.fromkeys(named)]


def described(paths: _Object) -> None:
    """Complete the admin API's operations where they stand."""
    for path, item in paths.items():
        for method, operation in item.items():
            if path.startswith("/admin/"):
                _complete(operation, method.upper(), path)


def _complete(operation: _Object, method: str, path: str) -> None:
    known = (method, path)
    written = next((one for one in OPERATIONS if (one[0], _shown(one[1])) == known), known)
    spoken = SPOKEN.get(written)
    asked_for = OPERATIONS.get(written)
    if asked_for is not None:
        told = operation.get("description", "")
        operation["description"] = f"{told}\n\nWho may: {asked_for}.".strip()
    responses = operation["responses"]
    responses.pop("400", None)
    if spoken is not None:
        _say(operation, spoken)
    responses |= {
        span: {
            "description": "Problem details: what is wrong, and what to do.",
            "content": {PROBLEM_JSON: {"schema": {"$ref": REFERENCE.format(name="Problem")}}},
        }
        for span in ("4XX", "5XX")
    }
    if method == "POST":
        operation.setdefault("parameters", []).append(_KEY_HEADER)


def _say(operation: _Object, spoken: Spoken) -> None:
    responses = operation["responses"]
    responses.pop("200", None)
    for status in spoken.statuses:
        responses[str(status.value)] = {"description": status.phrase, **_answered(spoken)}
    if spoken.asked is not None:
        required = not spoken.may_be_empty
        operation["requestBody"] = {"required": required, **_content(spoken.asked)}


def _answered(spoken: Spoken) -> _Object:
    if spoken.media:
        schema = {"type": "string", "format": "binary"}
        return {"content": {media: {"schema": schema} for media in spoken.media}}
    return _content(spoken.answer)


def _content(kind: type | None) -> _Object:
    if kind is None:
        return {}
    if kind is bytes:
        schema = {"type": "string", "format": "binary"}
        return {"content": {"application/gzip": {"schema": schema}}}
    if kind is str:
        return {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}
    if kind is dict:
        return {"content": {"application/json": {"schema": _ANY_OBJECT}}}
    told: _Object = {"schema": {"$ref": REFERENCE.format(name=kind.__name__)}}
    example = EXAMPLES.get(kind.__name__)
    if example is not None:
        told["example"] = example
    return {"content": {"application/json": told}}


def _shown(path: str) -> str:
    return path.replace(":path}", "}")
