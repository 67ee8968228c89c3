"""Finding the credential in a request's headers."""

from collections.abc import Mapping

KEY_HEADERS = ("authorization", "api-key", "x-api-key")
"""OpenAI's, Azure's and Anthropic's SDKs each use another one."""


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
