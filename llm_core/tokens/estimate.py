"""How many tokens a request will be, before anybody has counted it.

The figure decides what is reserved, and the provider's own figure replaces it when the call is
settled. So it is an estimate that leans high: one call held back too early costs a retry, one let
through too early costs money that nobody had. What the walk does not know is counted as JSON text,
since some server may put it into the prompt. It is no upper bound: tokenisers differ by provider
and some models charge images oddly (`gpt-4o-mini` multiplies them by 33).
"""

import sys
from collections.abc import Callable, Container, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any

import msgspec

from llm_core.chat.encoding import TOO_DEEP
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest

Count = Callable[[str], int]
"""Counts the tokens of a text, in time linear in its length."""

# Three tokens frame a message and three open the answer; one more for the role.
# https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken (checked 2026-11-20)
MESSAGE_OVERHEAD_TOKENS = 4
NAME_OVERHEAD_TOKENS = 1
ANSWER_OVERHEAD_TOKENS = 3
# A call and a result have marks around them.
TOOL_CALL_OVERHEAD_TOKENS = 12
# Providers put their own words around tool definitions: Anthropic adds 290 to 800 by model.
# https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview (checked 2026-11-20)
TOOLS_OVERHEAD_TOKENS = 350

# The image's size is not looked at. OpenAI's tile models take 85 tokens at `low` and at most 1,445
# else; Claude knows no `low` and takes up to about 1,600, and from Opus 4.7 on reads 3.75
# megapixels, which is 5,000 tokens at its 750 pixels a token.
# https://platform.openai.com/docs/guides/images-vision#calculating-costs (checked 2026-11-20)
# https://platform.claude.com/docs/en/build-with-claude/vision (checked 2026-11-20)
LOW_DETAIL_IMAGE_TOKENS = 1_600
IMAGE_TOKENS = 5_000

# OpenAI counts 10 tokens a second of speech; compressed speech is 4 KB a second or more, and
# base64 makes 4 characters of 3 bytes.
AUDIO_CHARACTERS_PER_TOKEN = 530
# A page of PDF is read as text and as an image, and is some 40 KB or more when it holds images.
FILE_CHARACTERS_PER_TOKEN = 10
# A file that the provider holds already; its size is not known here.
STORED_FILE_TOKENS = 10_000

_COUNTED_APART = frozenset({"model", "messages", "tools", "functions", "response_format"})
# Members of a part that its documented number stands for.
_MEDIA = {
    "image_url": ("url", "detail"),
    "input_audio": ("data", "format"),
    "file": ("file_data", "file_id"),
}


def estimate_prompt_tokens(request: ChatRequest, count: Count) -> int:
    """Estimate the input tokens of a request: messages, tools, media, and all other members.

    Args:
        request: Checked, as `ChatRequest.parse` gives it.
        count: Counts a text, for example `openai_counter()`.

    Raises:
        MalformedRequest: Something in it is nested too deeply to be written.
    """
    tokens = ANSWER_OVERHEAD_TOKENS
    tokens += sum(_message_tokens(message, count) for message in request.messages)
    fields = request.fields
    for name in ("tools", "functions"):
        if fields.get(name):
            tokens += TOOLS_OVERHEAD_TOKENS + _json_tokens(fields[name], count)
    format_ = fields.get("response_format")
    # Its type alone is no text for the model.
    if format_ and len(format_) > 1:
        tokens += _json_tokens(format_, count)
    return tokens + _rest_tokens(fields, _COUNTED_APART, count)


@lru_cache(maxsize=8)
def openai_counter(encoding: str = "o200k_base") -> Count:
    """A counter with OpenAI's tokeniser; loading takes 0.15 s, so it is kept.

    `bpe-openai` is linear even for texts without spaces, and brings its tables along, where
    `tiktoken` is quadratic there and downloads them.

    Raises:
        ValueError: There is no such encoding.
    """
    counter: Count = _bindings().tokenizer_for_encoding(encoding).count
    return counter


def _bindings() -> Any:  # noqa: ANN401 - an extension module without types
    """The library's compiled part, alone.

    Its Python part reads every table it has into dictionaries when it is imported: 65 MB and 0.6 s
    (bpe-openai 0.1.4) in each plugin server, for a class that has no `count` and refuses texts of a
    million characters. The compiled part brings its own tables.
    """
    name = "bpe_openai._bindings"
    if name in sys.modules:
        return sys.modules[name]
    package = find_spec("bpe_openai")
    found = PathFinder.find_spec(name, package.submodule_search_locations) if package else None
    if found is None or found.loader is None:
        return import_module(name)
    module = module_from_spec(found)
    found.loader.exec_module(module)
    # A compiled module can be set up once in a process; whoever imports it after us gets this one.
    sys.modules[name] = module
    return module


def _message_tokens(message: Mapping[str, Any], count: Count) -> int:
    tokens = MESSAGE_OVERHEAD_TOKENS
    unknown: dict[str, Any] = {}
    for name, value in message.items():
        if name == "role" or not value:
            continue
        if name == "content":
            tokens += _content_tokens(value, count)
        elif name == "name" and isinstance(value, str):
            tokens += NAME_OVERHEAD_TOKENS + count(value)
        elif name == "tool_calls":
            tokens += TOOL_CALL_OVERHEAD_TOKENS * len(value) + _json_tokens(value, count)
        else:
            unknown[name] = value
    if message["role"] == "tool":
        tokens += TOOL_CALL_OVERHEAD_TOKENS
    return tokens + _json_tokens(unknown, count) if unknown else tokens


def _content_tokens(content: str | Sequence[Mapping[str, Any]], count: Count) -> int:
    if isinstance(content, str):
        return count(content)
    return sum(_part_tokens(part, count) for part in content)


def _part_tokens(part: Mapping[str, Any], count: Count) -> int:
    kind = part["type"]
    if kind == "text":
        return count(part["text"]) + _rest_tokens(part, ("type", "text"), count)
    if kind not in _MEDIA:
        # A vendor's own part: its text is all that can be counted.
        return _json_tokens(part, count)
    media = part[kind]
    return (
        _media_tokens(kind, media, count)
        + _rest_tokens(media, _MEDIA[kind], count)
        + _rest_tokens(part, ("type", kind), count)
    )


def _media_tokens(kind: str, media: Mapping[str, Any], count: Count) -> int:
    match kind:
        case "image_url":
            return LOW_DETAIL_IMAGE_TOKENS if media.get("detail") == "low" else IMAGE_TOKENS
        case "input_audio":
            return _encoded_tokens(media.get("data"), AUDIO_CHARACTERS_PER_TOKEN, count)
        case _:
            data = media.get("file_data")
            is_stored = data is None or media.get("file_id") is not None
            tokens = _encoded_tokens(data, FILE_CHARACTERS_PER_TOKEN, count)
            return tokens + (STORED_FILE_TOKENS if is_stored else 0)


def _encoded_tokens(data: object, characters_per_token: int, count: Count) -> int:
    """What base64 comes to; in any other shape it is text like all else."""
    if isinstance(data, str):
        return len(data) // characters_per_token + 1
    return _json_tokens(data, count) if data else 0


def _rest_tokens(members: Mapping[str, Any], known: Container[str], count: Count) -> int:
    """The members that nothing else counts; numbers and truth values are settings, not text."""
    rest = {
        name: value
        for name, value in members.items()
        if name not in known and value and not isinstance(value, bool | int | float)
    }
    return _json_tokens(rest, count) if rest else 0


def _json_tokens(value: object, count: Count) -> int:
    try:
        return count(msgspec.json.encode(value).decode())
    except RecursionError:
        raise MalformedRequest(TOO_DEEP) from None
