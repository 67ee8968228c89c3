import json
from collections.abc import Iterator

import pytest

from llm_core import errors
from llm_core.errors import (
    BodyTooLarge,
    BudgetExhausted,
    GatewayError,
    InvalidKey,
    MalformedRequest,
    PolicyDenied,
    PolicyUnavailable,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    Undecided,
    UnknownModel,
    UnpricedModel,
    UnsupportedParameter,
    error_body,
    error_headers,
)


def tree(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


@pytest.mark.parametrize(
    ("error", "status", "code", "type_"),
    [
        (MalformedRequest("x"), 400, "malformed_request", "invalid_request_error"),
        (UnsupportedParameter("x"), 400, "unsupported_parameter", "invalid_request_error"),
        (BodyTooLarge("x"), 413, "request_too_large", "invalid_request_error"),
        (UnknownModel("x"), 404, "model_not_found", "invalid_request_error"),
        (InvalidKey("x"), 401, "invalid_api_key", "authentication_error"),
        (PolicyDenied("x"), 403, "policy_denied", "permission_error"),
        (RateLimited("x", retry_after_s=1), 429, "rate_limit_exceeded", "rate_limit_error"),
        (BudgetExhausted("x"), 429, "insufficient_quota", "insufficient_quota"),
        (ProviderUnavailable("x"), 502, "provider_unavailable", "server_error"),
        (ProviderTimeout("x"), 504, "provider_timeout", "server_error"),
        (PolicyUnavailable("x"), 503, "policy_unavailable", "server_error"),
        (UnpricedModel("x"), 503, "unpriced_model", "server_error"),
        (Undecided("x"), 503, "undecided", "server_error"),
    ],
)
def test_an_error_has_openais_shape(
    error: GatewayError, status: int, code: str, type_: str
) -> None:
    assert error.http_status == status
    body = error_body(error)["error"]
    assert (body["message"], body["code"], body["type"]) == ("x", code, type_)
    assert body["param"] is None
    json.dumps(body)


def test_an_error_is_in_anthropics_envelope_as_well() -> None:
    """Its SDKs look for a `type` beside `error`; OpenAI's pass over it."""
    body = error_body(MalformedRequest("x"))
    assert body.keys() == {"type", "error"}
    assert body["type"] == "error"


def test_the_field_at_fault_is_named() -> None:
    assert error_body(MalformedRequest("x", param="messages[0].role"))["error"]["param"] == (
        "messages[0].role"
    )


def test_a_denial_carries_its_reasons() -> None:
    reason = {"code": "model_not_allowed", "message": "no", "rule": "llm.models"}
    body = error_body(PolicyDenied("no", reasons=(reason,)))["error"]
    assert body["reasons"] == [reason]
    assert body["reasons"][0] is not reason


def test_a_providers_error_keeps_its_status_type_and_code() -> None:
    error = ProviderError(
        "x", upstream_status=400, provider_type="invalid_request_error", provider_code="bad_tool"
    )
    body = error_body(error)["error"]
    assert error.http_status == 400
    assert (body["type"], body["code"]) == ("invalid_request_error", "bad_tool")
    assert error_body(ProviderError("x"))["error"]["code"] is None


@pytest.mark.parametrize(
    ("seconds", "header"), [(0, "1"), (0.2, "1"), (1, "1"), (1.001, "2"), (59.5, "60")]
)
def test_a_rate_limits_wait_is_rounded_up_to_whole_seconds(seconds: float, header: str) -> None:
    """Rounded down, the SDK would come back just too early."""
    assert RateLimited("x", retry_after_s=seconds).headers == {"retry-after": header}


def test_nobody_is_to_wait_for_hours_and_try_again_by_itself() -> None:
    assert RateLimited("x", retry_after_s=61).headers == {"retry-after": "61"}
    assert RateLimited("x", retry_after_s=61.5).headers == {
        "retry-after": "62",
        "x-should-retry": "false",
    }


def test_what_will_never_fit_is_not_to_be_retried() -> None:
    assert RateLimited("x", retry_after_s=None).headers == {"x-should-retry": "false"}
    assert BudgetExhausted("x").headers == {"x-should-retry": "false"}
    assert UnpricedModel("x").headers == {"x-should-retry": "false"}


@pytest.mark.parametrize(
    ("seconds", "header"), [(0, "0"), (0.5, "1"), (20, "20"), (1e308, "86400")]
)
def test_a_providers_wish_is_passed_on(seconds: float, header: str) -> None:
    assert ProviderError("x", retry_after_s=seconds).headers == {"retry-after": header}
    assert ProviderError("x").headers == {}


def test_our_own_outages_are_short() -> None:
    assert PolicyUnavailable("x").headers == Undecided("x").headers == {"retry-after": "1"}


def test_the_picture_of_the_tree_shows_every_error_with_its_status() -> None:
    picture = errors.__doc__ or ""
    for kind in tree(GatewayError):
        line = next(
            one
            for one in picture.splitlines()
            if one.strip("│├└─ ").split()[0:1] == [kind.__name__]
        )
        if not kind.__subclasses__():
            assert str(kind.status) in line


def test_a_failure_behind_a_decision_names_it() -> None:
    error = RateLimited("x", retry_after_s=2)
    assert error_headers(error) == {"retry-after": "2"}
    error.decision_id = "dec_1"
    assert error_headers(error) == {"retry-after": "2", "x-gatehouse-decision-id": "dec_1"}
