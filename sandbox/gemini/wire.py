"""The stand-ins for generativelanguage.googleapis.com and aiplatform.googleapis.com."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from sandbox.answers import answer_to
from sandbox.gemini import errors, validation
from sandbox.gemini.question import prompt_size, question_from
from sandbox.gemini.reply import ContentReply
from sandbox.gemini.shapes import GENERATE, canonical
from sandbox.refusal import Refusal
from sandbox.wire import KEY_PREFIX, Event, Received, Reply, Sent, SseWire, data_event
from sandbox.wishes import Wishes

ACCESS_TOKEN_PREFIX = "ya29.sandbox"  # noqa: S105 - what the sandbox's own token server hands out


class GeminiWire(SseWire):
    """`models/{model}:generateContent` and `:streamGenerateContent` at Google AI.

    Every model is served, unless its name begins with `no-such-`. Streams are asked for with
    `?alt=sse`; the list that Google sends without it is not offered here.

    Source:
        https://ai.google.dev/api/generate-content (checked 2026-11-20)
    """

    provider = "gemini"

    def authenticate(self, headers: Mapping[str, str], sent: Sent) -> None:
        """Ask for `x-goog-api-key: sk-sandbox...`."""
        key = headers.get("x-goog-api-key")
        if not key:
            raise errors.error(
                403,
                "Method doesn't allow unregistered callers (callers without established identity). "
                "Please use API Key or other form of API consumer identity to call this API.",
            )
        if not key.startswith(KEY_PREFIX):
            raise errors.wrong_key()

    def is_streaming(self, payload: Mapping[str, Any], path: str) -> bool:
        """Whether the path's method says so."""
        return unquote(path).endswith(":streamGenerateContent")

    def asked_model(self, payload: Mapping[str, Any], deployment: str | None) -> str:
        """The path's model."""
        return deployment or ""

    def reply(self, received: Received) -> Reply:
        """Answer with candidates."""
        model = received.wishes.model
        payload = canonical(received.payload, GENERATE)
        if received.query.get("alt", "sse") != "sse":
            raise errors.invalid("The sandbox streams with alt=sse only.")
        if model.startswith("no-such-"):
            raise no_such_model(model)
        validation.check(payload, model)
        config = payload.get("generationConfig") or {}
        choices = config.get("candidateCount") or 1
        question = question_from(payload, received.wishes)
        return ContentReply(
            digest=question.digest,
            model=model,
            answers=[answer_to(question, choice) for choice in range(choices)],
            prompt=prompt_size(payload),
            are_thoughts_shown=bool((config.get("thinkingConfig") or {}).get("includeThoughts")),
            probabilities=config.get("logprobs", 0) if config.get("responseLogprobs") else None,
        )

    def invalid(self, message: str) -> Refusal:
        """400, `INVALID_ARGUMENT`."""
        return errors.invalid(message)

    def not_json(self) -> Refusal:
        """400: the body cannot be parsed."""
        return errors.invalid("Invalid JSON payload received. Unexpected token.")

    def failure(self, status: int, retry_after_s: float | None, model: str) -> Refusal:
        """Google's error of that status."""
        return errors.failure(status, retry_after_s)

    def error_event(self) -> Event:
        """An `error` document as event, as sent when the service fails in the middle."""
        return data_event(errors.failure(503, None).body)

    def headers(self, number: int, wishes: Wishes) -> dict[str, str]:
        """Headers that Google's answers carry; none of them numbers the call."""
        return {"vary": "Origin, X-Origin, Referer", "x-content-type-options": "nosniff"}


class VertexWire(GeminiWire):
    """The same at `/projects/{project}/locations/{location}/publishers/google/models/{model}`.

    Source:
        https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
        (checked 2026-11-20)
    """

    provider = "vertex"

    def authenticate(self, headers: Mapping[str, str], sent: Sent) -> None:
        """Ask for a key as Google AI does, or for `Authorization: Bearer ya29.sandbox...`."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if not token.startswith((ACCESS_TOKEN_PREFIX, KEY_PREFIX)):
                raise errors.error(
                    401,
                    "Request had invalid authentication credentials. Expected OAuth 2 access "
                    "token, login cookie or other valid authentication credential.",
                )
            return
        super().authenticate(headers, sent)


def no_such_model(model: str) -> Refusal:
    """404."""
    return errors.error(
        404,
        f"models/{model} is not found for API version v1beta, or is not supported for "
        "generateContent. Call ListModels to see the list of available models and their supported "
        "methods.",
    )
