"""What a request to the Responses API may not ask of anybody.

Each of these would keep the conversation at the provider, read what others have kept there, or cost
what nobody has reserved for. Null is the same as absent, and `false` as well where it is the
default.

Source:
    https://platform.openai.com/docs/api-reference/responses/create (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

from llm_core.errors import UnsupportedParameter
from llm_core.providers.openai_refusals import refuse_keeping, refuse_other_tiers

NOBODY = "No provider"
"""Stands where another refusal names the provider."""
_ANYBODY = "A provider"
"""Likewise, before "is not asked for"."""

_NOT_KEPT = "responses are not kept; send the earlier items in 'input'."
_REFUSED: Mapping[str, str] = {
    "previous_response_id": _NOT_KEPT,
    "conversation": _NOT_KEPT,
    "background": "responses are not kept, so it could not be fetched; use 'stream'.",
    "prompt": (
        "a template is kept at the provider, where nobody has counted it; send its text in "
        "'instructions' and 'input'."
    ),
    "context_management": (
        "the provider would run a model that nobody has reserved for; shorten 'input' instead."
    ),
    "access_programs": "under which program a call runs is decided by policy.",
    # The chat API's names: past the ones that are read here, they would be sent on unread.
    "messages": "in this API the conversation is 'input'.",
    "n": "this API gives one answer.",
    "best_of": "this API gives one answer.",
    "max_tokens": "in this API it is 'max_output_tokens'.",
    "max_completion_tokens": "in this API it is 'max_output_tokens'.",
    "response_format": "in this API it is 'text.format'.",
    "reasoning_effort": "in this API it is 'reasoning.effort'.",
    "verbosity": "in this API it is 'text.verbosity'.",
    "functions": "in this API they are 'tools'.",
    "function_call": "in this API it is 'tool_choice'.",
}
# Servers written in Go read `Store` as `store`, and the later of the two wins.
_ONE_SPELLING = frozenset(
    {*_REFUSED, "model", "input", "instructions", "tools", "tool_choice", "stream"}
    | {"stream_options", "store", "service_tier", "max_output_tokens", "text", "reasoning"}
)


def refuse_at_all(fields: Mapping[str, Any]) -> None:
    """Refuse what is not the caller's to choose, at whichever provider.

    Raises:
        UnsupportedParameter: With the field.
    """
    for name, value in fields.items():
        folded = name.casefold()
        if folded != name and folded in _ONE_SPELLING:
            raise refusal(name, "write it in lower case.")
        if name in _REFUSED and value is not None and value is not False:
            raise refusal(name, _REFUSED[name])
    refuse_keeping(fields, _ANYBODY)
    refuse_other_tiers(fields, _ANYBODY)
    reasoning = fields.get("reasoning")
    if isinstance(reasoning, dict) and reasoning.get("mode") not in (None, "standard"):
        raise refusal("reasoning.mode", "what a call costs is decided before it is made.")


def refusal(param: str, why: str) -> UnsupportedParameter:
    """The error for something that no provider is asked for."""
    return UnsupportedParameter(f"{NOBODY} is asked for '{param}': {why}", param=param)
