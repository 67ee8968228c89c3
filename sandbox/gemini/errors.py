"""Google's errors.

Source:
    https://ai.google.dev/gemini-api/docs/generate-content/api-errors (checked 2026-11-20);
    messages as users report them, for example https://github.com/zed-industries/zed/issues/44875
    and https://github.com/google-gemini/gemini-cli/issues/13972
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from sandbox.refusal import Refusal

_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    529: "UNAVAILABLE",
}
_MESSAGES = {
    429: "You exceeded your current quota, please check your plan and billing details.",
    500: "An internal error has occurred. Please retry or report in "
    "https://developers.generativeai.google/guide/troubleshooting",
    503: "The model is overloaded. Please try again later.",
    529: "The model is overloaded. Please try again later.",
}
_TYPES = "type.googleapis.com/google.rpc."


def error(status: int, message: str, *details: Mapping[str, Any]) -> Refusal:
    """Make an error in Google's shape."""
    body: dict[str, Any] = {
        "code": status,
        "message": message,
        "status": _NAMES.get(status, "UNKNOWN"),
    }
    if details:
        body["details"] = list(details)
    return Refusal(status, {"error": body})


def invalid(message: str) -> Refusal:
    """400, `INVALID_ARGUMENT`."""
    return error(400, message)


def unknown_name(name: str, where: str) -> Refusal:
    """400 for a field that Google does not know."""
    at = f" at '{where}'" if where else ""
    message = f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
    violation = {"description": message, **({"field": where} if where else {})}
    return error(400, message, {"@type": f"{_TYPES}BadRequest", "fieldViolations": [violation]})


def wrong_key() -> Refusal:
    """400 for an API key that is none; Google has no 401 for those."""
    message = "API key not valid. Please pass a valid API key."
    reason = {
        "@type": f"{_TYPES}ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    return error(400, message, reason)


def failure(status: int, retry_after_s: float | None) -> Refusal:
    """An error on demand; how long to wait stands in the details, as at Google."""
    if status == HTTPStatus.TOO_MANY_REQUESTS and retry_after_s is None:
        retry_after_s = 1.0
    details = (
        []
        if retry_after_s is None
        else [{"@type": f"{_TYPES}RetryInfo", "retryDelay": f"{retry_after_s:g}s"}]
    )
    return error(status, _MESSAGES.get(status, _MESSAGES[500]), *details)
