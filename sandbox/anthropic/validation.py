"""Refuses what Anthropic's Messages API refuses, with its words.

Source:
    https://platform.claude.com/docs/en/api/messages/create and
    https://platform.claude.com/docs/en/build-with-claude/extended-thinking (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

from sandbox.anthropic.errors import invalid
from sandbox.anthropic.tool_validation import check_tool_turns, check_tools
from sandbox.anthropic.traits import NO_SAMPLING_VERSION, is_adaptive_only
from sandbox.tokens import words

_PARAMETERS = frozenset(
    words(
        """cache_control container context_management diagnostics inference_geo max_tokens
        mcp_servers messages metadata model output_config output_format service_tier speed
        stop_sequences stream system temperature thinking tool_choice tools top_k top_p
        user_profile_id workspace_id"""
    )
)
_SAMPLING = ("temperature", "top_p", "top_k")
_LEAST_BUDGET = 1024
_BLOCKS = frozenset(
    words(
        """text image document thinking redacted_thinking tool_use tool_result
        search_result"""
    )
)


def check(payload: Mapping[str, Any], model: str, version: str) -> None:
    """Check a request's body.

    Args:
        payload: The body, decoded.
        model: The model's name without the sandbox's own suffixes.
        version: `anthropic-version`.

    Raises:
        Refusal: The first thing that Anthropic would complain about.
    """
    _check_parameters(payload, model, version)
    messages = payload["messages"]
    for place, message in enumerate(messages):
        _check_message(message, place)
    if messages[0]["role"] != "user":
        raise invalid('messages: first message must use the "user" role')
    _check_last(messages[-1], model)
    check_tools(payload)
    check_tool_turns(messages)
    _check_thinking(payload, model)


def _check_parameters(payload: Mapping[str, Any], model: str, version: str) -> None:
    for name in ("model", "max_tokens", "messages"):
        if payload.get(name) is None:
            raise invalid(f"{name}: Field required")
    unknown = next((key for key in payload if key not in _PARAMETERS), None)
    if unknown is not None:
        raise invalid(f"{unknown}: Extra inputs are not permitted")
    _check_longest(payload["max_tokens"])
    _check_sampling(payload, model, version)
    if not isinstance(payload["messages"], list):
        raise invalid("messages: Input should be a valid list")
    if not payload["messages"]:
        raise invalid("messages: at least one message is required")


def _check_longest(longest: object) -> None:
    if isinstance(longest, bool) or not isinstance(longest, int):
        raise invalid("max_tokens: Input should be a valid integer")
    if longest < 1:
        raise invalid("max_tokens: Input should be greater than or equal to 1")


def _check_sampling(payload: Mapping[str, Any], model: str, version: str) -> None:
    for name in _SAMPLING:
        given = payload.get(name)
        if given is not None and version >= NO_SAMPLING_VERSION:
            raise invalid(f"{name}: Extra inputs are not permitted")
        if given is not None and is_adaptive_only(model) and (name, given) != ("temperature", 1):
            raise invalid(f"`{name}` is deprecated for this model.")
        if given is not None and name != "top_k" and not 0 <= given <= 1:
            raise invalid(f"{name}: range: 0..1")
    for stop in payload.get("stop_sequences") or ():
        if not str(stop).strip():
            raise invalid("stop_sequences: each stop sequence must contain non-whitespace")


def _check_message(message: object, place: int) -> None:
    if not isinstance(message, dict):
        raise invalid(f"messages.{place}: Input should be a valid dictionary")
    if message.get("role") not in ("user", "assistant"):
        raise invalid(f"messages.{place}.role: Input should be 'user' or 'assistant'")
    content = message.get("content")
    if content is None:
        raise invalid(f"messages.{place}.content: Field required")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise invalid(f"messages.{place}.content: Input should be a valid list")
    if not content:
        raise invalid(f"messages.{place}: all messages must have non-empty content")
    for position, block in enumerate(content):
        _check_block(block, f"messages.{place}.content.{position}")


def _check_block(block: Mapping[str, Any], where: str) -> None:
    kind = block.get("type")
    if kind not in _BLOCKS:
        raise invalid(
            f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected "
            "tags: " + ", ".join(f"'{known}'" for known in sorted(_BLOCKS))
        )
    if kind == "text" and not str(block.get("text") or "").strip():
        raise invalid("messages: text content blocks must contain non-whitespace text")
    if kind == "thinking" and not block.get("signature"):
        raise invalid(f"{where}.thinking.signature: Field required")


def _check_last(message: Mapping[str, Any], model: str) -> None:
    if message["role"] != "assistant":
        return
    if is_adaptive_only(model):
        raise invalid(
            "This model does not support assistant message prefill. The conversation must end "
            "with a user message."
        )
    content = message["content"]
    text = content if isinstance(content, str) else str(content[-1].get("text", ""))
    if text != text.rstrip():
        raise invalid("messages: final assistant content cannot end with trailing whitespace")


def _check_thinking(payload: Mapping[str, Any], model: str) -> None:
    thinking = payload.get("thinking") or {"type": "disabled"}
    kind = thinking.get("type")
    if kind not in ("enabled", "disabled", "adaptive", "between_tools"):
        raise invalid(
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected "
            "tags: 'adaptive', 'disabled', 'enabled'"
        )
    if kind in ("disabled", "between_tools"):
        return
    if kind == "enabled":
        _check_budget(thinking, payload["max_tokens"], model)
        _check_kept_thinking(payload["messages"])
    if payload.get("temperature") not in (None, 1):
        raise invalid("`temperature` may only be set to 1 when thinking is enabled.")
    if (payload.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")


def _check_budget(thinking: Mapping[str, Any], max_tokens: int, model: str) -> None:
    if is_adaptive_only(model):
        raise invalid(
            '"thinking.type.enabled" is not supported for this model. Use '
            '"thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
        )
    budget = thinking.get("budget_tokens")
    if budget is None:
        raise invalid("thinking.enabled.budget_tokens: Field required")
    if budget < _LEAST_BUDGET:
        raise invalid(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        )
    if max_tokens <= budget:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_kept_thinking(messages: list[Mapping[str, Any]]) -> None:
    """A tool loop under manual thinking must hand the thinking block back."""
    last = messages[-1]["content"]
    is_tool_loop = isinstance(last, list) and last[0].get("type") == "tool_result"
    place = max(
        (place for place, message in enumerate(messages) if message["role"] == "assistant"),
        default=None,
    )
    if not is_tool_loop or place is None:
        return
    content = messages[place]["content"]
    first = content[0].get("type") if isinstance(content, list) else "text"
    if first not in ("thinking", "redacted_thinking"):
        raise invalid(
            f"messages.{place}.content.0.type: Expected `thinking` or `redacted_thinking`, but "
            f"found `{first}`. When `thinking` is enabled, a final `assistant` message must start "
            "with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result` "
            "blocks)."
        )
