"""Every way a call through the gateway can fail, and what the caller is told.

GatewayError
├── RequestError             the caller can fix it
│   ├── MalformedRequest     400
│   ├── UnsupportedParameter 400  names the parameter and the provider
│   ├── ContentBlocked       400  carries the kinds of what was found
│   ├── BodyTooLarge         413
│   ├── HeadTooLarge         431
│   ├── RequestTimeout       408  the client took too long to send it
│   ├── Conflict             409  somebody else was faster
│   ├── ChangedMeanwhile     412  `If-Match` names another state
│   ├── IdempotencyKeyReused 422  one key, two requests
│   ├── UnknownModel         404
│   └── NotServed            404  no operation of ours has this method and path
├── AccessError              the caller may not
│   ├── InvalidKey           401
│   ├── PolicyDenied         403  carries the policy's reason codes
│   ├── PermissionDenied     403  the roles of who administers do not permit it
│   ├── RateLimited          429  carries retry_after_s
│   └── BudgetExhausted      429  `insufficient_quota`; the SDK must not retry
├── ProviderError            the model provider failed; status and type are passed on
│   ├── ProviderUnavailable  502  connection refused, cut off, or nonsense
│   └── ProviderTimeout      504
└── GatewayFault             we failed; the caller learns nothing more
    ├── PolicyUnavailable    503  no decision means no
    ├── UnpricedModel        503  a call we cannot price is refused, never booked as zero
    ├── ContentLogUnavailable 503 its words are to be kept, and cannot be kept safely
    ├── ScreeningUnavailable 503  what cannot be screened does not go on
    ├── NotDelivered         502  a channel did not take a test message
    └── Undecided            503  a request reached the relay without a valid ticket
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

_LONGEST_WAIT_S = 86_400
"""A provider's wish beyond a day is a mistake, and not passed on as it is."""

_LONGEST_HEEDED_S = 61
"""The longest wait at a limit a minute, rounded up."""


class GatewayError(Exception):
    """A failure with a status for HTTP and a sentence that is safe to show.

    Args:
        public_message: Shown to the caller. Holds no prompt text, key, or upstream body.
        param: The request field at fault, in OpenAI's dotted form, when there is one.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "gateway_error"
    type: ClassVar[str] = "server_error"

    def __init__(self, public_message: str, *, param: str | None = None) -> None:
        super().__init__(public_message)
        self.public_message = public_message
        self.param = param
        self.decision_id: str | None = None
        """Of the decision behind the call, once there is one: whom to ask about it."""

    @property
    def http_status(self) -> int:
        """The status to answer with."""
        return self.status

    @property
    def headers(self) -> dict[str, str]:
        """Response headers that belong to this failure."""
        return {}

    @property
    def details(self) -> dict[str, Any]:
        """Further members of the `error` object, beside OpenAI's four."""
        return {}


class RequestError(GatewayError):
    """The request is at fault; sending it again unchanged will fail again."""

    status = 400
    code = "invalid_request"
    type = "invalid_request_error"


class MalformedRequest(RequestError):
    """The body is not JSON, or not the shape the API asks for."""

    code = "malformed_request"


class UnsupportedParameter(RequestError):
    """The chosen provider cannot do what the request asks."""

    code = "unsupported_parameter"


class ContentBlocked(RequestError):
    """Something in the call's words must not go on. Says of which kind it is, and never what.

    Args:
        kinds: For example `EMAIL_ADDRESS`, `INJECTION` or `IMAGE`.
        direction: `input` for what was asked, `output` for what was answered.
    """

    code = "content_blocked"

    def __init__(
        self,
        public_message: str,
        *,
        kinds: Iterable[str],
        direction: str = "input",
        param: str | None = None,
    ) -> None:
        super().__init__(public_message, param=param)
        self.kinds = tuple(sorted(set(kinds)))
        self.direction = direction

    @property
    def details(self) -> dict[str, Any]:
        """What an application can act on."""
        return {"kinds": list(self.kinds), "direction": self.direction}


class BodyTooLarge(RequestError):
    """The body is longer than the route allows."""

    status = 413
    code = "request_too_large"


class HeadTooLarge(RequestError):
    """The headers are longer than any that a client of ours sends."""

    status = 431
    code = "headers_too_large"


class RequestTimeout(RequestError):
    """The request did not come to its end in time; the connection ends with the answer."""

    status = 408
    code = "request_timeout"

    @property
    def headers(self) -> dict[str, str]:
        """The rest of the request must not be taken for another one."""
        return {"connection": "close"}


class Conflict(RequestError):
    """What is to be changed is not as it was: somebody else was faster, or it is over.

    Args:
        retry_after_s: Seconds after which the same request may fare better.
    """

    status = 409
    code = "conflict"

    def __init__(
        self,
        public_message: str,
        *,
        param: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(public_message, param=param)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """When to ask again, where that helps."""
        return {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}


class ChangedMeanwhile(RequestError):
    """`If-Match` names a state that what is to be changed is not in."""

    status = 412
    code = "precondition_failed"


class IdempotencyKeyReused(RequestError):
    """An `Idempotency-Key` came with another request than before."""

    status = 422
    code = "idempotency_key_reused"


class UnknownModel(RequestError):
    """No deployment stands behind the asked model name."""

    status = 404
    code = "model_not_found"


class NotServed(RequestError):
    """The gateway has no operation of this method and path."""

    status = 404
    code = "not_found"


class AccessError(GatewayError):
    """The caller may not do this, or may not do it now."""

    status = 403
    code = "access_denied"
    type = "permission_error"


class InvalidKey(AccessError):
    """The credential is missing, unknown, revoked or expired."""

    status = 401
    code = "invalid_api_key"
    type = "authentication_error"

    @property
    def headers(self) -> dict[str, str]:
        """Say which scheme is expected, as RFC 9110 asks of a 401."""
        return {"www-authenticate": 'Bearer realm="gatehouse"'}


class PolicyDenied(AccessError):
    """Policy says no.

    Args:
        reasons: The policy's reasons, each with `code`, `message` and `rule`.
    """

    code = "policy_denied"

    def __init__(
        self,
        public_message: str,
        *,
        reasons: tuple[Mapping[str, Any], ...] = (),
        param: str | None = None,
    ) -> None:
        super().__init__(public_message, param=param)
        self.reasons = reasons

    @property
    def details(self) -> dict[str, Any]:
        """The reasons, so that an application can tell a wrong model from a wrong region."""
        return {"reasons": [dict(reason) for reason in self.reasons]}


class PermissionDenied(AccessError):
    """Whoever asks is known and may not: no role for it there, no place, or another network."""

    code = "permission_denied"


class RateLimited(AccessError):
    """A limit of requests, tokens or calls under way is used up for now.

    Args:
        retry_after_s: Seconds until the same request would fit; `None` when it never will,
            because it is larger than the limit itself.
    """

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"

    def __init__(self, public_message: str, *, retry_after_s: float | None) -> None:
        super().__init__(public_message)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """Tell the SDK how long to wait; whole seconds, rounded up, as RFC 9110 asks.

        SDKs heed a wait of up to a minute, or two. A longer one many of them would shorten to a
        second, so there they are told not to come back by themselves.
        https://github.com/openai/openai-python/blob/main/src/openai/_base_client.py
        (checked 2026-11-21)
        """
        if self.retry_after_s is None:
            return {"x-should-retry": "false"}
        whole_s = max(1, -int(-self.retry_after_s // 1))
        wait = {"retry-after": str(whole_s)}
        return wait if whole_s <= _LONGEST_HEEDED_S else {**wait, "x-should-retry": "false"}


class BudgetExhausted(AccessError):
    """The money for this period is spent, or what is left cannot cover the call's worst case."""

    status = 429
    code = "insufficient_quota"
    type = "insufficient_quota"

    @property
    def headers(self) -> dict[str, str]:
        """Stop the SDK from retrying: the next try would fail as well."""
        return {"x-should-retry": "false"}


class ProviderError(GatewayError):
    """The model provider failed.

    Args:
        upstream_status: What the provider answered; passed on to the caller.
        provider_type: OpenAI's error type for it.
        provider_code: OpenAI's error code for it, or the provider's own.
        retry_after_s: What the provider asked for, when it did.
        blames_deployment: Whether this speaks against the deployment. Not what the caller may have
            brought about, nor a wait that the gateway itself cut short.
    """

    status = 502
    code = "provider_error"
    type = "server_error"

    def __init__(
        self,
        public_message: str,
        *,
        upstream_status: int = 502,
        provider_type: str = "server_error",
        provider_code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        blames_deployment: bool = True,
    ) -> None:
        super().__init__(public_message, param=param)
        self.blames_deployment = blames_deployment
        self.upstream_status = upstream_status
        self.provider_type = provider_type
        self.provider_code = provider_code
        self.retry_after_s = retry_after_s

    @property
    def http_status(self) -> int:
        """The provider's own status."""
        return self.upstream_status

    @property
    def headers(self) -> dict[str, str]:
        """Pass the provider's wish on."""
        if self.retry_after_s is None:
            return {}
        wait_s = min(max(self.retry_after_s, 0), _LONGEST_WAIT_S)
        return {"retry-after": str(-int(-wait_s // 1))}


class ProviderUnavailable(ProviderError):
    """The provider could not be reached, broke off, or answered with nonsense."""

    code = "provider_unavailable"

    def __init__(self, public_message: str) -> None:
        super().__init__(public_message, upstream_status=502)


class ProviderTimeout(ProviderError):
    """The provider did not answer in time."""

    status = 504
    code = "provider_timeout"

    def __init__(self, public_message: str, *, blames_deployment: bool = True) -> None:
        super().__init__(public_message, upstream_status=504, blames_deployment=blames_deployment)


class GatewayFault(GatewayError):
    """We failed; the caller learns that much and no more."""

    code = "internal_error"


class PolicyUnavailable(GatewayFault):
    """No decision can be had, and no decision means no."""

    status = 503
    code = "policy_unavailable"

    @property
    def headers(self) -> dict[str, str]:
        """The outage is ours and likely short."""
        return {"retry-after": "1"}


class UnpricedModel(GatewayFault):
    """No price is known for any permitted deployment, so no budget could hold."""

    status = 503
    code = "unpriced_model"

    @property
    def headers(self) -> dict[str, str]:
        """Only an administrator can mend this."""
        return {"x-should-retry": "false"}


class ContentLogUnavailable(GatewayFault):
    """Policy wants the call's words kept, and the gateway cannot keep them safely."""

    status = 503
    code = "content_log_unavailable"

    @property
    def headers(self) -> dict[str, str]:
        """Only an administrator can mend this."""
        return {"x-should-retry": "false"}


class ScreeningUnavailable(GatewayFault):
    """The call's words cannot be looked at, and nothing goes on that was not."""

    status = 503
    code = "screening_unavailable"

    @property
    def headers(self) -> dict[str, str]:
        """A new process looks at words again within seconds."""
        return {"retry-after": "3"}


class NotDelivered(GatewayFault):
    """A channel for alerts did not take a test message; the message says why."""

    status = 502
    code = "not_delivered"


class Undecided(GatewayFault):
    """A request reached the relay without a valid ticket: some plugin did not run."""

    status = 503
    code = "undecided"

    @property
    def headers(self) -> dict[str, str]:
        """A restarted plugin server is back within a second."""
        return {"retry-after": "1"}


def error_headers(error: GatewayError) -> dict[str, str]:
    """The headers of an answer that is `error`."""
    if error.decision_id is None:
        return dict(error.headers)
    return {**error.headers, "x-gatehouse-decision-id": error.decision_id}


def error_body(error: GatewayError) -> dict[str, Any]:
    """Give `error` OpenAI's shape: `{"error": {message, type, param, code, ...}}`.

    The `type` beside it makes it Anthropic's envelope as well, so that both families of SDKs read
    the same body.

    Source:
        https://platform.openai.com/docs/guides/error-codes (checked 2026-11-20)
        https://platform.claude.com/docs/en/api/errors (checked 2026-11-20)
    """
    code: str | None = error.code
    kind = error.type
    if isinstance(error, ProviderError) and type(error) is ProviderError:
        code, kind = error.provider_code, error.provider_type
    return {
        "type": "error",
        "error": {
            "message": error.public_message,
            "type": kind,
            "param": error.param,
            "code": code,
            **error.details,
        },
    }
