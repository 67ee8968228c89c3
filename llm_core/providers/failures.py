"""What becomes of a provider's error, whatever its format.

A status says different things to us and to our caller. The caller can mend a 400; a 401 is about
*our* credential, and handed on it would send the caller looking for a fault in theirs. So:

| Provider | We answer | Why |
|---|---|---|
| 400, 409, 413, 422 | the same | the caller's request is at fault; the provider's sentence helps |
| 401, 403 | 502 `provider_authentication_failed` | our credential |
| 402, 429 `insufficient_quota` | 503 `provider_quota_exhausted` | our bill; a retry will not help |
| 404 | 502 `provider_model_not_found` | our catalogue names what is not there |
| 408, 504 | 504 `provider_timeout` | |
| 429 | 429 `rate_limit_exceeded` | passing; with the provider's `retry-after` |
| 503, 529 | 503 `provider_overloaded` | passing |
| any other | the same from 500 on, else 502 | |
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from llm_core.errors import ProviderError

_END_OF_ERRORS = 600
_MAX_MESSAGE_CHARACTERS = 500
# Keys as providers write them; a sentence about one would carry it into our caller's logs. Azure's
# are bare: 32 hex digits, or 84 letters and digits.
# Google's begin with AIza, its tokens with ya29., AWS's with AKIA, ASIA or ABSK, Groq's with gsk_,
# xAI's with xai-; signed tokens (JWT) with eyJ.
_SECRET = re.compile(
    r"(?i)\b(?:bearer\s+\S+|(?:sk|key|api|gsk|xai|hf|tgp)[-_][a-z0-9_*\-]{6,}"
    r"|(?:AIza|ya29\.|AKIA|ASIA|ABSK|eyJ)[a-z0-9_.*+/=\-]{8,}|[0-9a-f]{32,}|[a-z0-9]{80,})"
)


@dataclass(frozen=True, slots=True)
class Reported:
    """What the body of an error says, in no provider's shape.

    Args:
        message: The provider's sentence, if any.
        type: The provider's error type.
        code: The provider's error code.
        param: The field at fault.
    """

    message: str | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    """What we answer, and the end of the sentence that begins with the provider's name."""

    status: int
    code: str
    sentence: str
    type: str = "server_error"
    is_passing: bool = True


_OUR_CREDENTIAL = _Rule(
    502,
    "provider_authentication_failed",
    "rejects our credential; an administrator of this gateway has to mend it.",
    is_passing=False,
)
_OUR_QUOTA = _Rule(
    503,
    "provider_quota_exhausted",
    "says that our quota is used up; an administrator of this gateway has to mend it.",
    is_passing=False,
)
_OUR_CATALOGUE = _Rule(
    502,
    "provider_model_not_found",
    "does not know the routed model; an administrator of this gateway has to mend it.",
    is_passing=False,
)
_RATE_LIMIT = _Rule(
    429,
    "rate_limit_exceeded",
    "has reached its rate limit for us; try again later.",
    type="rate_limit_error",
)
_TIMEOUT = _Rule(504, "provider_timeout", "did not answer in time.")
_OVERLOAD = _Rule(503, "provider_overloaded", "is overloaded; try again later.")

_QUOTA = frozenset({"insufficient_quota", "billing_error"})
_CALLERS_FAULT = frozenset({400, 409, 413, 422})
# A deployment that is not there answers so, and so does a good one that a caller asks for a file, a
# response or a conversation that is not there or not ours.
_OF_SOMETHING_NAMED = frozenset({403, 404})
_RULES = {
    401: _OUR_CREDENTIAL,
    402: _OUR_QUOTA,
    403: _OUR_CREDENTIAL,
    404: _OUR_CATALOGUE,
    408: _TIMEOUT,
    429: _RATE_LIMIT,
    503: _OVERLOAD,
    504: _TIMEOUT,
    529: _OVERLOAD,
}


def provider_failure(
    provider: str, status: int, headers: Mapping[str, str], reported: Reported
) -> ProviderError:
    """Make the error that our caller sees.

    Args:
        provider: Its name for a sentence, for example `OpenAI`.
        status: What the provider answered.
        headers: The provider's; for the wish to be left alone for a while.
        reported: What the body says.
    """
    if status in _CALLERS_FAULT:
        sentence = _shown(reported.message) or f"the request was refused with {status}."
        return ProviderError(
            f"{provider}: {sentence}",
            upstream_status=status,
            provider_type="invalid_request_error",
            provider_code=reported.code,
            param=reported.param,
            retry_after_s=retry_after_s(headers),
        )
    is_quota = not _QUOTA.isdisjoint((reported.code, reported.type))
    rule = _OUR_QUOTA if is_quota else _RULES.get(status) or _other(status)
    return ProviderError(
        f"{provider} {rule.sentence}",
        upstream_status=rule.status,
        provider_type=rule.type,
        provider_code=rule.code,
        retry_after_s=retry_after_s(headers) if rule.is_passing else None,
        blames_deployment=status not in _OF_SOMETHING_NAMED,
    )


def _other(status: int) -> _Rule:
    is_server_error = HTTPStatus.INTERNAL_SERVER_ERROR <= status < _END_OF_ERRORS
    return _Rule(status if is_server_error else 502, "provider_error", "had an error of its own.")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after`; `None` when there is no such wish.

    A date is read against the answer's own `date`: the core has no clock.
    """
    named = {name.lower(): value for name, value in headers.items()}
    in_ms = _seconds(named.get("retry-after-ms"))
    if in_ms is not None:
        return in_ms / 1000
    wish = named.get("retry-after")
    in_s = _seconds(wish)
    if in_s is not None or wish is None:
        return in_s
    try:
        wait = parsedate_to_datetime(wish) - parsedate_to_datetime(named.get("date", ""))
    except (ValueError, TypeError):
        return None
    return max(0.0, wait.total_seconds())


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _shown(message: str | None) -> str:
    """The provider's sentence, on one line, short, and without anything that looks like a key."""
    if not message:
        return ""
    line = _SECRET.sub("[redacted]", " ".join(message[: 4 * _MAX_MESSAGE_CHARACTERS].split()))
    if len(line) <= _MAX_MESSAGE_CHARACTERS:
        return line
    return line[: _MAX_MESSAGE_CHARACTERS - 1] + "…"
