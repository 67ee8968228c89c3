"""What of a request's headers must not travel on."""

from collections.abc import Mapping

MAY_TRAVEL = frozenset(
    {
        *("accept", "accept-encoding", "accept-language", "authorization", "cache-control"),
        *("connection", "content-length", "content-type", "expect", "host", "keep-alive", "te"),
        *("traceparent", "tracestate", "transfer-encoding", "user-agent"),
        *("x-correlation-id", "x-request-id"),
    }
)
MAY_TRAVEL_PREFIXES = ("x-forwarded-", "x-kong-", "x-real-ip", "x-stainless-")


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
