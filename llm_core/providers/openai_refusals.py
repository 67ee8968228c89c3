"""What a request may not ask of those who speak OpenAI's format.

Their format is ours, so fields that nobody here knows are passed on. These are not: each would
choose the model, the fee, the data or their keeping after policy has decided about them, past the
names that policy looks at. Null is the same as absent.

Source:
    https://platform.openai.com/docs/api-reference/chat/create (checked 2026-11-20)
    https://learn.microsoft.com/azure/ai-foundry/openai/references/on-your-data (checked 2026-11-20)
    https://openrouter.ai/docs/api-reference/parameters (checked 2026-11-20)
    https://docs.litellm.ai/docs/completion/input (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

from llm_core.errors import UnsupportedParameter

_ROUTE = "which model answers, and where, is decided by policy."
_FEE = "what a call costs is decided before it is made."
_PROMPT = "the prompt is sent as it was counted."

STORED_FILE = (
    "all callers share its account, so whose file that is cannot be told; send 'file_data'."
)
"""Why no file is read by the id that it has at a provider."""

REFUSED: Mapping[str, str] = {
    # OpenRouter
    "models": _ROUTE,
    "route": _ROUTE,
    "provider": _ROUTE,
    "plugins": _FEE,
    "transforms": _PROMPT,
    # LiteLLM
    "fallbacks": _ROUTE,
    "api_base": _ROUTE,
    "base_url": _ROUTE,
    "api_key": "the gateway has the credential.",
    "extra_body": "send its members themselves.",
    # Searches for a fee: xAI, OpenAI; and Azure's data sources
    "search_parameters": _FEE,
    "web_search_options": _FEE,
    "data_sources": "which data a model may read is decided by policy.",
    # vLLM, llama.cpp: https://docs.vllm.ai/en/stable/features/prompt_embeds (checked 2026-11-20)
    "prompt_embeds": _PROMPT,
    "best_of": "answers that are not shown were not reserved for; use 'n'.",
    "n_predict": "use 'max_completion_tokens'.",
    "chat_template": _PROMPT,
}
"""Refused for all: the field, and the end of a sentence that says why."""

REFUSED_BY_OPENAI: Mapping[str, str] = {
    **REFUSED,
    # https://platform.openai.com/docs/guides/predicted-outputs#limitations (checked 2026-11-20)
    "prediction": "it does not go with 'max_completion_tokens', which the gateway always sends.",
}
"""Refused for OpenAI and Azure."""

_TOOLS = ("function", "custom")
# Servers written in Go read `Model` as `model`, and the later of the two wins.
_ONE_SPELLING = frozenset(
    {
        *("model", "messages", "tools", "functions", "stream", "stream_options"),
        *("max_tokens", "max_completion_tokens", "n", "service_tier", "store"),
    }
)


def refuse(fields: Mapping[str, Any], provider: str, refused: Mapping[str, str]) -> None:
    """Refuse what is not the caller's to choose.

    Args:
        fields: The whole request.
        provider: Its name for a sentence, for example `OpenAI`.
        refused: `REFUSED` or `REFUSED_BY_OPENAI`.

    Raises:
        UnsupportedParameter: With the field.
    """
    for name, value in fields.items():
        if value is None:
            continue
        folded = name.casefold()
        if folded in refused:
            raise _refusal(provider, folded, refused[folded], param=name)
        if folded != name and folded in _ONE_SPELLING:
            raise _refusal(provider, folded, "write it in lower case.", param=name)
    for index, tool in enumerate(fields.get("tools") or ()):
        # Tools of any other kind run at the provider, for a fee per call.
        if tool["type"] not in _TOOLS:
            param = f"tools[{index}].type"
            raise _refusal(provider, param, "only functions and custom tools can be called.", param)
    for index, message in enumerate(fields.get("messages") or ()):
        _refuse_stored_files(message, f"messages[{index}].content", provider)


def _refuse_stored_files(message: Mapping[str, Any], where: str, provider: str) -> None:
    content = message.get("content")
    for index, part in enumerate(content if isinstance(content, list) else ()):
        if part["type"] == "file" and part["file"].get("file_id") is not None:
            param = f"{where}[{index}].file.file_id"
            raise _refusal(provider, param, STORED_FILE, param)


def refuse_keeping(fields: Mapping[str, Any], provider: str) -> None:
    """Refuse to let a provider keep the conversation: `store: true`, or a cache for a day.

    The values are those of the vendor's SDK (openai 3.52).

    Raises:
        UnsupportedParameter: It is asked for.
    """
    if fields.get("store") not in (None, False):
        raise _refusal(provider, "store", "the gateway lets no provider keep prompts.", "store")
    if fields.get("prompt_cache_retention") not in (None, "in_memory"):
        name = "prompt_cache_retention"
        raise _refusal(provider, name, "the gateway lets no provider keep prompts.", name)


def refuse_other_tiers(fields: Mapping[str, Any], provider: str) -> None:
    """Refuse tiers that cost other than what was reserved; prices are the standard tier's.

    Source:
        https://platform.openai.com/docs/guides/priority-processing (checked 2026-11-20)

    Raises:
        UnsupportedParameter: Another tier is asked for.
    """
    if fields.get("service_tier") not in (None, "auto", "default"):
        why = "it is called at its default tier only; leave it out."
        raise _refusal(provider, "service_tier", why, "service_tier")


def _refusal(provider: str, shown: str, why: str, param: str) -> UnsupportedParameter:
    return UnsupportedParameter(f"{provider} is not asked for '{shown}': {why}", param=param)
