"""Failures of the admin API as problem details, with the `error` object that all APIs share.

Source:
    https://www.rfc-editor.org/rfc/rfc9457 (checked 2026-11-29)
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from llm_core.errors import GatewayError, error_body

PROBLEM_JSON = "application/problem+json"
_TYPE = "urn:gatehouse:error:"
_ADMIN = "/admin/"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request to the admin API failed.

    Args:
        type: `urn:gatehouse:error:` and the error's code, which docs/errors.md explains.
        title: The status in words.
        status: The HTTP status again.
        detail: A sentence for people: what is wrong, and what to do.
        error: The same in the shape of every other API of the gateway: `message`, `type`, `param`
            and `code`.
    """

    type: str
    title: str
    status: int
    detail: str
    error: dict[str, Any]


def is_admin_path(path: str) -> bool:
    """Whether a path is the admin API's, so that its failures are problem details."""
    return path.startswith(_ADMIN)


def problem_of(error: GatewayError) -> Problem:
    """A failure in the words of RFC 9457."""
    told = error_body(error)["error"]
    status = error.http_status
    return Problem(
        type=f"{_TYPE}{told['code']}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=error.public_message,
        error=told,
    )
