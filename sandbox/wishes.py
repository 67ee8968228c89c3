"""Faults, pace and length on demand.

By header: `x-sandbox-fault: 429-3`, `x-sandbox-tokens-per-s: 50`, `x-sandbox-words: 200`.
By model name: `gpt-4o--pace-50--words-200--fault-cut_mid_stream-5`. A header wins over the name.

| Fault | Value | What happens |
|---|---|---|
| `429`, `500`, `503`, `529` | seconds for `Retry-After` (429: 1) | the vendor's error |
| `slow_first_byte` | seconds (1) | nothing is sent for so long, then all is well |
| `hang` | | nothing is ever sent |
| `cut_mid_stream` | events before the cut (3) | connection dropped; whole: half the body |
| `error_mid_stream` | events before (3) | the vendor's error event; whole: status 500 |
| `malformed_json` | | whole: a body that is no JSON; streamed: such an event, then the end |
| `no_usage` | | all is well, but nothing is said about tokens |
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What can be asked to go wrong."""

    RATE_LIMITED = "429"
    INTERNAL = "500"
    UNAVAILABLE = "503"
    OVERLOADED = "529"
    SLOW_FIRST_BYTE = "slow_first_byte"
    HANG = "hang"
    CUT_MID_STREAM = "cut_mid_stream"
    ERROR_MID_STREAM = "error_mid_stream"
    MALFORMED_JSON = "malformed_json"
    NO_USAGE = "no_usage"


STATUS_FAULTS = frozenset(
    {FaultKind.RATE_LIMITED, FaultKind.INTERNAL, FaultKind.UNAVAILABLE, FaultKind.OVERLOADED}
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, with its value where it takes one."""

    kind: FaultKind
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a request asks of the sandbox rather than of the model.

    Args:
        model: The model's name without the wishes in it.
        fault: What shall go wrong.
        tokens_per_s: Pace of the answer.
        words: Length of a plain text answer.
    """

    model: str
    fault: Fault | None = None
    tokens_per_s: float | None = None
    words: int | None = None


class UnknownWish(ValueError):
    """A fault or number that the sandbox does not know; better said than ignored."""


def wishes_from(model: str, headers: Mapping[str, str]) -> Wishes:
    """Read the wishes in a model's name and in the headers (lower-case names).

    Raises:
        UnknownWish: A fault is not in the table, or a number is none or not above zero.
    """
    name, *suffixes = model.split("--")
    found: dict[str, str] = {}
    for position, suffix in enumerate(suffixes):
        key, _, value = suffix.partition("-")
        if key in ("fault", "pace", "words"):
            found[key] = value
        else:
            name = "--".join([name, *suffixes[position : position + 1]])
    for key, header in _HEADERS.items():
        if header in headers:
            found[key] = headers[header]
    return Wishes(
        model=name,
        fault=_fault(found["fault"]) if "fault" in found else None,
        tokens_per_s=_number(found["pace"]) if "pace" in found else None,
        words=math.ceil(_number(found["words"])) if "words" in found else None,
    )


_HEADERS = {
    "fault": "x-sandbox-fault",
    "pace": "x-sandbox-tokens-per-s",
    "words": "x-sandbox-words",
}


def _fault(text: str) -> Fault:
    name, _, value = text.partition("-")
    try:
        kind = FaultKind(name)
    except ValueError:
        known = ", ".join(FaultKind)
        raise UnknownWish(f"the sandbox knows no fault {name!r}; it knows {known}") from None
    return Fault(kind, _number(value) if value else None)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise UnknownWish(f"the sandbox expected a number, not {text!r}") from None
    if not (number > 0 and math.isfinite(number)):
        raise UnknownWish(f"the sandbox expected a number above zero, not {text!r}")
    return number
