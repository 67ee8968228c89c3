"""Amazon Bedrock's errors.

Source:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors
    https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
    (checked 2026-11-20); messages as users report them, for example
    https://github.com/langgenius/dify/issues/16421
"""

from sandbox.refusal import Refusal

_KINDS = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_MESSAGES = {
    429: "Too many requests, please wait before trying again.",
    500: "The system encountered an unexpected error during processing. Try your request again.",
    503: "Bedrock is unable to process your request.",
}
_AFTER_THE_KIND = ":http://internal.amazon.com/coral/com.amazon.bedrock/"


def error(status: int, message: str, kind: str | None = None) -> Refusal:
    """Make an error in Bedrock's shape: its kind in a header, its message in the body."""
    kind = kind or _KINDS.get(status, "ServiceUnavailableException")
    return Refusal(status, {"message": message}, {"x-amzn-errortype": f"{kind}{_AFTER_THE_KIND}"})


def invalid(message: str) -> Refusal:
    """400, `ValidationException`."""
    return error(400, message)


def model_error(message: str) -> Refusal:
    """400 for what the model behind Bedrock refuses."""
    return invalid(f"The model returned the following errors: {message}")


def failure(status: int, retry_after_s: float | None) -> Refusal:
    """An error on demand. Bedrock sends no `retry-after` of its own accord."""
    refusal = error(status, _MESSAGES.get(status, _MESSAGES[503]))
    if retry_after_s is not None:
        refusal.headers["retry-after"] = f"{retry_after_s:g}"
    return refusal
