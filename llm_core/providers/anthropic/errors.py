"""Anthropic's errors.

Source:
    https://platform.claude.com/docs/en/api/errors (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

from llm_core.errors import ProviderError
from llm_core.providers.failures import Reported, provider_failure

PROVIDER = "Anthropic"

_STATUS_BY_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def failure_from_anthropic(
    status: int | None, headers: Mapping[str, str], body: Mapping[str, Any] | None
) -> ProviderError:
    """Read `{"type": "error", "error": {"type", "message", "details"}}`.

    Args:
        status: What Anthropic answered; `None` inside a stream, whose status was 200: the error's
            type then says what the status would have been.
        headers: The answer's.
        body: `None` when it was no JSON object.
    """
    error = (body or {}).get("error")
    error = error if isinstance(error, dict) else {}
    type_ = error.get("type")
    message = error.get("message")
    reported = Reported(
        message=message if isinstance(message, str) else None,
        type=type_ if isinstance(type_, str) else None,
        code=_code(error.get("details")),
    )
    if status is None:
        status = _STATUS_BY_TYPE.get(reported.type or "", 502)
    return provider_failure(PROVIDER, status, headers, reported)


def _code(details: object) -> str | None:
    code = details.get("error_code") if isinstance(details, dict) else None
    return code if isinstance(code, str) else None
