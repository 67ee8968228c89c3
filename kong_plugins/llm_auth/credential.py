"""Finding the credential in a request's headers."""

import re
from collections.abc import Mapping

KEY_HEADERS = ("authorization", "api-key", "x-api-key")
"""OpenAI's, Azure's and Anthropic's SDKs each use another one."""

_THREE_PARTS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")

MAY_TRAVEL = frozenset(
    {
        *("accept", "accept-encoding", "accept-language", "authorization", "cache-control"),
        *("connection", "content-length", "content-type", "expect", "host", "keep-alive", "te"),
        *("traceparent", "tracestate", "transfer-encoding", "user-agent"),
        *("x-correlation-id", "x-request-id"),
    }
)
MAY_TRAVEL_PREFIXES = ("x-forwarded-", "x-kong-", "x-real-ip", "x-stainless-")


def api_key_in(headers: Mapping[str, list[str]]) -> str | None:
    """The API key, from whichever header the client's SDK uses; `None` when there is none.

    A header that is sent twice proves nothing, so it counts as not sent.
    """
    for name in KEY_HEADERS:
        values = headers.get(name) or []
        if len(values) != 1:
            continue
        value = values[0].strip()
        if name == "authorization":
            scheme, _, value = value.partition(" ")
            if scheme.lower() != "bearer":
                continue
            value = value.strip()
        if value:
            return value
    return None


def is_token(credential: str) -> bool:
    """Whether it has the form of a signed JSON Web Token; the last part is its signature.

    Source:
        https://www.rfc-editor.org/rfc/rfc7515#section-7.1 (checked 2026-11-21)
    """
    return _THREE_PARTS.fullmatch(credential) is not None


def to_clear_in(headers: Mapping[str, list[str]]) -> list[str]:
    """What must not travel on: Kong would send it to the provider when it calls one itself.

    That is all but a list of harmless ones. A provider heeds headers that nobody here decided
    about: whose bill a call goes on, which unreleased features or filters are on, another key. And
    what a caller tells the gateway of its use case and its data is nobody else's business.
    `authorization` is the transform plugin's to overwrite.
    """
    return [
        name
        for name in headers
        if name not in MAY_TRAVEL and not name.startswith(MAY_TRAVEL_PREFIXES)
    ]
