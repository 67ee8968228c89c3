"""Query strings, decoded as nginx does it for Lua."""

from urllib.parse import unquote_plus


def query_values(query: str, max_args: int = 100) -> dict[str, list[str | bool]]:
    """A query string's arguments, decoded; one without a value is `True`."""
    result: dict[str, list[str | bool]] = {}
    for part in [part for part in query.split("&") if part][:max_args]:
        name, equals, value = part.partition("=")
        decoded = unquote_plus(value, errors="surrogateescape") if equals else True
        result.setdefault(unquote_plus(name, errors="surrogateescape"), []).append(decoded)
    return result


def query_record(query: str) -> dict[str, str | bool | list[str | bool]]:
    """The same with single values unwrapped: what a log record holds."""
    return {
        name: values[0] if len(values) == 1 else values
        for name, values in query_values(query).items()
    }
