"""Mistral's errors.

Three shapes are in use: `{"object": "error", "message", "type", "param", "code"}` from the model's
side, `{"detail": [{"loc", "msg", "type"}]}` (422) from the check of the request's shape, where
`detail` can also be a sentence, and `{"message", "request_id"}` from what stands in front. The
first can carry the second as its `message`.

Source:
    https://docs.mistral.ai/api/, `HTTPValidationError`
    https://docs.mistral.ai/resources/error-glossary
    The pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from typing import Any

from llm_core.errors import ProviderError
from llm_core.providers.failures import Reported, provider_failure

PROVIDER = "Mistral"

_BAD_REQUEST = 400
_NOT_FOUND = 404


def failure_from_mistral(
    status: int, headers: Mapping[str, str], body: Mapping[str, Any] | None
) -> ProviderError:
    """Read an error answer.

    Args:
        status: What Mistral answered.
        headers: The answer's.
        body: `None` when it was no JSON object.
    """
    reported = reported_by_mistral(body)
    # An unknown model is a 400 at Mistral; it is our catalogue's fault and not the caller's.
    is_unknown = reported.type == "invalid_model" or reported.code == "unknown_model"
    if status == _BAD_REQUEST and is_unknown:
        status = _NOT_FOUND
    return provider_failure(PROVIDER, status, headers, reported)


def reported_by_mistral(body: Mapping[str, Any] | None) -> Reported:
    """Read an error object of any of the shapes."""
    error = (body or {}).get("error", body)
    if isinstance(error, str):
        return Reported(message=error)
    if not isinstance(error, dict):
        return Reported()
    said = error.get("detail", error.get("message"))
    if isinstance(said, dict):
        said = said.get("detail", said.get("message"))
    message, param = _first_fault(said) if isinstance(said, list) else (_text(said), None)
    code = error.get("code")
    return Reported(
        message=message,
        type=_text(error.get("type")),
        code=str(code) if isinstance(code, int) else _text(code),
        param=_text(error.get("param")) or param,
    )


def _first_fault(faults: list[Any]) -> tuple[str | None, str | None]:
    """The first of a list of faults: its sentence, and the field in OpenAI's dotted form."""
    fault = faults[0] if faults and isinstance(faults[0], dict) else {}
    where = fault.get("loc")
    steps = where if isinstance(where, list) else []
    param = "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}"
        for step in (steps[1:] if steps[:1] == ["body"] else steps)
    ).removeprefix(".")
    message = _text(fault.get("msg"))
    if message and param:
        message = f"{param}: {message}"
    return message, param or None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
