"""Anthropic's request as a chat request.

| Anthropic | OpenAI |
|---|---|
| `system` | the first message |
| `stop_sequences` | `stop` |
| `tool_choice` auto, any, tool, none | `auto`, `required`, the function, `none` |
| `disable_parallel_tool_use` | `parallel_tool_calls: false` |
| `thinking`, `output_config.effort` | both kept, and `reasoning_effort` |
| `output_config.format`, or `output_format` | `response_format` |
| `metadata.user_id` | `user` |

The chat request holds all that the original says, so that its estimate is never lower than what is
sent. What only Anthropic's own providers read (`thinking`, `output_config`, `top_k`,
`cache_control`) is taken out by `fit` for the others.

What changes where data goes or what a call costs is refused, as in chat. Tools that Anthropic runs
or defines are refused as well: chat offers functions only. Fields that nobody here knows are left
out and named. So are edits of the context that only leave out old parts of it: Claude Code sends
them with every request, and without them the conversation is sent as it is.

Source:
    https://platform.claude.com/docs/en/api/messages/create (checked 2026-11-20)
    https://platform.claude.com/docs/en/build-with-claude/context-editing (checked 2026-11-20)
    https://code.claude.com/docs/en/llm-gateway-protocol (checked 2026-11-20)
"""

from collections.abc import Callable, Mapping
from typing import Any

from llm_core.apis.messages.checks import (
    a_bool,
    a_list,
    a_name,
    a_share,
    a_string,
    a_whole_number,
    an_object,
    not_offered,
    one_of,
    required,
)
from llm_core.apis.messages.content import messages_of, text_content
from llm_core.apis.messages.effort import effort_of
from llm_core.apis.messages.schema import is_closed
from llm_core.apis.messages.tools import choice_of, tools_of
from llm_core.chat.checks import MAX_MODEL_CHARACTERS, MAX_OUTPUT_TOKENS
from llm_core.digest import sha256_hex
from llm_core.errors import MalformedRequest
from llm_core.providers.anthropic.messages import cache_control_from

_Object = dict[str, Any]

TAKEN = frozenset(
    {
        "model",
        "max_tokens",
        "messages",
        "system",
        "stream",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "output_format",
        "metadata",
        "cache_control",
        "service_tier",
    }
)
"""Fields of the API that mean something here."""

_COST = "what a call costs is decided before it is made."
_REFUSED = {
    "inference_geo": "where data is processed is decided by policy.",
    "speed": _COST,
    "container": "code execution is not offered.",
    "mcp_servers": "remote tools are not offered.",
    "workspace_id": "the credential decides it.",
    "user_profile_id": "the credential decides it.",
}
_THINKING = ("enabled", "adaptive", "disabled", "between_tools")
_LEAST_BUDGET_TOKENS = 1_024
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
# OpenAI takes no longer name for a user.
_MAX_USER_CHARACTERS = 64


def to_chat(fields: Mapping[str, Any]) -> _Object:
    """Check a request and give the fields of the chat request that says the same.

    Raises:
        MalformedRequest: Anthropic would not take it.
        UnsupportedParameter: It asks for what the gateway does not offer.
    """
    _refuse(fields)
    for name, check in _CHECKS.items():
        if fields.get(name) is not None:
            check(fields[name], name)
    chat: _Object = {
        "model": _model(fields),
        "messages": [*_system(fields), *messages_of(_turns(fields))],
        "max_completion_tokens": a_whole_number(
            required(fields, "max_tokens", "max_tokens"),
            "max_tokens",
            least=0,
            most=MAX_OUTPUT_TOKENS,
        ),
    }
    for name in ("stream", "temperature", "top_p", "top_k", "thinking", "cache_control"):
        if fields.get(name) is not None:
            chat[name] = fields[name]
    if fields.get("stop_sequences"):
        chat["stop"] = fields["stop_sequences"]
    cache_control_from(fields, "")
    chat |= tools_of(fields)
    chat |= choice_of(fields)
    chat |= _output(fields)
    return chat | _identity(fields)


def unknown_fields(fields: Mapping[str, Any]) -> list[str]:
    """What is left out for every provider, by name; `drop_params` is the gateway's own."""
    unknown = [
        name
        for name, value in fields.items()
        if value is not None and name not in TAKEN and name != "drop_params"
    ]
    if set(fields.get("metadata") or ()) - {"user_id"}:
        unknown.append("metadata")
    return unknown


def output_config_of(fields: Mapping[str, Any]) -> _Object:
    """`output_config`, with the schema that older clients put into `output_format`."""
    config = dict(fields.get("output_config") or {})
    if fields.get("output_format") is not None:
        config.setdefault("format", fields["output_format"])
    return {name: value for name, value in config.items() if value is not None}


def _refuse(fields: Mapping[str, Any]) -> None:
    for name, why in _REFUSED.items():
        if fields.get(name) is not None:
            raise not_offered(name, why)
    management = fields.get("context_management")
    if management is None:
        return
    edits = a_list(
        an_object(management, "context_management").get("edits") or [], "context_management.edits"
    )
    for index, edit in enumerate(edits):
        where = f"context_management.edits[{index}]"
        kind = a_string(an_object(edit, where).get("type"), f"{where}.type")
        if not kind.startswith("clear_"):
            raise not_offered(where, "the conversation is sent as it is.")


def _model(fields: Mapping[str, Any]) -> str:
    model = a_name(required(fields, "model", "model"), "model")
    if len(model) > MAX_MODEL_CHARACTERS:
        raise MalformedRequest(
            f"'model' must have at most {MAX_MODEL_CHARACTERS} characters.", param="model"
        )
    return model


def _turns(fields: Mapping[str, Any]) -> list[Any]:
    turns = a_list(required(fields, "messages", "messages"), "messages")
    if not turns:
        raise MalformedRequest("'messages' must hold at least one message.", param="messages")
    return turns


def _system(fields: Mapping[str, Any]) -> list[_Object]:
    if not fields.get("system"):
        return []
    return [{"role": "system", "content": text_content(fields["system"], "system")}]


def _output(fields: Mapping[str, Any]) -> _Object:
    """`output_config` without its format, which is `response_format`; and the effort."""
    config = output_config_of(fields)
    format_ = config.pop("format", None)
    said: _Object = {"output_config": config} if config else {}
    effort = effort_of(fields.get("thinking"), config.get("effort"))
    if effort is not None:
        said["reasoning_effort"] = effort
    if format_ is not None:
        schema = format_["schema"]
        described = {"name": "answer", "schema": schema, "strict": is_closed(schema)}
        said["response_format"] = {"type": "json_schema", "json_schema": described}
    return said


def _identity(fields: Mapping[str, Any]) -> _Object:
    """The user behind the call, opaque; a long name becomes its digest, the same each time."""
    user = (fields.get("metadata") or {}).get("user_id")
    if not user:
        return {}
    return {"user": user if len(user) <= _MAX_USER_CHARACTERS else sha256_hex(user.encode())}


def _check_stop(value: object, where: str) -> None:
    for index, sequence in enumerate(a_list(value, where)):
        a_string(sequence, f"{where}[{index}]")


def _check_thinking(value: object, where: str) -> None:
    thinking = an_object(value, where)
    kind = one_of(thinking.get("type"), _THINKING, f"{where}.type")
    if kind == "enabled":
        at = f"{where}.budget_tokens"
        a_whole_number(required(thinking, "budget_tokens", at), at, least=_LEAST_BUDGET_TOKENS)


def _check_format(value: object, where: str) -> None:
    format_ = an_object(value, where)
    one_of(format_.get("type"), ("json_schema",), f"{where}.type")
    an_object(required(format_, "schema", f"{where}.schema"), f"{where}.schema")


def _check_output_config(value: object, where: str) -> None:
    config = an_object(value, where)
    if config.get("effort") is not None:
        one_of(config["effort"], _EFFORTS, f"{where}.effort")
    if config.get("format") is not None:
        _check_format(config["format"], f"{where}.format")


def _check_metadata(value: object, where: str) -> None:
    user = an_object(value, where).get("user_id")
    if user is not None:
        a_string(user, f"{where}.user_id")


def _check_top_k(value: object, where: str) -> None:
    a_whole_number(value, where, least=0)


def _check_system(value: object, where: str) -> None:
    text_content(value, where)


# A field that is null counts as absent.
_CHECKS: Mapping[str, Callable[[Any, str], object]] = {
    "stream": a_bool,
    "system": _check_system,
    "stop_sequences": _check_stop,
    "temperature": a_share,
    "top_p": a_share,
    "top_k": _check_top_k,
    "thinking": _check_thinking,
    "output_config": _check_output_config,
    "output_format": _check_format,
    "metadata": _check_metadata,
    "service_tier": a_string,
}
