"""Finding the credential in a request's headers."""

from collections.abc import Mapping

KEY_HEADERS = ("authorization", "api-key", "x-api-key")
"""OpenAI's, Azure's and Anthropic's SDKs each use another one."""

_NOT_FOR_PROVIDERS = (
    "api-key",
    "x-api-key",
    "openai-organization",
    "openai-project",
    "openai-beta",
    "anthropic-beta",
    "cookie",
)


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


def to_clear_in(headers: Mapping[str, list[str]]) -> list[str]:
    """What must not travel on: Kong would send it to the provider when it calls one itself.

    The caller's own key, in whichever headers it was sent (`authorization` is the transform
    plugin's to overwrite), and what would steer *our* account at the provider: whose bill it goes
    on, which unreleased features are on. Policy decided about none of these.
    """
    return [name for name in _NOT_FOR_PROVIDERS if name in headers]
