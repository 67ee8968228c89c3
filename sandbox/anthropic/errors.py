"""Anthropic's errors.

Source:
    https://platform.claude.com/docs/en/api/errors (checked 2026-11-20); messages as users report
    them, for example https://github.com/anthropics/claude-code/issues/8612
"""

from http import HTTPStatus

from sandbox.refusal import Refusal

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_MESSAGES = {
    429: "This request would exceed your organization's rate limit of 50 requests per minute.",
    500: "Internal server error",
    503: "Service unavailable",
    529: "Overloaded",
}


def error(status: int, message: str, headers: dict[str, str] | None = None) -> Refusal:
    """Make an error in Anthropic's shape; `request_id` is put in when it is sent."""
    body = {
        "type": "error",
        "error": {"type": _KINDS.get(status, "api_error"), "message": message},
    }
    return Refusal(status, body, headers)


def invalid(message: str) -> Refusal:
    """400, `invalid_request_error`."""
    return error(400, message)


def failure(status: int, retry_after_s: float | None) -> Refusal:
    """An error on demand."""
    wait_s = (
        1.0 if status == HTTPStatus.TOO_MANY_REQUESTS and retry_after_s is None else retry_after_s
    )
    headers = {} if wait_s is None else {"retry-after": f"{wait_s:g}"}
    return error(status, _MESSAGES.get(status, "Internal server error"), headers)
