"""Anthropic's turns as OpenAI's messages.

| Anthropic | OpenAI |
|---|---|
| user: `text`, `image` | user: `text`, `image_url` |
| `document`: base64 PDF; text; content | `file`; `text`; its parts |
| `tool_result` | a `tool` message of its own, before the user's, with `is_error` where it is one |
| assistant: `text`, `tool_use` | `content`, `tool_calls` |
| `thinking`, `redacted_thinking` | `thinking_blocks`, see `thoughts` |
| `system`, in the middle | `system` |

Members that OpenAI lacks (`cache_control`, `citations`, `is_error`) are kept where they stand: they
count as part of the prompt, and `fit` takes them out for who does not know them. Blocks of server
tools are refused, as those tools are.

Source:
    https://platform.claude.com/docs/en/api/messages/create (checked 2026-11-20)
    https://platform.claude.com/docs/en/build-with-claude/pdf-support (checked 2026-11-20)
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_core.apis.messages.answer import SIGNED
from llm_core.apis.messages.checks import (
    a_bool,
    a_list,
    a_name,
    a_string,
    an_object,
    not_offered,
    one_of,
    required,
    wrong,
)
from llm_core.apis.messages.thoughts import KINDS as THINKING
from llm_core.apis.messages.thoughts import thought_of_block
from llm_core.chat.encoding import encode
from llm_core.errors import MalformedRequest
from llm_core.providers.anthropic.messages import cache_control_from

_Object = dict[str, Any]

ROLES = ("user", "assistant", "system")
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_SERVER_BLOCKS = (
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "tool_reference",
    "container_upload",
    "mcp_tool_use",
    "mcp_tool_result",
)
_MARKS = ("cache_control", "citations")


def messages_of(turns: Sequence[Any]) -> Iterator[_Object]:
    """Give a conversation's messages.

    Args:
        turns: The member `messages`, a list of anything.

    Raises:
        MalformedRequest: A turn or block that Anthropic would not take.
        UnsupportedParameter: A block of a tool that runs at Anthropic, or a stored file.
    """
    for index, turn in enumerate(turns):
        where = f"messages[{index}]"
        role = one_of(an_object(turn, where).get("role"), ROLES, f"{where}.role")
        content = required(turn, "content", f"{where}.content")
        match role:
            case "system":
                yield {"role": "system", "content": text_content(content, f"{where}.content")}
            case "user":
                yield from _user(content, f"{where}.content")
            case _:
                yield _assistant(content, f"{where}.content")


def text_content(content: object, where: str) -> str | list[_Object]:
    """Instructions: a text, or blocks of text."""
    if isinstance(content, str):
        return content
    blocks = _blocks(content, where)
    return [_text(one_of_kinds(block, ("text",), at), at) for block, at in blocks]


def one_of_kinds(block: _Object, kinds: Sequence[str], where: str) -> _Object:
    """The block, if it may stand here."""
    kind = block.get("type")
    if isinstance(kind, str) and kind in _SERVER_BLOCKS:
        raise not_offered(f"{where}.type", f"'{kind}' belongs to tools that run at Anthropic.")
    one_of(kind, kinds, f"{where}.type")
    return block


def _blocks(content: object, where: str) -> list[tuple[_Object, str]]:
    listed = a_list(content, where) if not isinstance(content, str) else None
    if listed is None:
        return [({"type": "text", "text": content}, where)]
    return [
        (an_object(block, f"{where}[{at}]"), f"{where}[{at}]") for at, block in enumerate(listed)
    ]


_USER_KINDS = ("text", "image", "document", "search_result", "tool_result")
_RESULT_KINDS = ("text", "image", "document", "search_result")
_ASSISTANT_KINDS = ("text", "tool_use", *THINKING)


def _user(content: object, where: str) -> Iterator[_Object]:
    if isinstance(content, str):
        yield {"role": "user", "content": content}
        return
    blocks = _blocks(content, where)
    if not blocks:
        raise MalformedRequest(f"'{where}' must hold at least one block.", param=where)
    parts: list[_Object] = []
    for block, at in blocks:
        if one_of_kinds(block, _USER_KINDS, at)["type"] == "tool_result":
            yield _tool_result(block, at)
        else:
            parts += _parts(block, at)
    if parts:
        yield {"role": "user", "content": parts}


def _tool_result(block: _Object, where: str) -> _Object:
    result: _Object = {
        "role": "tool",
        "tool_call_id": a_name(
            required(block, "tool_use_id", f"{where}.tool_use_id"), f"{where}.tool_use_id"
        ),
        "content": "",
    }
    content = block.get("content")
    if isinstance(content, str):
        result["content"] = content
    elif content is not None:
        result["content"] = [
            part
            for inner, at in _blocks(content, f"{where}.content")
            for part in _parts(one_of_kinds(inner, _RESULT_KINDS, at), at)
        ]
    if block.get("is_error") is not None and a_bool(block["is_error"], f"{where}.is_error"):
        result["is_error"] = True
    return {**result, **cache_control_from(block, where)}


def _assistant(content: object, where: str) -> _Object:
    if isinstance(content, str):
        return {"role": "assistant", "content": content}
    said: list[_Object] = []
    calls: list[_Object] = []
    thoughts: list[_Object] = []
    for block, at in _blocks(content, where):
        match one_of_kinds(block, _ASSISTANT_KINDS, at)["type"]:
            case "text":
                said.append(_text(block, at))
            case "tool_use":
                calls.append(_tool_call(block, at))
            case _:
                thought = _thought(block, at)
                thoughts += [] if thought is None else [thought]
    message: _Object = {"role": "assistant", "content": said or (None if calls else "")}
    if calls:
        message["tool_calls"] = calls
    if thoughts:
        message["thinking_blocks"] = thoughts
    return message


def _thought(block: _Object, where: str) -> _Object | None:
    names = ("thinking", "signature") if block["type"] == "thinking" else ("data",)
    for name in names:
        a_string(required(block, name, f"{where}.{name}"), f"{where}.{name}")
    return thought_of_block(block)


def _tool_call(block: _Object, where: str) -> _Object:
    given = an_object(required(block, "input", f"{where}.input"), f"{where}.input")
    name = a_name(required(block, "name", f"{where}.name"), f"{where}.name")
    kept = block.get(SIGNED)
    return {
        "id": a_name(required(block, "id", f"{where}.id"), f"{where}.id"),
        "type": "function",
        "function": {"name": name, "arguments": encode(given).decode()},
        **({SIGNED: kept} if isinstance(kept, dict) else {}),
        **cache_control_from(block, where),
    }


def _text(block: _Object, where: str) -> _Object:
    text = a_string(required(block, "text", f"{where}.text"), f"{where}.text")
    cache_control_from(block, where)
    return {"type": "text", "text": text, **_marks(block)}


def _marks(block: Mapping[str, Any]) -> _Object:
    return {name: block[name] for name in _MARKS if block.get(name) is not None}


def _parts(block: _Object, where: str) -> list[_Object]:
    """The parts that a block becomes; a vendor's own block that others lack stays as it is."""
    cache_control_from(block, where)
    match block["type"]:
        case "text":
            return [_text(block, where)]
        case "image":
            return [{**_image(block, where), **_marks(block)}]
        case "document":
            return _document(block, where)
        case _:
            # A search result: its texts may be marked one by one.
            for inner, at in _blocks(
                required(block, "content", f"{where}.content"), f"{where}.content"
            ):
                _text(one_of_kinds(inner, ("text",), at), at)
            return [block]


def _source(block: _Object, kinds: Sequence[str], where: str) -> _Object:
    at = f"{where}.source"
    source = an_object(required(block, "source", at), at)
    if source.get("type") == "file":
        raise not_offered(f"{at}.type", "files are not stored at a provider; send the file itself.")
    one_of(source.get("type"), kinds, f"{at}.type")
    return source


def _image(block: _Object, where: str) -> _Object:
    source = _source(block, ("base64", "url"), where)
    if source["type"] == "url":
        url = a_name(source.get("url"), f"{where}.source.url")
    else:
        url = _data_uri(source, IMAGE_TYPES, f"{where}.source")
    return {"type": "image_url", "image_url": {"url": url}}


def _data_uri(source: _Object, media_types: Sequence[str], where: str) -> str:
    media_type = one_of(source.get("media_type"), media_types, f"{where}.media_type")
    data = a_name(source.get("data"), f"{where}.data")
    return f"data:{media_type};base64,{data}"


def _document(block: _Object, where: str) -> list[_Object]:
    source = _source(block, ("base64", "text", "content", "url"), where)
    title = block.get("title")
    context = block.get("context")
    for name, value in (("title", title), ("context", context)):
        if value is not None:
            a_string(value, f"{where}.{name}")
    told = [{"type": "text", "text": context}] if context else []
    at = f"{where}.source"
    match source["type"]:
        case "base64":
            data = _data_uri(source, ("application/pdf",), at)
            file = {"filename": title or "document.pdf", "file_data": data}
            return [*told, {"type": "file", "file": file, **_marks(block)}]
        case "url":
            file = {"filename": title or "document.pdf", "file_url": a_name(source.get("url"), at)}
            return [*told, {"type": "file", "file": file, **_marks(block)}]
        case "text":
            one_of(source.get("media_type"), ("text/plain",), f"{at}.media_type")
            parts = [{"type": "text", "text": a_string(source.get("data"), f"{at}.data")}]
        case _:
            parts = _nested(source, at)
    named = [{"type": "text", "text": title}] if title else []
    parts[-1:] = [{**part, **_marks(block)} for part in parts[-1:]]
    return [*named, *told, *parts]


def _nested(source: _Object, where: str) -> list[_Object]:
    content = source.get("content")
    if not isinstance(content, str | list):
        raise wrong(f"{where}.content", "a string or a list of blocks")
    return [
        part
        for inner, at in _blocks(content, f"{where}.content")
        for part in _parts(one_of_kinds(inner, ("text", "image"), at), at)
    ]
