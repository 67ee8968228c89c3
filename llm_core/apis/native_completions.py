"""A completion at a server that still has OpenAI's API before chat.

The request goes through as it came, but for the model and the longest answer; usage is always asked
for. The answer's envelope, its usage and the end of its stream are those of a chat completion.

Source:
    https://platform.openai.com/docs/api-reference/completions (checked 2026-11-20)
    https://learn.microsoft.com/azure/ai-foundry/openai/reference#completions (checked 2026-11-20)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec

from llm_core.apis.ask import Answer, ClientStream, Heard
from llm_core.apis.dialect import DROP_PARAMS
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.encoding import encode
from llm_core.chat.request import ChatRequest
from llm_core.errors import GatewayError, ProviderError, ProviderUnavailable, error_body
from llm_core.policy.allowance import max_output_tokens
from llm_core.policy.decision import Obligations
from llm_core.providers.azure_openai import DEFAULT_API_VERSION
from llm_core.providers.openai_refusals import (
    REFUSED,
    refuse,
    refuse_keeping,
    refuse_other_tiers,
)
from llm_core.providers.registry import translator_for
from llm_core.providers.translator import ProviderRequest, StreamTranslator, Translator
from llm_core.sse import DONE, encode_event
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]


def native_completion(
    chat: ChatRequest,
    fields: Mapping[str, Any],
    deployment: Deployment,
    obligations: Obligations,
    *,
    choices: int,
) -> "NativeCompletion":
    """Put a request, already checked, to such a server.

    Args:
        chat: The same as a chat request.
        fields: As it came.
        deployment: Where it goes.
        obligations: What must be done to it.
        choices: How many answers will come: `n` to every prompt.

    Raises:
        UnsupportedParameter: It asks for what is not the caller's to choose.
        MalformedRequest: It is nested too deeply.
    """
    name = deployment.provider_name
    # One answer to choose from is no choice; under another spelling it may be any number.
    refuse({k: v for k, v in fields.items() if k != "best_of"}, name, REFUSED)
    refuse_keeping(fields, name)
    refuse_other_tiers(fields, name)
    body = {k: v for k, v in fields.items() if k not in (DROP_PARAMS, "best_of")}
    body["model"] = deployment.model
    body["max_tokens"] = max_output_tokens(chat.max_output_tokens, deployment, obligations)
    if chat.is_streaming:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    request = ProviderRequest(_url(deployment), {"content-type": "application/json"}, encode(body))
    return NativeCompletion(
        request,
        translator_for(deployment.provider),
        chat,
        choices,
        shows_usage=chat.wants_usage_in_stream,
    )


def _url(deployment: Deployment) -> str:
    if deployment.provider is not ProviderKind.AZURE_OPENAI:
        return f"{deployment.base_url}/completions"
    version = quote(deployment.api_version or DEFAULT_API_VERSION, safe="")
    model = quote(deployment.model, safe="")
    return f"{deployment.base_url}/openai/deployments/{model}/completions?api-version={version}"


@dataclass(frozen=True, slots=True)
class NativeCompletion:
    """A completion at a server that has this API; implements `Exchange`.

    Args:
        choices: How many answers will come.
        shows_usage: The client asked for the chunk with usage.
    """

    request: ProviderRequest
    translator: Translator
    chat: ChatRequest
    choices: int
    shows_usage: bool

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The header that proves who pays; lower-case name."""
        return self.translator.credential_headers(secret)

    def answer(self, raw: bytes) -> Answer:
        """Read a whole answer; its envelope is that of a chat completion."""
        translated = self.translator.response(raw)
        return Answer(
            body=translated.body,
            usage=translated.usage,
            served_model=translated.served_model,
            texts=_texts(translated.body),
        )

    def hear(self, raw: bytes) -> Heard:
        """Read a whole answer as one chunk; see `ScreenableExchange.hear`."""
        read = self.answer(raw)
        return Heard([read.body], read.usage, read.served_model, read.texts)

    def told(self, chunks: Sequence[_Object]) -> _Object:
        """Tell chunks as a whole answer; see `ScreenableExchange.told`."""
        return _folded(chunks)

    def failure(self, status: int, headers: Mapping[str, str], raw: bytes) -> ProviderError:
        """Read an error answer; see `Exchange.failure`."""
        return self.translator.failure(status, headers, raw)

    def stream(self, *, is_kept: bool = False) -> ClientStream:
        """Start reading a streamed answer; see `Exchange.stream`."""
        asked = ChatRequest({**self.chat.fields, "n": self.choices})
        return NativeCompletionStream(
            self.translator.stream(asked), shows_usage=self.shows_usage, is_kept=is_kept
        )


@dataclass(slots=True)
class NativeCompletionStream:
    """Implements `ClientStream`.

    Args:
        reading: Reads the chunks, whose envelope and end are those of chat chunks.
        shows_usage: The client asked for the chunk with usage.
        is_kept: Remember the answer.
    """

    reading: StreamTranslator
    shows_usage: bool
    is_kept: bool
    has_begun: bool = False
    _has_ended: bool = False
    _texts: list[str] = field(default_factory=list)
    _chunks: list[_Object] = field(default_factory=list)

    def feed(self, received: bytes) -> Sequence[bytes]:
        """Give the events that `received` completes; see `ClientStream.feed`."""
        return self.write(self.read(received))

    def finish(self) -> Sequence[bytes]:
        """Give the last events; see `ClientStream.finish`."""
        return [*self.write(self.read_end()), *self.write_end()]

    def read(self, received: bytes) -> Sequence[_Object]:
        """Give the chunks that `received` completes; see `ScreenableStream.read`."""
        return self._noted(self.reading.feed(received))

    def read_end(self) -> Sequence[_Object]:
        """Give the last chunks; see `ScreenableStream.read_end`."""
        chunks = self._noted(self.reading.finish())
        if not self.reading.is_complete:
            raise ProviderUnavailable("The model provider broke the stream off.")
        self._has_ended = True
        return chunks

    def write(self, chunks: Sequence[_Object]) -> list[bytes]:
        """Give the client's events for chunks; see `ScreenableStream.write`."""
        if self.is_kept:
            self._chunks += chunks
        return [
            encode_event(msgspec.json.encode(chunk))
            for chunk in chunks
            if chunk["choices"] or self.shows_usage
        ]

    def write_end(self) -> Sequence[bytes]:
        """Give the end mark; see `ScreenableStream.write_end`."""
        return (DONE,)

    def failed(self, error: GatewayError) -> bytes:
        """Tell an error in the middle of the stream."""
        return encode_event(msgspec.json.encode(error_body(error)))

    @property
    def usage(self) -> TokenUsage:
        """As reported so far."""
        return self.reading.usage

    @property
    def served_model(self) -> str | None:
        """The model the provider says it uses."""
        return self.reading.served_model

    def texts(self) -> Sequence[str]:
        """What the model has said so far."""
        return self._texts

    def folded(self) -> _Object | None:
        """The body that the same answer would have had; see `ClientStream.folded`."""
        if not (self.is_kept and self._has_ended):
            return None
        return _folded(self._chunks)

    def _noted(self, chunks: Sequence[_Object]) -> Sequence[_Object]:
        for chunk in chunks:
            said = _texts(chunk)
            self._texts += said
            ends = any(choice.get("finish_reason") for choice in chunk["choices"])
            self.has_begun = self.has_begun or bool(said) or ends
        return chunks


def _texts(body: Mapping[str, Any]) -> list[str]:
    choices = [choice for choice in body.get("choices") or () if isinstance(choice, dict)]
    texts = [choice.get("text") for choice in choices]
    return [text for text in texts if isinstance(text, str) and text]


def _folded(chunks: Sequence[_Object]) -> _Object:
    """Add chunks up; log probabilities are lists that are longer at every chunk."""
    body: _Object = {}
    choices: dict[int, _Object] = {}
    pieces: dict[int, list[str]] = {}
    for chunk in chunks:
        body |= {name: value for name, value in chunk.items() if value and name != "choices"}
        for given in chunk["choices"]:
            index = given.get("index", 0)
            empty = {"text": "", "index": index, "logprobs": None, "finish_reason": None}
            choice = choices.setdefault(index, empty)
            pieces.setdefault(index, []).append(given.get("text") or "")
            choice["finish_reason"] = given.get("finish_reason") or choice["finish_reason"]
            for name, values in (given.get("logprobs") or {}).items():
                kept = choice["logprobs"] = choice["logprobs"] or {}
                kept.setdefault(name, []).extend(values or ())
    for index, texts in pieces.items():
        choices[index]["text"] = "".join(texts)
    return {**body, "choices": [choices[index] for index in sorted(choices)]}
