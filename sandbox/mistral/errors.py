"""Mistral's errors.

Source:
    https://docs.mistral.ai/api/ and https://docs.mistral.ai/resources/error-glossary
    (checked 2026-11-20); messages, types and codes as users report them, for example
    https://github.com/QuantumNous/new-api/issues/2858
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from sandbox.refusal import Refusal

_FAILURES = {
    429: ("Rate limit exceeded", "rate_limited", "1300"),
    500: ("Internal server error", "internal_server_error", "3000"),
    503: ("Service unavailable", "unreachable_backend", "1100"),
}


def error(
    status: int, message: str, kind: str, code: str, headers: dict[str, str] | None = None
) -> Refusal:
    """Make an error as the model's side does."""
    body = {"object": "error", "message": message, "type": kind, "param": None, "code": code}
    return Refusal(status, body, headers)


def invalid(where: Sequence[str | int], message: str, kind: str, given: object = None) -> Refusal:
    """422: the request's shape is wrong."""
    fault: dict[str, Any] = {
        "type": kind,
        "loc": ["body", *where],
        "msg": message,
        "input": given,
    }
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, {"detail": [fault]})


def missing(*where: str | int) -> Refusal:
    """422: a field is not there."""
    return invalid(where, "Field required", "missing")


def out_of_order(message: str) -> Refusal:
    """400: messages do not follow each other as they must."""
    return error(400, message, "invalid_request_message_order", "3230")


def unauthorized() -> Refusal:
    """401: no key, or one that is not known."""
    return Refusal(HTTPStatus.UNAUTHORIZED, {"detail": "Unauthorized"})


def no_such_model(model: str) -> Refusal:
    """400: the model does not exist."""
    return error(400, f"Invalid model: {model}", "invalid_model", "1500")


def failure(status: int, retry_after_s: float | None) -> Refusal:
    """An error on demand."""
    is_limit = status == HTTPStatus.TOO_MANY_REQUESTS
    wait_s = 1.0 if is_limit and retry_after_s is None else retry_after_s
    headers = {} if wait_s is None else {"retry-after": f"{wait_s:g}"}
    message, kind, code = _FAILURES.get(status, _FAILURES[500])
    return error(status, message, kind, code, headers)
