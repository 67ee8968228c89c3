"""The table of what is reported, over decision, what the transform learned, and upstream status."""

from datetime import timedelta
from typing import Any

import pytest

from kong_plugins.llm_token_meter.report import report_of, reservation_of, unsent
from llm_core.policy.allowance import worst_case
from llm_core.policy.decision import Decision, Denial, ErrorClass, Transport, UsageReport
from llm_core.tokens.usage import TokenUsage
from tests.fakes.clock import NOON
from tests.fakes.samples import AZURE, CALLER, OPENAI, chat_body, chat_call, decision

DIRECT = decision(OPENAI)
RELAY = decision(OPENAI, AZURE)
ANSWER = decision(OPENAI, transport=Transport.ANSWER)
DENIED = Decision("dec_1", "rev-7", denial=Denial(403, {}))
USED = UsageReport("openai-mini", Transport.DIRECT, 200, usage=TokenUsage(12, output_tokens=3))
NOT_SENT = UsageReport("openai-mini", Transport.DIRECT, 400, ErrorClass.CALLER)
BY_RELAY = UsageReport(None, Transport.RELAY, 0)

UNREACHABLE, UNREPORTED = ErrorClass.UNREACHABLE, ErrorClass.UNREPORTED


def record(upstream_status: Any, status: int = 200) -> dict[str, Any]:
    return {
        "upstream_status": upstream_status,
        "response": {"status": status},
        "latencies": {"request": 123, "kong": 2},
    }


@pytest.mark.parametrize(
    ("made", "usage", "upstream_status", "expected"),
    [
        # Nothing was allowed, or nothing was asked of a provider.
        (DENIED, None, None, None),
        (ANSWER, None, None, None),
        # The relay reports for itself what it served.
        (RELAY, None, "200", None),
        (RELAY, None, 200, None),
        (RELAY, None, "502, 200", None),
        (RELAY, None, "502 : 200", None),
        # What it turned away, or what never reached it, is reported from here.
        (RELAY, None, "413", UNREACHABLE),
        (RELAY, None, "503", UNREACHABLE),
        (RELAY, None, "200, 503", UNREACHABLE),
        (RELAY, None, None, UNREACHABLE),
        (RELAY, None, "", UNREACHABLE),
        (RELAY, None, "-", UNREACHABLE),
        # A direct call that went by the relay after all is the relay's.
        (DIRECT, BY_RELAY, "200", None),
        (DIRECT, BY_RELAY, "503", UNREACHABLE),
        (DIRECT, BY_RELAY, None, UNREACHABLE),
        # Direct, and the transform plugin knows.
        (DIRECT, USED, "200", ErrorClass.NONE),
        (DIRECT, NOT_SENT, None, ErrorClass.CALLER),
        # Direct, and it does not: answered means that something was consumed.
        (DIRECT, None, "200", UNREPORTED),
        (DIRECT, None, "302", UNREPORTED),
        (DIRECT, None, "400", UNREACHABLE),
        (DIRECT, None, "504", UNREACHABLE),
        (DIRECT, None, None, UNREACHABLE),
    ],
)
def test_what_is_reported(
    made: Decision,
    usage: UsageReport | None,
    upstream_status: Any,
    expected: ErrorClass | None,
) -> None:
    report = report_of(made, usage, record(upstream_status))
    assert (report and report.error_class) == expected


def test_what_the_transform_learned_is_completed_with_what_kong_saw() -> None:
    report = report_of(DIRECT, USED, record("200", status=200))
    assert report
    assert report.usage == USED.usage
    assert (report.http_status, report.total_ms) == (200, 123)


def test_an_unseen_call_names_the_deployment_that_was_tried() -> None:
    report = report_of(DIRECT, None, record(None, status=502))
    assert report
    assert (report.deployment_id, report.usage) == ("openai-mini", None)
    assert (report.transport, report.http_status) == (Transport.DIRECT, 502)


@pytest.mark.parametrize("nothing", [{}, {"response": None, "latencies": None}])
def test_a_record_that_says_nothing_is_reported_all_the_same(nothing: dict[str, Any]) -> None:
    report = report_of(RELAY, None, nothing)
    assert report
    assert (report.http_status, report.total_ms) == (0, None)


def test_a_call_that_went_nowhere_names_no_deployment() -> None:
    report = unsent()
    assert report.error_class is UNREACHABLE
    assert (report.deployment_id, report.usage) == (None, None)


def test_a_reservation_is_rebuilt_as_the_service_made_it() -> None:
    call = chat_call(chat_body(max_tokens=80, n=2))
    rebuilt = reservation_of(RELAY, call, CALLER)
    assert rebuilt.usd == worst_case(call, RELAY.deployments, RELAY.obligations).usd
    # One deployment gives 80 tokens, the other 50 at most; the longer one was reserved.
    assert rebuilt.max_output_tokens == 80
    assert rebuilt.decided_at == NOON
    assert rebuilt.expires_at <= NOON + timedelta(0)
    assert rebuilt.policy_revision == "rev-7"
