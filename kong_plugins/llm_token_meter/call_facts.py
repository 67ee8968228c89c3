"""From a request's bytes to the facts a decision needs."""

from collections.abc import Callable

from llm_core.chat.request import ChatRequest
from llm_core.digest import canonical, sha256_hex
from llm_core.errors import MalformedRequest
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.tokens.estimate import estimate_prompt_tokens

_PATHS = {
    ("POST", "/chat/completions"): Operation.CHAT_COMPLETIONS,
    ("GET", "/models"): Operation.MODELS,
}


def operation_at(method: str, path: str) -> Operation:
    """Which operation a request means, by the end of its path.

    Raises:
        MalformedRequest: None of ours.
    """
    for (known_method, suffix), operation in _PATHS.items():
        if method == known_method and path.rstrip("/").endswith(suffix):
            return operation
    raise MalformedRequest(
        f"{method} {path[:200]} is not served here. "
        "Served are POST /v1/chat/completions and GET /v1/models."
    )


def chat_call(body: bytes, count: Callable[[str], int]) -> Call:
    """Read a chat completion's facts.

    Args:
        body: The client's bytes; their Content-Type does not matter.
        count: Counts a text's tokens.

    Raises:
        MalformedRequest: The body is not a chat completion request.
    """
    request = ChatRequest.parse(body)
    return Call(
        operation=Operation.CHAT_COMPLETIONS,
        asked_model=request.model,
        is_streaming=request.is_streaming,
        prompt_tokens=estimate_prompt_tokens(request, count),
        max_output_tokens=request.max_output_tokens,
        choices=request.choices,
        has_tools=request.has_tools,
        has_images=request.has_images,
        response_format=request.response_format,
        body_digest=sha256_hex(canonical(request.fields)),
        body_bytes=len(body),
    )
