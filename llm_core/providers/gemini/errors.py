"""Google's errors: `{"error": {"code", "message", "status", "details"}}`.

Some statuses say less than the details do, so those come first:

| Google | Read as | Why |
|---|---|---|
| 400, reason `API_KEY_INVALID` | 401 | it is our credential, not the caller's request |
| 400 `FAILED_PRECONDITION` | 403 | no billing, or no service in our region |
| 429 with a quota for each day used up | 429 | no retry helps today, but another deployment does |

How long to wait stands in the details (`RetryInfo`), seldom in `Retry-After`.

Source:
    https://ai.google.dev/gemini-api/docs/generate-content/api-errors
    https://cloud.google.com/apis/design/errors
    The pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from llm_core.chat.encoding import decode_value
from llm_core.errors import ProviderError
from llm_core.providers.failures import Reported, provider_failure
from llm_core.providers.gemini.vendor import Vendor

_STATUS_BY_NAME = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_BAD_GATEWAY = 502


def error_object(body: bytes) -> dict[str, Any] | None:
    """The document of an error; an error before a stream may come as a list of one."""
    value = decode_value(body)
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) else None


def failure_from_google(
    vendor: Vendor,
    status: int | None,
    headers: Mapping[str, str],
    body: Mapping[str, Any] | None,
) -> ProviderError:
    """Read an error.

    Args:
        vendor: Whose.
        status: What was answered; `None` inside a stream, whose status was 200: the error's own
            code then says what the status would have been.
        headers: The answer's.
        body: `None` when it was no JSON object.
    """
    error = (body or {}).get("error")
    error = error if isinstance(error, dict) else {}
    name, details = _text(error.get("status")), list(_details(error))
    reported = Reported(
        message=_text(error.get("message")),
        type=name,
        code=_first(details, "reason") or name,
        param=_field(details),
    )
    if status is None:
        status = _own_status(error.get("code"), name)
    status = _meant(status, name, reported.code)
    return provider_failure(vendor.name, status, {**_wait(details), **headers}, reported)


def _own_status(code: object, name: str | None) -> int:
    if isinstance(code, int) and not isinstance(code, bool) and code >= HTTPStatus.BAD_REQUEST:
        return code
    return _STATUS_BY_NAME.get(name or "", _BAD_GATEWAY)


def _meant(status: int, name: str | None, code: str | None) -> int:
    if status != HTTPStatus.BAD_REQUEST:
        return status
    if code == "API_KEY_INVALID":
        return HTTPStatus.UNAUTHORIZED
    return HTTPStatus.FORBIDDEN if name == "FAILED_PRECONDITION" else status


def _details(error: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    details = error.get("details")
    if isinstance(details, list):
        yield from (one for one in details if isinstance(one, dict))


def _first(details: list[Mapping[str, Any]], name: str) -> str | None:
    return next((_text(one[name]) for one in details if name in one), None)


def _field(details: list[Mapping[str, Any]]) -> str | None:
    for one in details:
        violations = one.get("fieldViolations")
        if isinstance(violations, list) and violations and isinstance(violations[0], dict):
            return _text(violations[0].get("field"))
    return None


def _wait(details: list[Mapping[str, Any]]) -> dict[str, str]:
    """`RetryInfo.retryDelay`, seconds such as `34.07s`, as the header that it stands for."""
    delay = _first(details, "retryDelay")
    return {"retry-after": delay.removesuffix("s")} if delay else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
