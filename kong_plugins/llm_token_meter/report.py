"""What to report about a call, from what Kong kept of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from llm_core.policy.allowance import max_output_tokens, worst_case
from llm_core.policy.approvals import cap_of, with_limit
from llm_core.policy.binding import bound
from llm_core.policy.call import Call
from llm_core.policy.caller import Caller
from llm_core.policy.decision import Decision, ErrorClass, Reservation, Transport, UsageReport

_FIRST_ERROR = 400


def report_of(
    decision: Decision, usage: UsageReport | None, record: Mapping[str, Any]
) -> UsageReport | None:
    """Build the report, or none when the relay reports for itself.

    Args:
        decision: As the meter handed it on.
        usage: What the transform plugin learned; `None` when it did not run to its end. One with
            `transport` relay says that a direct call went by the relay after all.
        record: `kong.log.serialize()`.
    """
    if decision.denial is not None or decision.transport is Transport.ANSWER:
        return None
    transport = decision.transport if usage is None else usage.transport
    upstream_status = _last_status(record.get("upstream_status"))
    if transport is Transport.RELAY:
        # The relay books what it served. What never reached it, or what it turned away (a body
        # longer than it takes, say), is reported here; the service heeds that only for a ticket
        # the relay has not taken.
        served = upstream_status is not None and upstream_status < _FIRST_ERROR
        return None if served else _unseen(decision, ErrorClass.UNREACHABLE, record)
    if usage is not None:
        return replace(usage, http_status=_status(record), total_ms=_total_ms(record))
    answered = upstream_status is not None and upstream_status < _FIRST_ERROR
    return _unseen(decision, ErrorClass.UNREPORTED if answered else ErrorClass.UNREACHABLE, record)


def unsent() -> UsageReport:
    """The report on a call that was decided and then went nowhere."""
    return UsageReport(
        deployment_id=None,
        transport=Transport.RELAY,
        http_status=0,
        error_class=ErrorClass.UNREACHABLE,
    )


def reservation_of(decision: Decision, call: Call, caller: Caller) -> Reservation:
    """What the service reserved for a call, rebuilt from what it answered."""
    amounts = worst_case(call, decision.deployments, decision.obligations)
    longest = max(
        max_output_tokens(call.max_output_tokens, priced.deployment, decision.obligations)
        for priced in decision.deployments
    )
    decided_at = decision.issued_at or datetime.fromtimestamp(0, UTC)
    caller, call = bound(caller, call, decided_at)
    if decision.approval is not None:
        caller = with_limit(caller, cap_of(decision.approval, decision.approval_usd))
    return Reservation(
        decision_id=decision.decision_id,
        caller=caller,
        call=call,
        operation=call.operation,
        deployments=decision.deployments,
        obligations=decision.obligations,
        prompt_tokens=call.prompt_tokens,
        max_output_tokens=longest,
        usd=amounts.usd,
        decided_at=decided_at,
        expires_at=decided_at,
        policy_revision=decision.policy_revision,
        approval=decision.approval,
    )


def _unseen(decision: Decision, error_class: ErrorClass, record: Mapping[str, Any]) -> UsageReport:
    tried = decision.deployments[0].deployment.id if decision.deployments else None
    return UsageReport(
        deployment_id=tried,
        transport=decision.transport,
        http_status=_status(record),
        error_class=error_class,
        total_ms=_total_ms(record),
    )


def _last_status(upstream_status: object) -> int | None:
    """Nginx writes one status a try, `502, 200`; the last one counts."""
    last = str(upstream_status or "").replace(":", ",").split(",")[-1].strip()
    return int(last) if last.isdigit() else None


def _status(record: Mapping[str, Any]) -> int:
    status = (record.get("response") or {}).get("status")
    return int(status) if status else 0


def _total_ms(record: Mapping[str, Any]) -> float | None:
    total = (record.get("latencies") or {}).get("request")
    return None if total is None else float(total)
