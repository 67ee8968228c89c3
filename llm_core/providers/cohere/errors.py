"""Cohere's errors: `{"id", "message"}`, and a status.

Source:
    https://docs.cohere.com/reference/errors
    The pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from typing import Any

from llm_core.errors import ProviderError
from llm_core.providers.failures import Reported, provider_failure
from llm_core.providers.openai import reported_by_openai

PROVIDER = "Cohere"

# Cohere's own. Its OpenAPI document says of 498 that "a request or response contains a deny-listed
# token", which is a word and no credential, though the SDK calls it `InvalidTokenError`; and of 499
# that the caller cancelled, which we did not (excerpts seen 2026-11-20).
_STATUS = {498: 400, 499: 502}


def failure_from_cohere(
    status: int, headers: Mapping[str, str], body: Mapping[str, Any] | None
) -> ProviderError:
    """Read an error answer.

    Args:
        status: What Cohere answered.
        headers: The answer's.
        body: `None` when it was no JSON object.
    """
    # What stands in front of Cohere may answer in OpenAI's shape; the reader knows both.
    reported = Reported(message=reported_by_openai(dict(body) if body else None).message)
    return provider_failure(PROVIDER, _STATUS.get(status, status), headers, reported)


def failure_of_generation(finish_reason: object) -> ProviderError | None:
    """The failure that an answer's end tells of; `None` when it ended well.

    The status of such an answer was 200: `ERROR` is a fault of Cohere's, `TIMEOUT` a generation
    that took too long.

    Source:
        https://docs.cohere.com/reference/chat (excerpts seen 2026-11-20), `ChatFinishReason`
    """
    match finish_reason:
        case "ERROR":
            return provider_failure(PROVIDER, 500, {}, Reported())
        case "TIMEOUT":
            return provider_failure(PROVIDER, 504, {}, Reported())
        case _:
            return None
