"""What is asked, without the words it is asked in."""

from dataclasses import dataclass

from llm_core.operation import Operation
from llm_core.policy.limits import Priority


@dataclass(frozen=True, slots=True)
class Call:
    """One request's facts, as far as a decision needs them; never the prompt itself.

    Args:
        asked_model: What the caller wrote in `model`; empty for `models`.
        prompt_tokens: Estimated input tokens.
        max_output_tokens: What the caller asked for; `None` when absent.
        body_digest: SHA-256 of the canonical body, hex.
        response_format: `text`, `json_object` or `json_schema`.
        choices: How many answers are asked for (`n`).
        data_labels: From the headers a route may ask for.
        use_case: Likewise.
        affinity: Digest of what the caller gave as prompt-cache key, for sticky routing.
        reads_cache: Whether an answer from the response cache will do (`Cache-Control: no-cache`).
        fills_cache: Whether the answer may be kept there (`Cache-Control: no-store`).
        question_digest: SHA-256, hex, of what is asked, however the answer is to travel; empty for
            what no kept answer can answer.
        priority: What the request says of itself; a batch key makes it batch whatever it says.
        source_ip: The client's address, where the route tells it; the service forgets it as soon as
            it knows `networks`.
        networks: Names of compliance's networks that the address lies in; the service fills it.
    """

    operation: Operation
    asked_model: str = ""
    is_streaming: bool = False
    prompt_tokens: int = 0
    max_output_tokens: int | None = None
    choices: int = 1
    has_tools: bool = False
    has_images: bool = False
    response_format: str = "text"
    body_digest: str = ""
    body_bytes: int = 0
    data_labels: tuple[str, ...] = ()
    use_case: str | None = None
    affinity: str | None = None
    reads_cache: bool = True
    fills_cache: bool = True
    question_digest: str = ""
    priority: Priority = Priority.INTERACTIVE
    source_ip: str | None = None
    networks: tuple[str, ...] = ()
