"""OpenAI: our own format, so that little is translated and nothing is lost.

Sent: the request as it came, the model replaced by the routed one, unless it asks for what is
policy's to decide (`openai_refusals`). Received: the answer as it is.

Source:
    https://platform.openai.com/docs/api-reference/chat (checked 2026-11-20)
    https://platform.openai.com/docs/guides/error-codes (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

from llm_core.catalogue import Deployment
from llm_core.chat.carried import THOUGHT, without_carried
from llm_core.chat.encoding import decode_object, encode
from llm_core.chat.request import ChatRequest
from llm_core.chat.response import usage_from_openai
from llm_core.chat.sound import sound
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.providers.failures import Reported, provider_failure
from llm_core.providers.openai_refusals import (
    REFUSED_BY_OPENAI,
    refuse,
    refuse_keeping,
    refuse_other_tiers,
)
from llm_core.providers.openai_stream import OpenAIStream
from llm_core.providers.translator import ProviderRequest, StreamTranslator, Translated
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]


class OpenAITranslator:
    """Speaks to OpenAI; the base of all who speak its format."""

    name = "OpenAI"

    def request(self, request: ChatRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request; see `Translator.request`.

        Usage in the stream is always asked for: without it a stream could only be counted.
        """
        self.refuse(request.fields)
        dropped: list[str] = []
        body = self.fields(dict(request.fields), dropped)
        body["model"] = deployment.model
        body["messages"] = without_carried(body["messages"], THOUGHT)
        if request.is_streaming:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        return ProviderRequest(
            url=self.url(deployment),
            headers={"content-type": "application/json"},
            body=encode(body),
            dropped_params=tuple(dropped),
        )

    def refuse(self, fields: Mapping[str, Any]) -> None:
        """Refuse what is not the caller's to choose.

        Raises:
            UnsupportedParameter: With the field.
        """
        refuse(fields, self.name, REFUSED_BY_OPENAI)
        refuse_keeping(fields, self.name)
        refuse_other_tiers(fields, self.name)

    def fields(self, fields: _Object, dropped: list[str]) -> _Object:
        """Adapt a copy of the request's fields; what is left out is named in `dropped`.

        `max_tokens` is deprecated and refused by reasoning models; its successor is taken by all.
        """
        older = fields.pop("max_tokens", None)
        if older is not None and fields.get("max_completion_tokens") is None:
            fields["max_completion_tokens"] = older
        return fields

    def url(self, deployment: Deployment) -> str:
        """Where chat completions are; `base_url` ends in the API's version."""
        return f"{deployment.base_url}/chat/completions"

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The header that proves who pays."""
        return {"authorization": f"Bearer {secret}"}

    def response(self, body: bytes) -> Translated:
        """Read a whole answer; see `Translator.response`."""
        answer = decode_object(body)
        if answer is None or not isinstance(answer.get("choices"), list):
            raise ProviderUnavailable(f"{self.name} answered with something that is no answer.")
        answer = sound(answer)
        usage = answer.get("usage")
        model = answer.get("model")
        return Translated(
            body=answer,
            usage=usage_from_openai(usage) if isinstance(usage, dict) else TokenUsage(),
            served_model=model if isinstance(model, str) and model else None,
        )

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; see `Translator.failure`."""
        return provider_failure(self.name, status, headers, reported_by_openai(decode_object(body)))

    def stream(self, request: ChatRequest) -> StreamTranslator:
        """Start reading a streamed answer; see `Translator.stream`."""
        return OpenAIStream(
            provider=self.name,
            choices=request.choices,
            reported_by=reported_by_openai,
        )


def reported_by_openai(body: _Object | None) -> Reported:
    """Read an error object in OpenAI's shape, or in one of those that its imitators send.

    Seen: `{"error": {...}}` (OpenAI, Azure), `{"error": "..."}` (Ollama), the error's members
    without the envelope (older vLLM), `{"message": ...}` (Azure's API management in front).
    """
    inner = (body or {}).get("error", body)
    if isinstance(inner, str):
        return Reported(message=inner)
    if not isinstance(inner, dict):
        return Reported()
    return Reported(
        message=_text(inner.get("message")),
        type=_text(inner.get("type")),
        code=_text(inner.get("code")),
        param=_text(inner.get("param")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
