"""The stand-in for api.openai.com."""

from collections.abc import Mapping
from typing import Any

from sandbox.answers import answer_to
from sandbox.identifiers import CREATED_AT_S
from sandbox.openai import errors, validation
from sandbox.openai.question import prompt_size, question_from
from sandbox.openai.reply import ChatReply
from sandbox.refusal import Refusal
from sandbox.wire import KEY_PREFIX, Event, Received, Reply, Sent, SseWire, data_event
from sandbox.wishes import Wishes

MODELS = ("gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-5-mini", "o4-mini")
"""What `/v1/models` lists. Every other name is served too, unless it begins with `no-such-`."""


class OpenAiWire(SseWire):
    """`/v1/chat/completions` as OpenAI speaks it.

    Source:
        https://platform.openai.com/docs/api-reference/chat (checked 2026-11-20)
    """

    provider = "openai"

    def authenticate(self, headers: Mapping[str, str], sent: Sent) -> None:
        """Ask for `Authorization: Bearer sk-sandbox...`."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise errors.no_key()
        if not key.startswith(KEY_PREFIX):
            raise errors.wrong_key()

    def asked_model(self, payload: Mapping[str, Any], deployment: str | None) -> str:
        """The body's `model`."""
        return str(payload.get("model") or "")

    def reply(self, received: Received) -> Reply:
        """Answer a chat completion."""
        if not received.wishes.model:
            raise errors.error(400, "you must provide a model parameter")
        if received.wishes.model.startswith("no-such-"):
            raise errors.no_such_model(received.wishes.model)
        return self.chat_reply(received, received.wishes.model)

    def chat_reply(self, received: Received, served_model: str) -> ChatReply:
        """Check the body and compose the answer."""
        payload = received.payload
        validation.check(payload, served_model)
        question = question_from(payload, received.wishes)
        return ChatReply(
            digest=question.digest,
            model=served_model,
            answers=[answer_to(question, choice) for choice in range(payload.get("n") or 1)],
            prompt=prompt_size(payload),
            is_usage_streamed=bool((payload.get("stream_options") or {}).get("include_usage")),
        )

    def models(self) -> dict[str, Any]:
        """The list of models."""
        return {
            "object": "list",
            "data": [
                {"id": name, "object": "model", "created": CREATED_AT_S, "owned_by": "sandbox"}
                for name in MODELS
            ],
        }

    def invalid(self, message: str) -> Refusal:
        """A plain 400."""
        return errors.error(400, message)

    def not_json(self) -> Refusal:
        """400: the body cannot be parsed."""
        return errors.not_json()

    def failure(self, status: int, retry_after_s: float | None, model: str) -> Refusal:
        """OpenAI's error of that status."""
        return errors.failure(status, retry_after_s, model)

    def error_event(self) -> Event:
        """An `error` object in place of a chunk; no `[DONE]` follows."""
        return data_event(errors.error(500, errors.SERVER_ERROR, kind="server_error").body)

    def headers(self, number: int, wishes: Wishes) -> dict[str, str]:
        """Headers that OpenAI's answers carry.

        Source:
            https://platform.openai.com/docs/api-reference/debugging-requests and
            https://platform.openai.com/docs/guides/rate-limits (checked 2026-11-20)
        """
        return {
            "openai-version": "2020-10-01",
            "openai-organization": "org-sandbox",
            "x-request-id": f"req_{number:032x}",
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-limit-tokens": "2000000",
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-remaining-tokens": "1999000",
            "x-ratelimit-reset-requests": "6ms",
            "x-ratelimit-reset-tokens": "30ms",
        }
