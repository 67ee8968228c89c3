"""The chat request that a provider other than Anthropic is put to.

The chat request of `/v1/messages` holds members that only Anthropic's providers know. What means
the same elsewhere is said in the way everybody understands; a mere knob or hint is left out and
named; what would change the answer is refused.

| Member | Elsewhere |
|---|---|
| `thinking`, `output_config` | `reasoning_effort`; Claude at Bedrock takes them as they are |
| `cache_control` | left out, but for Bedrock, which makes cache points of it |
| `is_error` of a result | the result's text begins with "Error: " |
| images and files in a result | in the user's message behind it: a `tool` message is text |
| thinking of another vendor's model | left out |
| citations, search results, a document by address | refused |

Source:
    https://platform.openai.com/docs/api-reference/chat/create (checked 2026-11-20)
    https://platform.openai.com/docs/guides/reasoning (checked 2026-11-20)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from llm_core.apis.messages.answer import SIGNED
from llm_core.apis.messages.schema import is_closed
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.errors import UnsupportedParameter

_Object = dict[str, Any]

_PLATFORM = (ProviderKind.OPENAI, ProviderKind.AZURE_OPENAI)
_OPENAI_FORMAT = (*_PLATFORM, ProviderKind.OPENAI_COMPATIBLE)
# OpenAI's models that do not reason refuse to be told how hard to. A name that is not understood is
# taken for a newer model.
_WITHOUT_REASONING = re.compile(r"gpt-(?:3|4|\d+(?:\.\d+)?-chat)|chatgpt-|chat-latest")
_KINDS = ("text", "image_url", "file")
_NAMES = {
    "reasoning_effort": "thinking",
    "stop": "stop_sequences",
    "user": "metadata.user_id",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
}


def fitted(chat: ChatRequest, deployment: Deployment) -> tuple[ChatRequest, tuple[str, ...]]:
    """Give the request as the provider's translator takes it, and name what was left out.

    Raises:
        UnsupportedParameter: Leaving something out would give another answer than was asked for.
    """
    if chat.fields.get("max_completion_tokens") == 0:
        raise _cannot(deployment, "max_tokens", "it cannot be asked for an answer without words.")
    fields = dict(chat.fields)
    fitting = _Fitting(deployment)
    fields["messages"] = fitting.messages(chat.messages)
    if fields.get("tools"):
        fields["tools"] = [
            fitting.tool(tool, f"tools[{index}]") for index, tool in enumerate(fields["tools"])
        ]
    if not fitting.keeps_marks and fields.pop("cache_control", None) is not None:
        fitting.drop("cache_control")
    _fit_thinking(fields, deployment, fitting)
    if deployment.provider in _PLATFORM and fields.pop("top_k", None) is not None:
        fitting.drop("top_k")
    return ChatRequest(fields), fitting.dropped


def named_as_asked(dropped: Sequence[str]) -> tuple[str, ...]:
    """Names of fields that a translator left out, as the client wrote them."""
    return tuple(_NAMES.get(name, name) for name in dropped)


def _fit_thinking(fields: _Object, deployment: Deployment, fitting: "_Fitting") -> None:
    effort = fields.get("reasoning_effort")
    if fitting.is_claude:
        # Its own fields say the same, and more exactly.
        fields.pop("reasoning_effort", None)
        return
    for name in ("thinking", "output_config"):
        fields.pop(name, None)
    if effort == "high" and deployment.provider is ProviderKind.BEDROCK:
        # Amazon's own models take no longest answer with it, and the longest answer is a promise.
        fields["reasoning_effort"] = "medium"
    elif effort == "none" and deployment.provider in _OPENAI_FORMAT:
        # Many models refuse the word; those that have it do not think unless they are told to.
        del fields["reasoning_effort"]
    elif deployment.provider in _PLATFORM and effort is not None:
        listed_as = deployment.price_model or deployment.model
        if _WITHOUT_REASONING.search(listed_as):
            del fields["reasoning_effort"]
            fitting.drop("thinking")


def _cannot(deployment: Deployment, param: str, why: str) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"{deployment.provider_name} does not support '{param}': {why}", param=param
    )


class _Fitting:
    """Takes one request apart; remembers what is left out."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._dropped: dict[str, None] = {}
        self.keeps_marks = deployment.provider is ProviderKind.BEDROCK
        is_gemini = deployment.provider in (ProviderKind.GEMINI, ProviderKind.VERTEX)
        self._call_members = ("id", "type", "function", *((SIGNED,) if is_gemini else ()))
        self.is_claude = self.keeps_marks and "claude" in deployment.model

    @property
    def dropped(self) -> tuple[str, ...]:
        return tuple(self._dropped)

    def drop(self, name: str) -> None:
        self._dropped[name] = None

    def messages(self, messages: Sequence[Mapping[str, Any]]) -> list[_Object]:
        fitted_: list[_Object] = []
        shown: list[_Object] = []
        for message in messages:
            if message["role"] == "tool":
                fitted_.append(self._result(message, shown))
                continue
            if shown:
                fitted_ += _behind_results(shown, message)
                shown = []
                if message["role"] == "user":
                    fitted_[-1] = self._message(fitted_[-1])
                    continue
            fitted_.append(self._message(message))
        if shown:
            fitted_.append({"role": "user", "content": shown})
        return fitted_

    def tool(self, tool: Mapping[str, Any], where: str) -> _Object:
        function = dict(tool["function"])
        # OpenAI refuses an object that does not say what it holds.
        function["parameters"] = {"type": "object", "properties": {}, **function["parameters"]}
        if (
            function.get("strict")
            and self._deployment.provider in _OPENAI_FORMAT
            and not is_closed(function["parameters"])
        ):
            del function["strict"]
            self.drop(f"{where}.strict")
        for name in ("input_examples", "eager_input_streaming"):
            if name in tool:
                self.drop(f"{where}.{name}")
        return {"type": "function", "function": function, **self._mark(tool)}

    def _message(self, message: Mapping[str, Any]) -> _Object:
        fitted_ = {**message, "content": self._content(message)}
        if message.get("tool_calls"):
            fitted_["tool_calls"] = [
                {name: call[name] for name in self._call_members if name in call}
                for call in message["tool_calls"]
            ]
        thoughts = [one for one in message.get("thinking_blocks") or () if self._takes(one)]
        fitted_.pop("thinking_blocks", None)
        return {**fitted_, "thinking_blocks": thoughts} if thoughts else fitted_

    def _takes(self, thought: Mapping[str, Any]) -> bool:
        """Claude's bear no name when they come from a client; each provider knows its own."""
        if self._deployment.provider in _OPENAI_FORMAT:
            return False
        return self.is_claude or "model" in thought

    def _content(self, message: Mapping[str, Any]) -> str | list[_Object] | None:
        content: str | list[_Object] | None = message["content"]
        if not isinstance(content, list):
            return content
        parts = [self._part(part) for part in content]
        # Not every server reads lists from others than the user.
        if message["role"] == "user" or self.keeps_marks:
            return parts
        return ("" if message["role"] == "assistant" else "\n\n").join(p["text"] for p in parts)

    def _result(self, message: Mapping[str, Any], shown: list[_Object]) -> _Object:
        """A result's message; what is no text is added to `shown`, unless it may stay."""
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        fitted_parts = [self._part(part) for part in parts]
        if message.get("is_error"):
            fitted_parts = _as_error(fitted_parts)
        result = {"role": "tool", "tool_call_id": message["tool_call_id"]}
        if self.keeps_marks:
            return {**result, "content": fitted_parts, **self._mark(message)}
        self._mark(message)
        media = [part for part in fitted_parts if part["type"] != "text"]
        texts = [part["text"] for part in fitted_parts if part["type"] == "text"]
        if media:
            call_id = message["tool_call_id"]
            shown += [{"type": "text", "text": f"Shown by the tool call {call_id}:"}, *media]
            texts = texts or ["What it shows follows in the next message."]
        return {**result, "content": "\n\n".join(texts)}

    def _part(self, part: Mapping[str, Any]) -> _Object:
        kind = part["type"]
        if kind not in _KINDS:
            raise _cannot(self._deployment, "messages", f"it cannot read '{kind}' blocks.")
        citations = part.get("citations")
        if isinstance(citations, dict) and citations.get("enabled"):
            raise _cannot(self._deployment, "citations", "it does not cite documents.")
        if kind == "file" and "file_data" not in part["file"]:
            raise _cannot(self._deployment, "messages", "send the document itself, in base64.")
        return {"type": kind, kind: part[kind], **self._mark(part)}

    def _mark(self, marked: Mapping[str, Any]) -> _Object:
        mark = marked.get("cache_control")
        if mark is None:
            return {}
        if self.keeps_marks:
            return {"cache_control": mark}
        self.drop("cache_control")
        return {}


def _as_error(parts: list[_Object]) -> list[_Object]:
    for index, part in enumerate(parts):
        if part["type"] == "text":
            return [*parts[:index], {**part, "text": f"Error: {part['text']}"}, *parts[index + 1 :]]
    return [{"type": "text", "text": "Error."}, *parts]


def _behind_results(shown: list[_Object], message: Mapping[str, Any]) -> list[_Object]:
    """One message of the user with what results show, the user's own words in it if it has any."""
    if message["role"] != "user":
        return [{"role": "user", "content": shown}]
    content = message["content"]
    said = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [{"role": "user", "content": [*shown, *said]}]
