"""Mistral's stream as OpenAI's chunks.

It is OpenAI's stream with Mistral's deltas in it: `content` can be a list of chunks, calls come
without `type` and sometimes without `index`, and usage stands in the chunk with the finish reason,
from where `OpenAIStream` moves it to the end. What was thought is given as it comes, and once more
in whole as `thinking_blocks` when it is over.

Source:
    https://docs.mistral.ai/api/endpoint/chat, `CompletionChunk`
    Shape from the SDK's types (mistralai 3.7.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from typing import Any

from llm_core.chat.response import usage_to_openai
from llm_core.errors import ProviderUnavailable
from llm_core.providers.mistral.errors import PROVIDER, reported_by_mistral
from llm_core.providers.mistral.response import (
    arguments_from_mistral,
    finish_reason_from_mistral,
    said_from_mistral,
    thinking_block,
    usage_from_mistral,
)
from llm_core.providers.openai_stream import OpenAIStream

_Object = dict[str, Any]


def mistral_stream(choices: int) -> OpenAIStream:
    """Start reading a stream.

    Args:
        choices: How many answers were asked for.
    """
    return OpenAIStream(
        provider=PROVIDER,
        choices=choices,
        reported_by=reported_by_mistral,
        adapted=_Adapter(),
    )


class _Adapter:
    """Gives Mistral's chunks OpenAI's shape; remembers what each choice has begun."""

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}

    def __call__(self, received: _Object) -> _Object:
        try:
            model = received.get("model")
            choices = [
                self._choice(given, model if isinstance(model, str) else "")
                for given in received.get("choices") or ()
            ]
        except (TypeError, KeyError, AttributeError):
            raise ProviderUnavailable(
                f"{PROVIDER} sent something that is no chunk in its stream."
            ) from None
        chunk = {name: value for name, value in received.items() if name != "usage"}
        usage = usage_from_mistral(received.get("usage"))
        if usage.is_reported:
            chunk["usage"] = usage_to_openai(usage)
        # Some chunks are of the older kind, without a name.
        return {**chunk, "object": "chat.completion.chunk", "choices": choices}

    def _choice(self, given: Mapping[str, Any], model: str) -> _Object:
        index = given.get("index", 0)
        begun = self._choices.setdefault(index, _Choice())
        finish = given.get("finish_reason")
        return {
            "index": index,
            "delta": begun.delta(given.get("delta") or {}, model, has_ended=finish is not None),
            "logprobs": given.get("logprobs"),
            "finish_reason": None if finish is None else finish_reason_from_mistral(finish),
        }


class _Choice:
    """One answer of the stream, as far as the next delta depends on it."""

    __slots__ = ("_calls", "_has_begun", "_signature", "_thinking")

    def __init__(self) -> None:
        self._has_begun = False
        self._thinking: list[str] = []
        self._signature: str | None = None
        self._calls: list[str] = []

    def delta(self, given: Mapping[str, Any], model: str, *, has_ended: bool) -> _Object:
        """OpenAI's delta for one of Mistral's."""
        delta: _Object = {}
        said = said_from_mistral(given.get("content"))
        if not self._has_begun:
            # Not every model behind Mistral's API opens with a role.
            self._has_begun = True
            delta |= {"role": "assistant", "content": "", "refusal": None}
        if said.text:
            delta["content"] = said.text
        if said.thinking:
            delta["reasoning_content"] = said.thinking
        self._thinking += [said.thinking] if said.thinking else []
        self._signature = said.signature or self._signature
        calls = [self._call(call) for call in given.get("tool_calls") or ()]
        if calls:
            delta["tool_calls"] = calls
        if self._thinking and (said.text or calls or has_ended):
            delta["thinking_blocks"] = [
                thinking_block("".join(self._thinking), self._signature, model)
            ]
            self._thinking, self._signature = [], None
        return delta

    def _call(self, given: Mapping[str, Any]) -> _Object:
        function = given["function"]
        id_ = given.get("id") or ""
        # Where there is no id, the literal "null" stands in Mistral's own schema.
        is_new = id_ not in ("", "null", *self._calls)
        if is_new:
            self._calls.append(id_)
        asked = given.get("index")
        place = self._calls.index(id_) if id_ in self._calls else asked
        if not isinstance(place, int):
            place = max(0, len(self._calls) - 1)
        arguments = arguments_from_mistral(function.get("arguments", ""))
        if not is_new:
            return {"index": place, "function": {"arguments": arguments}}
        name = function.get("name") or ""
        return {
            "index": place,
            "id": id_,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
