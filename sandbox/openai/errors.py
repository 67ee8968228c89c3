"""OpenAI's errors.

Source:
    https://platform.openai.com/docs/guides/error-codes (checked 2026-11-20); messages and `param`
    as reported by users, for example https://github.com/run-llama/llama_index/issues/10493 and
    https://github.com/tailcallhq/forgecode/issues/1177
"""

from http import HTTPStatus

from sandbox.refusal import Refusal


def error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> Refusal:
    """Make an error in OpenAI's shape."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Refusal(status, body, headers)


def no_key() -> Refusal:
    """No credential was sent."""
    return error(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization "
        "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
    )


def wrong_key() -> Refusal:
    """The credential is not known. OpenAI repeats a part of it; the sandbox repeats none."""
    return error(
        401,
        "Incorrect API key provided: sk-****. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    )


def not_json() -> Refusal:
    """The body cannot be parsed."""
    return error(
        400,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't "
        "using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was "
        "sent was not valid JSON.)",
    )


def no_such_model(model: str) -> Refusal:
    """The model does not exist, or not for this key."""
    return error(
        404,
        f"The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


def failure(status: int, retry_after_s: float | None, model: str) -> Refusal:
    """An error on demand."""
    wait_s = (
        1.0 if status == HTTPStatus.TOO_MANY_REQUESTS and retry_after_s is None else retry_after_s
    )
    headers = {} if wait_s is None else {"retry-after": f"{wait_s:g}"}
    match status:
        case 429:
            return error(
                429,
                f"Rate limit reached for {model} in organization org-sandbox on requests per min "
                f"(RPM): Limit 3, Used 3, Requested 1. Please try again in {wait_s:g}s.",
                kind="requests",
                code="rate_limit_exceeded",
                headers=headers,
            )
        case 503:
            message = "The engine is currently overloaded, please try again later."
        case _:
            message = SERVER_ERROR
    return error(status, message, kind="server_error", headers=headers)


SERVER_ERROR = "The server had an error while processing your request. Sorry about that!"
