"""Amazon Bedrock's errors, answered and in the middle of a stream.

The kind stands in the header `x-amzn-errortype`, or in the body's `__type`; in a stream in the
header `:exception-type` of the message. The body is `{"message": ...}`.

Source:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors
    https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
    Shape from the SDK's types (botocore 1.44.5); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from typing import Any

from llm_core.errors import ProviderError
from llm_core.providers.failures import Reported, provider_failure

PROVIDER = "Amazon Bedrock"

# What the status is inside a stream, and what a kind is worth to our caller where the status says
# something else: an unfinished signature is a 400 at AWS, quotes the header that it found wanting,
# and is a fault of our credential; a quota is our bill; a model that is not ready yet is overload.
_STATUS_BY_TYPE = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "IncompleteSignature": 403,
    "IncompleteSignatureException": 403,
    "InternalServerException": 500,
    "InvalidClientTokenId": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationToken": 403,
    "MissingAuthenticationTokenException": 403,
    "ModelErrorException": 424,
    "ModelNotReadyException": 503,
    "ModelStreamErrorException": 424,
    "ModelTimeoutException": 408,
    "NotAuthorized": 403,
    "OptInRequired": 403,
    "RequestExpired": 403,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 402,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "UnrecognizedClientException": 403,
    "ValidationException": 400,
}
# A 400 in which the caller has no part: the model's name comes from our catalogue.
_UNKNOWN_MODEL = (
    "The provided model identifier is invalid",
    "Invocation of model ID",
    "This model version has reached the end of its life",
)


def failure_from_bedrock(
    status: int, headers: Mapping[str, str], body: Mapping[str, Any] | None
) -> ProviderError:
    """Read an error answer; `body` is `None` when it was no JSON object."""
    named = {name.lower(): value for name, value in headers.items()}
    body = body or {}
    # What stands in front of Bedrock may answer in OpenAI's shape.
    inner = body.get("error")
    body = inner if isinstance(inner, dict) else body
    kinds = (
        named.get("x-amzn-errortype"),
        *(body.get(name) for name in ("__type", "code", "type")),
    )
    kind = next((kind for kind in map(_kind, kinds) if kind), "")
    return _failure(_STATUS_BY_TYPE.get(kind, status), kind, headers, body)


def failure_from_exception(kind: str, body: Mapping[str, Any] | None) -> ProviderError:
    """Read an exception inside a stream, whose status was 200.

    Args:
        kind: The header `:exception-type` (`throttlingException`), or `:error-code`.
        body: The message's payload.
    """
    kind = kind[:1].upper() + kind[1:]
    return _failure(_STATUS_BY_TYPE.get(kind, 502), kind, {}, body or {})


def _failure(
    status: int, kind: str, headers: Mapping[str, str], body: Mapping[str, Any]
) -> ProviderError:
    message = body.get("message") or body.get("Message")
    message = message if isinstance(message, str) else None
    if kind == "ValidationException" and message and message.startswith(_UNKNOWN_MODEL):
        status = 404
    return provider_failure(
        PROVIDER, status, headers, Reported(message=message, type=kind or None, code=kind or None)
    )


def _kind(named: object) -> str:
    """`ThrottlingException` of `com.amazon.x#ThrottlingException:http://...`."""
    if not isinstance(named, str):
        return ""
    return named.partition(":")[0].rpartition("#")[2].strip()
