"""What a request's headers ask of the gateway itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from llm_core.errors import MalformedRequest
from llm_core.policy.limits import Priority

PRIORITY = "x-gatehouse-priority"
USE_CASE = "x-gatehouse-use-case"
DATA_LABELS = "x-gatehouse-data-labels"

_USE_CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,63}")
_LABEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_MOST_LABELS = 20

_Headers = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What the request's headers say, read once so that nobody pays for it again.

    Args:
        reads_cache: See `llm_core.policy.call.Call`.
        fills_cache: Likewise.
        priority: Likewise.
        use_case: Likewise.
        data_labels: Likewise.
        source_ip: The client's address, as the gateway tells it; `None` where the route does not
            send it.
        traceparent: The trace that the request belongs to, as the client or the gateway said.
    """

    reads_cache: bool = True
    fills_cache: bool = True
    priority: Priority = Priority.INTERACTIVE
    use_case: str | None = None
    data_labels: tuple[str, ...] = ()
    source_ip: str | None = None
    traceparent: str | None = None


def facts_in(headers: _Headers) -> RequestFacts:
    """Read the headers that later plugins heed.

    Of `Cache-Control` those directives that a request may carry and that say something to a cache
    of answers: `no-cache` and `max-age=0` (ask anew), `no-store` (keep nothing).

    Args:
        headers: Lower-case names.

    Raises:
        MalformedRequest: One of ours says what it cannot say. It is not passed over: a call that
            was meant to be labelled must not go on without.

    Source:
        https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1 (checked 2026-11-20)
    """
    said = {
        directive.strip().lower()
        for line in headers.get("cache-control") or ()
        for directive in line.split(",")
    }
    return RequestFacts(
        reads_cache=not said & {"no-cache", "max-age=0"},
        fills_cache="no-store" not in said,
        priority=_priority(headers),
        use_case=_use_case(headers),
        data_labels=_data_labels(headers),
        traceparent=traceparent_in(headers),
    )


def _priority(headers: _Headers) -> Priority:
    value = _one(headers, PRIORITY)
    if value is None:
        return Priority.INTERACTIVE
    try:
        return Priority(value)
    except ValueError:
        known = " or ".join(f"`{one}`" for one in Priority)
        raise MalformedRequest(f"`{PRIORITY}` is {known}.") from None


def _use_case(headers: _Headers) -> str | None:
    value = _one(headers, USE_CASE)
    if value is not None and not _USE_CASE.fullmatch(value):
        raise MalformedRequest(
            f"`{USE_CASE}` has at most 64 characters: letters, digits, spaces and `._:/-`."
        )
    return value


def _data_labels(headers: _Headers) -> tuple[str, ...]:
    lines = headers.get(DATA_LABELS) or ()
    found = [label.strip() for line in lines for label in line.split(",")]
    labels = tuple(dict.fromkeys(label for label in found if label))
    if len(labels) > _MOST_LABELS or not all(_LABEL.fullmatch(label) for label in labels):
        raise MalformedRequest(
            f"`{DATA_LABELS}` has at most {_MOST_LABELS} words, separated by commas: lower-case "
            "letters, digits and `._-`."
        )
    return labels


def traceparent_in(headers: _Headers) -> str | None:
    """The request's trace; one that is not well formed is none, and no reason to refuse.

    Source:
        https://www.w3.org/TR/trace-context/#traceparent-header (checked 2026-11-29)
    """
    values = headers.get("traceparent") or []
    return values[0] if len(values) == 1 and _TRACEPARENT.fullmatch(values[0]) else None


def _one(headers: _Headers, name: str) -> str | None:
    values = headers.get(name) or []
    if len(values) > 1:
        raise MalformedRequest(f"Send `{name}` once.")
    return values[0].strip() or None if values else None
