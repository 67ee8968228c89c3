"""The stand-in for api.mistral.ai."""

from collections.abc import Mapping
from typing import Any

from sandbox.answers import answer_to
from sandbox.mistral import errors, validation
from sandbox.mistral.question import prompt_size, question_from
from sandbox.mistral.reply import MistralReply
from sandbox.refusal import Refusal
from sandbox.wire import KEY_PREFIX, Event, Received, Reply, Sent, SseWire, data_event
from sandbox.wishes import Wishes


class MistralWire(SseWire):
    """`/v1/chat/completions` as Mistral speaks it.

    Every model is served, unless its name begins with `no-such-`; Magistral always reasons.

    Source:
        https://docs.mistral.ai/api/endpoint/chat (checked 2026-11-20)
    """

    provider = "mistral"

    def authenticate(self, headers: Mapping[str, str], sent: Sent) -> None:
        """Ask for `Authorization: Bearer sk-sandbox...`."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.startswith(KEY_PREFIX):
            raise errors.unauthorized()

    def asked_model(self, payload: Mapping[str, Any], deployment: str | None) -> str:
        """The body's `model`."""
        return str(payload.get("model") or "")

    def reply(self, received: Received) -> Reply:
        """Answer a chat completion."""
        payload, model = received.payload, received.wishes.model
        validation.check(payload, model)
        self.check_model(model)
        question = question_from(payload, received.wishes)
        return MistralReply(
            digest=question.digest,
            model=model,
            answers=[answer_to(question, choice) for choice in range(payload.get("n") or 1)],
            prompt=prompt_size(payload),
        )

    def check_model(self, model: str) -> None:
        """See that the model exists.

        Raises:
            Refusal: It does not.
        """
        if model.startswith("no-such-"):
            raise errors.no_such_model(model)

    def invalid(self, message: str) -> Refusal:
        """A plain 400."""
        return errors.error(400, message, "invalid_request", "3210")

    def not_json(self) -> Refusal:
        """422: the body cannot be parsed."""
        return errors.invalid([1], "JSON decode error", "json_invalid")

    def failure(self, status: int, retry_after_s: float | None, model: str) -> Refusal:
        """Mistral's error of that status."""
        return errors.failure(status, retry_after_s)

    def error_event(self) -> Event:
        """An error object in place of a chunk; no `[DONE]` follows."""
        return data_event(errors.failure(500, None).body)

    def headers(self, number: int, wishes: Wishes) -> dict[str, str]:
        """Headers that Mistral's answers carry."""
        return {
            "mistral-correlation-id": f"{number:032x}",
            "x-ratelimit-limit-req-minute": "300",
            "x-ratelimit-remaining-req-minute": "299",
        }
