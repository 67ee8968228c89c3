"""Refuses what Converse refuses, with its words.

Source:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html
    (checked 2026-11-20); messages as users report them, for example
    https://github.com/langchain-ai/langchain-aws/issues/137
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sandbox.bedrock.errors import invalid, model_error
from sandbox.bedrock.tool_validation import check_tool_turns, check_tools
from sandbox.bedrock.traits import claude, is_adaptive_claude, more_fields, takes_schemas

_IMAGE_FORMATS = ("png", "jpeg", "gif", "webp")
_DOCUMENT_FORMATS = ("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md")
_DOCUMENT_NAME = re.compile(r"(?!.*\s\s)[a-zA-Z0-9\s()\[\]-]{1,200}")
_BLOCKS = frozenset(
    {"text", "image", "document", "toolUse", "toolResult", "cachePoint", "reasoningContent"}
)
_LEAST_BUDGET = 1024


def check(payload: Mapping[str, Any], model: str) -> None:
    """Check a request's body.

    Args:
        payload: The body, decoded.
        model: The model's id without the sandbox's own suffixes.

    Raises:
        Refusal: The first thing that Bedrock would complain about.
    """
    messages = payload.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid(
            "A conversation must start with a user message. Try again with a conversation that "
            "starts with a user message."
        )
    _check_inference(payload.get("inferenceConfig") or {}, model)
    _check_messages(messages)
    for place, block in enumerate(payload.get("system") or ()):
        _check_block(block, f"system.{place}", ("text", "cachePoint"))
    check_tools(payload)
    check_tool_turns(messages, has_tools="toolConfig" in payload)
    _check_more(payload, model)
    _check_format(payload, model)


def _check_inference(inference: Mapping[str, Any], model: str) -> None:
    for name, least, most in (("temperature", 0, 1), ("topP", 0, 1), ("maxTokens", 1, None)):
        given = inference.get(name)
        if given is None:
            continue
        side = "less" if most is not None and given > most else "greater"
        bound = most if side == "less" else least
        if given < least or (most is not None and given > most):
            raise invalid(
                f"1 validation error detected: Value '{given}' at 'inferenceConfig.{name}' failed "
                f"to satisfy constraint: Member must have value {side} than or equal to {bound}"
            )
        if name != "maxTokens" and is_adaptive_claude(model):
            raise model_error(f"`{name}` is deprecated for this model.")
    if claude(model) and "temperature" in inference and "topP" in inference:
        raise model_error("`temperature` and `top_p` cannot both be specified for this model.")
    for stop in inference.get("stopSequences") or ():
        if not str(stop).strip():
            raise model_error("stop_sequences: each stop sequence must contain non-whitespace")


def _check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    expected = "user"
    names: list[str] = []
    for place, message in enumerate(messages):
        if message.get("role") != expected:
            raise invalid(
                "A conversation must start with a user message. Try again with a conversation that "
                "starts with a user message."
                if place == 0
                else "A conversation must alternate between user and assistant roles. Make sure "
                "the conversation alternates between user and assistant roles and try again."
            )
        expected = "assistant" if expected == "user" else "user"
        content = message.get("content")
        if not isinstance(content, list) or not content:
            raise invalid(
                f"The content field in the Message object at messages.{place} is empty. Add a "
                "ContentBlock object to the content field and try again."
            )
        for position, block in enumerate(content):
            _check_block(block, f"messages.{place}.content.{position}", _BLOCKS)
            if "document" in block:
                names.append(block["document"]["name"])
    if len(set(names)) < len(names):
        raise invalid("Multiple documents have the same name. Give each document its own name.")


def _check_block(
    block: Mapping[str, Any], where: str, known: Sequence[str] | frozenset[str]
) -> None:
    kinds = list(block)
    if len(kinds) != 1 or kinds[0] not in known:
        raise invalid(f"The ContentBlock object at {where} must set one of the following keys.")
    match block:
        case {"text": str(text)} if not text.strip():
            raise invalid(
                f"The text field in the ContentBlock object at {where} is blank. Add text to the "
                "text field, and try again."
            )
        case {"image": image}:
            _check_bytes(image, where, _IMAGE_FORMATS)
        case {"document": document}:
            _check_bytes(document, where, _DOCUMENT_FORMATS)
            if not _DOCUMENT_NAME.fullmatch(document["name"]):
                raise invalid(
                    "The document file name can only contain alphanumeric characters, whitespace "
                    "characters, hyphens, parentheses, and square brackets. The name can't contain "
                    "more than one consecutive whitespace character."
                )
        case _:
            pass


def _check_bytes(block: Mapping[str, Any], where: str, formats: Sequence[str]) -> None:
    if block["format"] not in formats:
        raise invalid(f"1 validation error detected: Value at '{where}.format' is not valid")
    try:
        is_empty = not base64.b64decode(block["source"]["bytes"], validate=True)
    except binascii.Error:
        is_empty = True
    if is_empty:
        raise invalid(f"The bytes at {where} are not base64.")


def _check_more(payload: Mapping[str, Any], model: str) -> None:
    more = payload.get("additionalModelRequestFields") or {}
    known = more_fields(model)
    unknown = next((name for name in more if known is not None and name not in known), None)
    if unknown is not None:
        raise model_error(f"{unknown}: Extra inputs are not permitted")
    match more:
        case {"thinking": {"type": "enabled", "budget_tokens": int(budget)}}:
            _check_budget(budget, payload, model)
        case {"reasoningConfig": {"maxReasoningEffort": "high"}} if payload.get("inferenceConfig"):
            raise invalid("inferenceConfig cannot be used with maxReasoningEffort set to high.")
        case _:
            pass
    is_thinking = (more.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    choice = (payload.get("toolConfig") or {}).get("toolChoice") or {}
    if is_thinking and ("any" in choice or "tool" in choice):
        raise model_error("Thinking may not be enabled when tool_choice forces tool use.")


def _check_budget(budget: int, payload: Mapping[str, Any], model: str) -> None:
    if is_adaptive_claude(model):
        raise model_error('"thinking.type.enabled" is not supported for this model.')
    if budget < _LEAST_BUDGET:
        raise model_error(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        )
    inference = payload.get("inferenceConfig") or {}
    if inference.get("maxTokens", budget + 1) <= budget:
        raise model_error("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if inference.get("temperature") not in (None, 1):
        raise model_error("`temperature` may only be set to 1 when thinking is enabled.")
    last = payload["messages"][-1]["content"]
    before = payload["messages"][-2]["content"] if len(payload["messages"]) > 1 else [{}]
    if "toolResult" in last[0] and "reasoningContent" not in before[0]:
        raise model_error(
            "Expected `thinking` or `redacted_thinking`, but found something else. When `thinking` "
            "is enabled, a final `assistant` message must start with a thinking block."
        )


def _check_format(payload: Mapping[str, Any], model: str) -> None:
    wanted = (payload.get("outputConfig") or {}).get("textFormat")
    if not wanted:
        return
    if not takes_schemas(model):
        raise invalid("This model doesn't support the outputConfig.textFormat field.")
    if wanted["type"] != "json_schema":
        raise invalid("1 validation error detected: Value at 'outputConfig.textFormat.type'")
    try:
        schema = msgspec.json.decode(wanted["structure"]["jsonSchema"]["schema"])
    except msgspec.DecodeError:
        raise invalid("The schema at outputConfig.textFormat is not valid JSON.") from None
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise model_error(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be "
            "explicitly set to false"
        )
