"""An error in the middle of Anthropic's stream.

Source:
    https://platform.claude.com/docs/en/build-with-claude/streaming#error-events
    https://platform.claude.com/docs/en/api/errors (checked 2026-11-20)
"""

import msgspec

from llm_core.errors import GatewayError, error_body
from llm_core.sse import encode_event

_OVERLOADED = 503
_TIMEOUT = 504
_TYPES = {"server_error": "api_error", "insufficient_quota": "billing_error"}
_TYPES_BY_STATUS = {_OVERLOADED: "overloaded_error", _TIMEOUT: "timeout_error"}


def error_event(error: GatewayError) -> bytes:
    """The event that ends a stream that broke; its type is one of Anthropic's."""
    body = error_body(error)
    kind = body["error"]["type"]
    if kind == "server_error":
        kind = _TYPES_BY_STATUS.get(error.http_status, kind)
    body["error"]["type"] = _TYPES.get(kind, kind)
    return encode_event(msgspec.json.encode(body), "error")
