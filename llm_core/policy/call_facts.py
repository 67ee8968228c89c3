"""From a request's bytes to the facts a decision needs."""

from collections.abc import Callable, Mapping
from typing import Any

from llm_core.apis.registry import read_ask
from llm_core.digest import canonical, sha256_hex
from llm_core.errors import MalformedRequest
from llm_core.operation import Operation
from llm_core.policy.cache_key import question_digest
from llm_core.policy.call import Call
from llm_core.policy.request_facts import RequestFacts

USE_CASE_HEADER = "x-gatehouse-use-case"
"""In which a request says what it is for."""

_PATHS = {
    # The longer one first: the shorter is its end.
    ("POST", "/chat/completions"): Operation.CHAT_COMPLETIONS,
    ("POST", "/completions"): Operation.COMPLETIONS,
    ("POST", "/embeddings"): Operation.EMBEDDINGS,
    ("POST", "/responses"): Operation.RESPONSES,
    ("POST", "/messages"): Operation.MESSAGES,
    ("GET", "/models"): Operation.MODELS,
    ("GET", "/me"): Operation.ME,
    ("GET", "/me/usage"): Operation.ME_USAGE,
    ("GET", "/approvals"): Operation.APPROVALS,
    ("POST", "/approvals"): Operation.APPROVALS_REQUEST,
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
        f"{method} {path[:200]} is not served here. Served are POST to /v1/chat/completions, "
        "/v1/completions, /v1/embeddings, /v1/responses, /v1/messages and /v1/approvals, and GET "
        "to /v1/models, /v1/me, /v1/me/usage and /v1/approvals."
    )


def call_of(
    operation: Operation,
    body: bytes,
    count: Callable[[str], int],
    facts: RequestFacts = RequestFacts(),  # noqa: B008 - frozen
) -> Call:
    """Read a request's facts.

    Args:
        operation: In which API it came.
        body: The client's bytes; their Content-Type does not matter.
        count: Counts a text's tokens.
        facts: What the headers say.

    Raises:
        MalformedRequest: The body is no request of that API.
    """
    ask = read_ask(operation, body)
    affinity = ask.fields.get("prompt_cache_key")
    body_digest = sha256_hex(canonical(ask.fields))
    return Call(
        operation=operation,
        asked_model=ask.model,
        is_streaming=ask.is_streaming,
        prompt_tokens=ask.prompt_tokens(count),
        max_output_tokens=ask.max_output_tokens,
        choices=ask.choices,
        has_tools=ask.has_tools,
        has_images=ask.has_images,
        response_format=ask.response_format,
        body_digest=body_digest,
        question_digest=question_digest(operation, ask.fields, body_digest),
        affinity=_digest(affinity) if isinstance(affinity, str) and affinity else None,
        body_bytes=len(body),
        reads_cache=facts.reads_cache,
        fills_cache=facts.fills_cache,
        priority=facts.priority,
        use_case=facts.use_case,
        data_labels=facts.data_labels,
        source_ip=facts.source_ip,
    )


def replayed(operation: Operation, body: bytes, answer: Mapping[str, Any]) -> bytes:
    """A kept answer as the stream that a request asks for."""
    return b"".join(read_ask(operation, body).replayed(answer))


def _digest(text: str) -> str:
    return sha256_hex(text.encode("utf-8", "surrogatepass"))
