"""Cohere's errors.

Source:
    https://docs.cohere.com/reference/errors (checked 2026-11-20); the one about unknown fields as
    users report it, for example https://github.com/OpenRouterTeam/openrouter-examples/issues/71
"""

from http import HTTPStatus

from sandbox.identifiers import identifier
from sandbox.refusal import Refusal

_MESSAGES = {
    429: "Please wait and try again later",
    500: "internal server error",
    503: "service unavailable",
}


def error(status: int, message: str, headers: dict[str, str] | None = None) -> Refusal:
    """Make an error in Cohere's shape."""
    body = {"id": identifier("", f"{status}/{message}", 32).lower(), "message": message}
    return Refusal(status, body, headers)


def invalid(message: str) -> Refusal:
    """400: the request is not valid."""
    return error(400, f"invalid request: {message}")


def unknown_field(name: str) -> Refusal:
    """422: a field that Cohere does not have."""
    return error(
        422,
        f"unknown field: parameter '{name}' is not a valid field. For proper usage, please refer "
        "to https://docs.cohere.com/reference/chat",
    )


def no_such_model(model: str) -> Refusal:
    """404: the model does not exist, or not for this key."""
    return error(
        404,
        f"model '{model}' not found, make sure the correct model ID was used and that you have "
        "access to the model.",
    )


def failure(status: int, retry_after_s: float | None) -> Refusal:
    """An error on demand."""
    is_limit = status == HTTPStatus.TOO_MANY_REQUESTS
    wait_s = 1.0 if is_limit and retry_after_s is None else retry_after_s
    headers = {} if wait_s is None else {"retry-after": f"{wait_s:g}"}
    return error(status, _MESSAGES.get(status, _MESSAGES[500]), headers)
